"""The camera rig, after nuScenes': where six cameras sit and how they project."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from vistrain_trainer.data.world.pose import Pose

NATIVE_WIDTH, NATIVE_HEIGHT = 1600, 900
"""Pixels of the pictures that the focal lengths below are for."""

# Axes of a camera (x right, y down, z forward) in those of a vehicle (x forward, y left, z up).
_FORWARD = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])


@dataclass(frozen=True)
class Mount:
    """Position in the vehicle (metres), yaw (degrees to the left), focal length and centre (pixels)."""

    position: tuple[float, float, float]
    yaw: float
    focal: float
    centre: tuple[float, float]


RIG: dict[str, Mount] = {
    "CAM_FRONT": Mount((1.70, 0.02, 1.51), 0.0, 1266.0, (816.0, 491.0)),
    "CAM_FRONT_RIGHT": Mount((1.55, -0.49, 1.50), -56.5, 1261.0, (808.0, 495.0)),
    "CAM_BACK_RIGHT": Mount((1.01, -0.48, 1.56), -111.0, 1260.0, (807.0, 501.0)),
    "CAM_BACK": Mount((0.03, 0.00, 1.57), 180.0, 809.0, (829.0, 481.0)),
    "CAM_BACK_LEFT": Mount((1.05, 0.48, 1.56), 108.5, 1257.0, (792.0, 492.0)),
    "CAM_FRONT_LEFT": Mount((1.52, 0.49, 1.51), 55.0, 1273.0, (826.0, 479.0)),
}


@dataclass(frozen=True)
class Camera:
    """A calibrated camera."""

    name: str
    pose: Pose
    """In the ego vehicle."""
    intrinsic: np.ndarray
    """(3, 3), pixels."""
    width: int
    height: int


def make_rig(names: Sequence[str], height: int, width: int) -> tuple[Camera, ...]:
    """The named cameras for pictures of (height, width): scaled by width, cut or extended at top and bottom.

    Raises:
        KeyError: there is no such camera.
    """
    scale = width / NATIVE_WIDTH
    shift = (height - NATIVE_HEIGHT * scale) / 2
    cameras = []
    for name in names:
        mount = RIG[name]
        yaw = Rotation.from_euler("z", mount.yaw, degrees=True).as_matrix()
        intrinsic = np.array(
            [
                [mount.focal * scale, 0.0, mount.centre[0] * scale],
                [0.0, mount.focal * scale, mount.centre[1] * scale + shift],
                [0.0, 0.0, 1.0],
            ]
        )
        pose = Pose(np.array(mount.position), yaw @ _FORWARD)
        cameras.append(Camera(name, pose, intrinsic, width, height))
    return tuple(cameras)
