"""Projection of cuboids and polygons into a camera."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from vistrain_trainer.data.world.cameras import Camera
from vistrain_trainer.data.world.pose import Pose

NEAR = 0.1
"""Metres in front of a camera at which polygons are cut off."""

# Corners as (x, y, z) ends, and the six faces by corner, seen from outside.
_ENDS = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)])
FACES = np.array([[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]])
_EDGES = np.array(
    [(a, b) for a in range(8) for b in range(a + 1, 8) if np.abs(_ENDS[a] - _ENDS[b]).sum() == 1]
)


@dataclass(frozen=True)
class View:
    """A camera at one moment: from the global frame to pixels."""

    camera: Camera
    ego: Pose

    def to_camera(self, points: np.ndarray) -> np.ndarray:
        """(n, 3) global points in the camera's frame (x right, y down, z forward), metres."""
        return self.camera.pose.from_parent(self.ego.from_parent(points))

    def to_pixels(self, points: np.ndarray) -> np.ndarray:
        """(n, 2) pixels of (n, 3) points in the camera's frame, all in front of it."""
        projected = points @ self.camera.intrinsic.T
        return np.asarray(projected[:, :2] / projected[:, 2:])

    @cached_property
    def eye(self) -> np.ndarray:
        """(3,) the camera in the global frame."""
        return np.asarray(self.ego.to_parent(self.camera.pose.translation[None])[0])


def cuboid_corners(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """(8, 3) corners of an upright cuboid, in the order that `FACES` refers to."""
    return np.where(_ENDS == 0, low, high)


def box_corners(pose: Pose, size: tuple[float, float, float]) -> np.ndarray:
    """(8, 3) global corners of a box that stands on the ground; size is width, length, height."""
    width, length, height = size
    return pose.to_parent(
        cuboid_corners(np.array([-length / 2, -width / 2, 0.0]), np.array([length / 2, width / 2, height]))
    )


def cut_polygon(points: np.ndarray) -> np.ndarray:
    """The part of a polygon ((n, 3), camera frame) in front of the near plane; may have no points."""
    depth = points[:, 2]
    if (depth >= NEAR).all():
        return points
    kept = []
    for here, there in zip(points, np.roll(points, -1, axis=0), strict=True):
        if here[2] >= NEAR:
            kept.append(here)
        if (here[2] >= NEAR) != (there[2] >= NEAR):
            share = (NEAR - here[2]) / (there[2] - here[2])
            kept.append(here + share * (there - here))
    return np.array(kept).reshape(-1, 3)


def image_box(view: View, corners: np.ndarray) -> tuple[float, float, float, float] | None:
    """The upright hull, inside the image, of a cuboid's part before the near plane.

    Args:
        corners: (8, 3) global corners in the order of `cuboid_corners`.

    Returns:
        x1, y1, x2, y2 in pixels, or None where nothing of it lies inside the image.
    """
    points = view.to_camera(corners)
    in_front = points[:, 2] >= NEAR
    seen = [points[in_front]]
    for a, b in _EDGES[in_front[_EDGES[:, 0]] != in_front[_EDGES[:, 1]]]:
        share = (NEAR - points[a, 2]) / (points[b, 2] - points[a, 2])
        seen.append((points[a] + share * (points[b] - points[a]))[None])
    visible = np.concatenate(seen)
    if len(visible) == 0:
        return None
    pixels = view.to_pixels(visible)
    limit = (view.camera.width, view.camera.height)
    left, top = pixels.min(axis=0).clip(0, limit)
    right, bottom = pixels.max(axis=0).clip(0, limit)
    if right <= left or bottom <= top:
        return None
    return float(left), float(top), float(right), float(bottom)
