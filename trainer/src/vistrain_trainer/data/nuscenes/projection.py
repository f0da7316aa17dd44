"""Projection of 3D boxes into the cameras of a release.

Global frame ─▶ vehicle at the picture's time ─▶ camera ─▶ pixels, with the pose and calibration of the
picture's own row of sample_data. Most boxes lie out of view of a camera, which their enclosing spheres
tell.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from vistrain_trainer.data.nuscenes.hulls import hull_boxes
from vistrain_trainer.data.nuscenes.quaternions import matrices
from vistrain_trainer.data.nuscenes.release import Release

Mode = Literal["devkit", "clipped"]
NEAR = 0.1
"""Metres before the camera at which `clipped` cuts edges."""
# Corners by the signs of x (length), y (width), z (height), and the edges between them.
_SIGNS = np.array([(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], np.float64)
_EDGES = np.array(
    [(a, b) for a in range(8) for b in range(a + 1, 8) if (_SIGNS[a] != _SIGNS[b]).sum() == 1]
).T


@dataclass(frozen=True)
class Views:
    """Cameras at the moments of (n) pictures; components come first, which is how they are computed with."""

    ego: np.ndarray
    """(3, n) the vehicle in the global frame, metres."""
    rotation: np.ndarray
    """(3, 3, n) from the global frame's directions to the camera's (x right, y down, z forward)."""
    shift: np.ndarray
    """(3, n) the vehicle's origin in the camera's frame, metres."""
    intrinsic: np.ndarray
    """(3, 3, n) pixels; the third row is 0, 0, 1."""
    size: np.ndarray
    """(2, n) width and height in pixels."""

    @classmethod
    def of(cls, release: Release, frames: slice | np.ndarray) -> Views:
        """The views of some rows of `Release.frames`."""
        rows, calibrations = release.frames, release.calibrations
        kind = rows.calibration[frames]
        return cls.make(
            rows.ego_translation[frames],
            rows.ego_rotation[frames],
            calibrations.translation[kind],
            calibrations.rotation[kind],
            calibrations.intrinsic[kind],
            rows.size[frames],
        )

    @classmethod
    def make(
        cls,
        ego_translation: np.ndarray,
        ego_rotation: np.ndarray,
        translation: np.ndarray,
        rotation: np.ndarray,
        intrinsic: np.ndarray,
        size: np.ndarray,
    ) -> Views:
        """Views from poses of vehicles ((n, 3), (n, 4)) and cameras on them ((n, 3), (n, 4), (n, 3, 3)).

        Args:
            size: (n, 2) width and height of the pictures.
        """
        to_vehicle = matrices(ego_rotation).swapaxes(0, 1)
        to_camera = matrices(rotation).swapaxes(0, 1)
        return cls(
            ego=np.ascontiguousarray(ego_translation.T, np.float64),
            rotation=np.einsum("ijn,jkn->ikn", to_camera, to_vehicle),
            shift=-np.einsum("ijn,nj->in", to_camera, translation),
            intrinsic=np.ascontiguousarray(np.moveaxis(intrinsic, 0, -1), np.float64),
            size=np.ascontiguousarray(size.T, np.float64),
        )

    def take(self, rows: np.ndarray) -> Views:
        """The views of those rows, in that order; a row may come often."""
        return Views(
            self.ego[:, rows],
            self.rotation[..., rows],
            self.shift[:, rows],
            self.intrinsic[..., rows],
            self.size[:, rows],
        )


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
    """(n,) metres from the camera to the box's middle."""


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
    boxes, seen, degenerate = np.zeros((n, 4)), np.zeros(n, bool), np.zeros(n, bool)
    middle = np.einsum("ijn,jn->in", views.rotation, translation.T - views.ego) + views.shift
    near = np.flatnonzero(_maybe_seen(middle, np.linalg.norm(size, axis=1) / 2, views))
    if len(near):
        turn = np.einsum("ijn,jkn->ikn", views.rotation[..., near], matrices(rotation[near]))
        half = size[near][:, [1, 0, 2]].T / 2  # along the box's own axes: length, width, height
        corners = np.einsum("ikn,kn,ck->nci", turn, half, _SIGNS) + middle[:, near].T[:, None]
        points, valid = (corners, corners[..., 2] > 0) if mode == "devkit" else _clipped(corners)
        found = hull_boxes(_pixels(points, valid, views.intrinsic[..., near]), valid, views.size[:, near].T)
        boxes[near], seen[near], degenerate[near] = found.boxes, found.seen, found.degenerate
    boxes[~seen] = 0
    return Projected(boxes, seen, degenerate, np.sqrt((middle * middle).sum(axis=0)))


def _maybe_seen(middle: np.ndarray, radius: np.ndarray, views: Views) -> np.ndarray:
    """(n,) bool: false only where the sphere around a box lies wholly beyond a side of the picture or behind.

    A point before the camera is left of the picture where (first row of the intrinsic matrix) · point <
    0, and so on: planes through the camera, by which spheres are told apart.
    """
    possible = middle[2] + radius > 0
    slack = radius * (1 + 1e-9) + 1e-6
    for axis in (0, 1):
        low = views.intrinsic[axis]
        high = views.size[axis] * views.intrinsic[2] - low
        for plane in (low, high):
            length = np.sqrt((plane * plane).sum(axis=0))
            possible &= (plane * middle).sum(axis=0) + slack * length >= 0
    return np.asarray(possible)


def _pixels(points: np.ndarray, valid: np.ndarray, intrinsic: np.ndarray) -> np.ndarray:
    """(n, k, 2) pixels of (n, k, 3) points in the cameras' frames; anything where not valid."""
    depth = np.where(valid, points[..., 2], 1.0)
    pixels = np.einsum("ijn,nkj->nki", intrinsic[:2], points)
    return np.asarray(pixels / depth[..., None])


def _clipped(corners: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(n, 20, 3) corners, and places where edges meet the near plane; (n, 20) which of them there are."""
    depth = corners[..., 2]
    kept = depth >= NEAR
    one, other = corners[:, _EDGES[0]], corners[:, _EDGES[1]]
    cut = kept[:, _EDGES[0]] != kept[:, _EDGES[1]]
    fall = np.where(cut, other[..., 2] - one[..., 2], 1.0)
    share = np.where(cut, (NEAR - one[..., 2]) / fall, 0.0)
    places = one + share[..., None] * (other - one)
    places[..., 2] = np.where(cut, NEAR, places[..., 2])
    return np.concatenate([corners, places], axis=1), np.concatenate([kept, cut], axis=1)
