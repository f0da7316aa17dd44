"""How much of each object is to be seen from the ego vehicle, told without rendering.

What counts is the share of an object's bearing interval, all round, that nothing nearer hides; something
lower hides as much of it as lies below its own top. nuScenes' annotators judged all six cameras together,
too.
"""

from __future__ import annotations

import numpy as np

LEVELS = ("v0-40", "v40-60", "v60-80", "v80-100")
"""Of the bins 1 to 4, per cent."""
EYE = 1.5
"""Metres of the cameras above the ground."""
_RAYS = 24
"""Bearings at which an object is looked at."""
_FOOTPRINT = np.array([[0.5, 0.5], [0.5, -0.5], [-0.5, 0.5], [-0.5, -0.5]])


def visible_shares(place: np.ndarray, forward: np.ndarray, size: np.ndarray) -> np.ndarray:
    """(n,) shares of n objects that are to be seen, 0 to 1.

    Args:
        place: (n, 2) middles on the ground relative to the observer, metres.
        forward: (n, 2) unit vectors that they face along, in the same axes.
        size: (n, 3) width, length, height in metres.
    """
    if len(place) == 0:
        return np.zeros(0)
    distance = np.sqrt((place * place).sum(axis=1))
    left = forward[:, ::-1] * [-1.0, 1.0]
    corners = (
        place[:, None]
        + _FOOTPRINT[:, 0, None] * (forward * size[:, 1:2])[:, None]
        + _FOOTPRINT[:, 1, None] * (left * size[:, :1])[:, None]
    )
    bearing = np.arctan2(place[:, 1], place[:, 0])
    spread = _turned(np.arctan2(corners[..., 1], corners[..., 0]) - bearing[:, None])
    low, high = spread.min(axis=1), spread.max(axis=1)
    share = (np.arange(_RAYS) + 0.5) / _RAYS
    rays = bearing[:, None] + low[:, None] + (high - low)[:, None] * share
    # Tangents of the elevations of top and bottom.
    near = distance.clip(0.1)
    top, bottom = (size[:, 2] - EYE) / near, -EYE / near
    # Axes: object, ray, what may hide it.
    inside = _turned(rays[..., None] - bearing)
    hides = (inside > low) & (inside < high) & (distance < distance[:, None])[:, None]
    hidden = ((top - bottom[:, None]) / (top - bottom)[:, None]).clip(0, 1)
    return np.asarray(1 - np.where(hides, hidden[:, None], 0.0).max(axis=2).mean(axis=1))


def bins(shares: np.ndarray) -> np.ndarray:
    """(n,) bins 1 to 4 of such shares."""
    return np.searchsorted([0.4, 0.6, 0.8], shares, side="right") + 1


def _turned(angle: np.ndarray) -> np.ndarray:
    """Angles in radians as turns of at most half a circle to either side."""
    return np.asarray(angle - 2 * np.pi * np.rint(angle / (2 * np.pi)))
