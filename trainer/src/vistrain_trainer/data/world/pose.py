"""Rigid poses in three dimensions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation


@dataclass(frozen=True)
class Pose:
    """Where a frame lies in its parent: x_parent = rotation · x + translation (metres)."""

    translation: np.ndarray
    """(3,)"""
    rotation: np.ndarray
    """(3, 3)"""

    @classmethod
    def on_ground(cls, x: float, y: float, yaw: float) -> Pose:
        """A pose on the ground plane; yaw in radians, counter-clockwise from x."""
        return cls(np.array([x, y, 0.0]), Rotation.from_euler("z", yaw).as_matrix())

    def to_parent(self, points: np.ndarray) -> np.ndarray:
        """(n, 3) points of this frame in the parent's."""
        return np.asarray(points @ self.rotation.T + self.translation)

    def from_parent(self, points: np.ndarray) -> np.ndarray:
        """(n, 3) points of the parent's frame in this one."""
        return np.asarray((points - self.translation) @ self.rotation)

    def quaternion(self) -> list[float]:
        """The rotation as w, x, y, z, w not negative, as nuScenes writes it."""
        quaternion = Rotation.from_matrix(self.rotation).as_quat(canonical=True, scalar_first=True)
        return [float(value) for value in quaternion]
