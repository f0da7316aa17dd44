"""Projection of 3D boxes into the cameras of a release.

Global frame ─▶ vehicle at the picture's time ─▶ camera ─▶ pixels, with the pose and calibration of the
picture's own row of sample_data. Most boxes lie out of view of a camera, which their enclosing spheres
tell.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np

from vistrain_trainer.data.nuscenes.hulls import hull_boxes
from vistrain_trainer.data.nuscenes.quaternions import matrices
from vistrain_trainer.data.nuscenes.views import Views

__all__ = ["NEAR", "Mode", "Projected", "Views", "project"]

Mode = Literal["devkit", "clipped"]
NEAR = 0.1
"""Metres before the camera at which `clipped` cuts edges."""
BLOCK = 1 << 14
"""Boxes at a time: their numbers stay in the processor's cache."""
CORNERS = 8
# Corners are numbered by their sides of the box: bit 0 for length, 1 for width, 2 for height.
_PAIRS = np.array(list(combinations(range(CORNERS), 2))).T
_EDGES = _PAIRS[:, np.isin(_PAIRS[0] ^ _PAIRS[1], [1, 2, 4])]
_ALL_PAIRS = np.array(list(combinations(range(CORNERS + _EDGES.shape[1]), 2))).T


@dataclass(frozen=True)
class Projected:
    """Boxes as the cameras see them, before any filter by size in pixels."""

    boxes: np.ndarray
    """(n, 4) float64 x1, y1, x2, y2 in pixels, inside the picture; zeros where not seen."""
    seen: np.ndarray
    """(n,) bool."""
    degenerate: np.ndarray
    """(n,) bool: not seen, since all that would be is a line or a point."""
    distance: np.ndarray
    """(n,) metres from the camera to the box's middle; 0 where not seen."""


@dataclass(frozen=True)
class _Points:
    """Hulls in pictures by their points."""

    boxes: np.ndarray
    """(n,) which boxes they are of."""
    x: np.ndarray
    """(k, n) pixels."""
    y: np.ndarray
    lines: np.ndarray
    """(2, m) pairs of points, among which are the hulls' edges."""


def project(
    translation: np.ndarray, size: np.ndarray, rotation: np.ndarray, views: Views, mode: Mode = "devkit"
) -> Projected:
    """Project each box into its view.

    ``devkit`` drops corners behind the camera and takes the hull of the others, as `get_2d_boxes` of the
    devkit does; ``clipped`` cuts the edges `NEAR` before the camera.

    Args:
        translation: (n, 3) middles of the boxes in the global frame, metres.
        size: (n, 3) width, length, height in metres.
        rotation: (n, 4) quaternions w, x, y, z, from the box's frame to the global one.
        views: (n) views.
    """
    n = len(translation)
    boxes, seen, degenerate, distance = np.zeros((n, 4)), np.zeros(n, bool), np.zeros(n, bool), np.zeros(n)
    for start in range(0, n, BLOCK):
        block = slice(start, min(start + BLOCK, n))
        radius = np.sqrt(np.einsum("ni,ni->n", size[block], size[block])) / 2
        near = start + _perhaps_seen(translation[block], radius, views.take(block))
        of_near = views.take(near)
        corners = _corners(translation[near], size[near], rotation[near], of_near)
        limits = of_near.size[:, of_near.row]
        for points in _points(corners, mode):
            found = hull_boxes(points.x, points.y, limits[:, points.boxes], points.lines)
            rows = near[points.boxes]
            boxes[rows[found.seen]] = found.boxes[found.seen]
            seen[rows], degenerate[rows] = found.seen, found.degenerate
    shown = np.flatnonzero(seen)
    distance[shown] = np.linalg.norm(translation[shown] - views.camera[:, views.row[shown]].T, axis=1)
    return Projected(boxes, seen, degenerate, distance)


def _perhaps_seen(translation: np.ndarray, radius: np.ndarray, views: Views) -> np.ndarray:
    """Which boxes may be seen: not those whose enclosing sphere lies behind or wholly beyond a side."""
    rows, view = np.arange(len(radius)), views.row
    x, y, z = translation.T
    reach = -radius * (1 + 1e-9) - 1e-6
    for plane in views.planes:
        a, b, c, d = plane[:, view]
        kept = np.flatnonzero(a * x + b * y + c * z + d >= reach)
        rows, view, reach, x, y, z = rows[kept], view[kept], reach[kept], x[kept], y[kept], z[kept]
    return rows


def _corners(translation: np.ndarray, size: np.ndarray, rotation: np.ndarray, views: Views) -> np.ndarray:
    """(3, 8, n) corners in pixels times depth, and depth in metres."""
    matrix, turn = views.matrix[..., views.row], matrices(rotation)
    axes = sum(matrix[:, i, None] * turn[i] for i in range(3))
    axes *= size[:, [1, 0, 2]].T / 2  # along the box's own axes: length, width, height
    away = translation.T - views.ego[:, views.row]
    corners = (matrix * away).sum(axis=1)[:, None] + views.shift[:, None, views.row]
    for axis in range(3):
        side = axes[:, None, axis]
        corners = np.concatenate([corners - side, corners + side], axis=1)
    return np.asarray(corners)


def _points(corners: np.ndarray, mode: Mode) -> Iterator[_Points]:
    """The points of hulls: of boxes wholly before the camera, then of those partly before it."""
    there = corners[2] > 0 if mode == "devkit" else corners[2] >= NEAR
    whole, some = there.all(axis=0), there.any(axis=0)
    rows = np.flatnonzero(whole)
    x, y, depth = corners if len(rows) == len(whole) else corners[..., rows]
    yield _Points(rows, x / depth, y / depth, _EDGES)
    rows = np.flatnonzero(some & ~whole)
    if not len(rows):
        return
    corners, there, lines = corners[..., rows], there[:, rows], _PAIRS
    if mode == "clipped":
        corners, there, lines = *_cut(corners, there), _ALL_PAIRS
    # Of the points that are not there, each is put where one is that is.
    first = corners[:, there.argmax(axis=0), np.arange(len(rows))]
    x, y, depth = np.where(there, corners, first[:, None])
    yield _Points(rows, x / depth, y / depth, lines)


def _cut(corners: np.ndarray, there: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(3, 20, n) corners, and places where edges meet the near plane; (20, n) which of them there are."""
    one, other = corners[:, _EDGES[0]], corners[:, _EDGES[1]]
    cut = there[_EDGES[0]] != there[_EDGES[1]]
    share = (NEAR - one[2]) / np.where(cut, other[2] - one[2], 1.0)
    places = one + share * (other - one)
    places[2] = NEAR
    return np.concatenate([corners, places], axis=1), np.concatenate([there, cut])
