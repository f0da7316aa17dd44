"""Upright boxes of convex hulls inside a picture, many at once.

How far a hull reaches to the left and right inside the picture is how far its part between the picture's
top and bottom reaches, cut at the picture's sides; up and down likewise. That part's ends are points of the
hull, or places where its edges cross top or bottom: no hull need be built to find the box around.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class HullBoxes:
    """What is inside the picture of (n) hulls."""

    boxes: np.ndarray
    """(n, 4) float64 x1, y1, x2, y2 in pixels; anything where nothing is seen."""
    seen: np.ndarray
    """(n,) bool: the intersection has an area."""
    degenerate: np.ndarray
    """(n,) bool: there is an intersection, but it is a point or a line."""


def hull_boxes(x: np.ndarray, y: np.ndarray, size: np.ndarray, lines: np.ndarray) -> HullBoxes:
    """The boxes around the intersections of hulls with their pictures.

    Args:
        x: (k, n) pixels of k points for each hull; a point may come twice.
        y: likewise.
        size: (2, n) width and height of the pictures.
        lines: (2, m) pairs of points, among which are the edges of every hull.
    """
    width, height = size
    left, right, top, bottom = x.min(axis=0), x.max(axis=0), y.min(axis=0), y.max(axis=0)
    met = (right >= 0) & (left <= width) & (bottom >= 0) & (top <= height)
    high = np.flatnonzero(met & ((top < 0) | (bottom > height)))
    wide = np.flatnonzero(met & ((left < 0) | (right > width)))
    left[high], right[high] = _between(x[:, high], y[:, high], height[high], lines)
    top[wide], bottom[wide] = _between(y[:, wide], x[:, wide], width[wide], lines)
    left, right = np.maximum(left, 0), np.minimum(right, width)
    top, bottom = np.maximum(top, 0), np.minimum(bottom, height)
    met &= (left <= right) & (top <= bottom)
    seen = met & (left < right) & (top < bottom)
    # The first three points tell nearly always that not all lie on one line.
    doubtful = np.flatnonzero(seen & (_turn(x[:3], y[:3]) == 0))
    seen[doubtful] = ~_on_one_line(x[:, doubtful], y[:, doubtful])
    return HullBoxes(np.stack([left, top, right, bottom], axis=1), seen, met & ~seen)


def _between(
    along: np.ndarray, across: np.ndarray, limit: np.ndarray, lines: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(n,) the least and the greatest `along` of the hulls' parts where 0 <= `across` <= `limit`."""
    inside = (across >= 0) & (across <= limit)
    least = np.where(inside, along, np.inf).min(axis=0)
    greatest = np.where(inside, along, -np.inf).max(axis=0)
    for border in (np.zeros(len(limit)), limit):
        beyond = across > border
        line, hull = np.nonzero(beyond[lines[0]] != beyond[lines[1]])
        one, other = lines[0][line], lines[1][line]
        # Seen at a grazing angle, a point is millions of pixels away: from the nearer, less is rounded off.
        swap = np.abs(across[one, hull]) > np.abs(across[other, hull])
        one, other = np.where(swap, other, one), np.where(swap, one, other)
        start, end = across[one, hull], across[other, hull]
        share = (border[hull] - start) / (end - start)
        place = along[one, hull] + share * (along[other, hull] - along[one, hull])
        np.minimum.at(least, hull, place)
        np.maximum.at(greatest, hull, place)
    return least, greatest


def _turn(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(n,) twice the area of the triangles of (3, n) points; 0 where they lie on one line."""
    area = (x[1] - x[0]) * (y[2] - y[0]) - (y[1] - y[0]) * (x[2] - x[0])
    return np.asarray(area)


def _on_one_line(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(n,) bool: whether all of (k, n) points lie on one line."""
    x, y = x - x[0], y - y[0]
    furthest = (np.abs(x) + np.abs(y)).argmax(axis=0)
    columns = np.arange(x.shape[1])
    cross = x[furthest, columns] * y - y[furthest, columns] * x
    return np.asarray((cross == 0).all(axis=0))
