"""Upright boxes of convex hulls inside a picture, many at once.

A corner of (hull ∩ picture) is a point of the hull inside the picture, a place where an edge of the hull
crosses the picture's border, or a corner of the picture inside the hull. All lie in the intersection,
and so do the parts inside the picture of the lines between any two points: no hull need be built to find
the box around.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class HullBoxes:
    """What is inside the picture of (n) hulls."""

    boxes: np.ndarray
    """(n, 4) float64 x1, y1, x2, y2 in pixels; zeros where nothing is seen."""
    seen: np.ndarray
    """(n,) bool: the intersection has an area."""
    degenerate: np.ndarray
    """(n,) bool: there is an intersection, but it is a point or a line."""


def hull_boxes(points: np.ndarray, valid: np.ndarray, size: np.ndarray) -> HullBoxes:
    """The boxes around the intersections of hulls with their pictures.

    Args:
        points: (n, k, 2) pixels.
        valid: (n, k) bool: which of them there are; the others may be anything.
        size: (n, 2) width and height of the pictures.
    """
    boxes = np.zeros((len(points), 4))
    present = valid.any(axis=1)
    first = np.take_along_axis(points, valid.argmax(axis=1)[:, None, None], axis=1)
    points = np.where(valid[:, :, None], points, first)  # a point twice changes no hull
    low, high = points.min(axis=1), points.max(axis=1)
    present &= ((high >= 0) & (low <= size)).all(axis=1)
    whole = present & ((low >= 0) & (high <= size)).all(axis=1)
    boxes[whole] = np.concatenate([low[whole], high[whole]], axis=1)
    met = whole.copy()
    cut = np.flatnonzero(present & ~whole)
    boxes[cut], met[cut] = _cut(points[cut], low[cut], high[cut], size[cut])
    area = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
    flat = np.zeros(len(points), bool)
    flat[met] = _flat(points[met])
    return HullBoxes(np.where(met[:, None], boxes, 0.0), met & area & ~flat, met & ~(area & ~flat))


def _cut(
    points: np.ndarray, low: np.ndarray, high: np.ndarray, size: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Boxes of hulls that reach over the border, and whether anything of them is inside."""
    one, other = np.triu_indices(points.shape[1], 1)
    start, end = points[:, one], points[:, other]
    # A point seen at a grazing angle lies millions of pixels away: from the nearer end, less is rounded away.
    further = np.abs(start).max(axis=2) > np.abs(end).max(axis=2)
    start, end = np.where(further[..., None], end, start), np.where(further[..., None], start, end)
    way = end - start
    limit = size[:, None, :]
    with np.errstate(divide="ignore", invalid="ignore"):
        at_low, at_high = (0 - start) / way, (limit - start) / way
    still, inside = way == 0, (start >= 0) & (start <= limit)
    enters = np.where(still, np.where(inside, -np.inf, np.inf), np.minimum(at_low, at_high)).max(axis=2)
    leaves = np.where(still, np.where(inside, np.inf, -np.inf), np.maximum(at_low, at_high)).min(axis=2)
    enters, leaves = np.maximum(enters, 0), np.minimum(leaves, 1)
    crosses = enters <= leaves
    enters, leaves = np.where(crosses, enters, 0), np.where(crosses, leaves, 0)
    places = np.concatenate([start + enters[..., None] * way, start + leaves[..., None] * way], axis=1)
    there = np.concatenate([crosses, crosses], axis=1)[..., None]
    lowest = np.where(there, places, np.inf).min(axis=1)
    highest = np.where(there, places, -np.inf).max(axis=1)
    for right in (0, 1):
        for bottom in (0, 1):
            corner = size * (right, bottom)
            around = np.flatnonzero(((low < corner) & (high > corner)).all(axis=1))
            held = around[_holds(points[around], corner[around])]
            lowest[held] = np.minimum(lowest[held], corner[held])
            highest[held] = np.maximum(highest[held], corner[held])
    met = (lowest <= highest).all(axis=1)
    box = np.concatenate([np.clip(lowest, 0, size), np.clip(highest, 0, size)], axis=1)
    return np.where(met[:, None], box, 0), met


def _holds(points: np.ndarray, place: np.ndarray) -> np.ndarray:
    """(n,) bool: whether a place is strictly inside its hull: no point has all others on one side of it."""
    way = points - place[:, None]
    cross = way[:, :, None, 0] * way[:, None, :, 1] - way[:, :, None, 1] * way[:, None, :, 0]
    return np.asarray(~(cross >= 0).all(axis=2).any(axis=1))


def _flat(points: np.ndarray) -> np.ndarray:
    """(n,) bool: whether all points lie on one line."""
    way = points - points[:, :1]
    furthest = np.abs(way).sum(axis=2).argmax(axis=1)
    longest = np.take_along_axis(way, furthest[:, None, None], axis=1)
    cross = longest[..., 0] * way[..., 1] - longest[..., 1] * way[..., 0]
    return np.asarray((cross == 0).all(axis=1))
