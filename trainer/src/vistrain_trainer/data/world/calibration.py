"""How the sensors of a car sit and project, a little otherwise on every car and every day."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vistrain_trainer.data.world.cameras import RIG, Camera, make_rig
from vistrain_trainer.data.world.exact import uniform
from vistrain_trainer.data.world.pose import Pose
from vistrain_trainer.data.world.quaternions import canonical, from_angles, matrices, multiply
from vistrain_trainer.data.world.timing import LIDAR, RADARS

CHANNELS = (*RIG, LIDAR, *RADARS)
"""Every sensor of a car, in the order of the table."""

# Position in the vehicle (metres) and yaw (degrees to the left) of what is no camera.
_OTHERS = {
    LIDAR: ((0.94, 0.0, 1.84), -90.0),
    "RADAR_FRONT": ((3.41, 0.0, 0.5), 0.0),
    "RADAR_FRONT_LEFT": ((2.42, 0.8, 0.78), 90.0),
    "RADAR_FRONT_RIGHT": ((2.42, -0.8, 0.78), -90.0),
    "RADAR_BACK_LEFT": ((-0.56, 0.62, 0.53), 175.0),
    "RADAR_BACK_RIGHT": ((-0.56, -0.62, 0.53), -175.0),
}
# A camera's axes (x right, y down, z forward) in those of a vehicle (x forward, y left, z up).
_FORWARD = np.array([0.5, -0.5, 0.5, -0.5])


def modality(channel: str) -> str:
    """What kind of sensor a channel is of: camera, lidar or radar."""
    return {"CAM": "camera", "LIDAR": "lidar", "RADAR": "radar"}[channel.split("_", maxsplit=1)[0]]


@dataclass(frozen=True)
class Calibration:
    """One sensor on one day."""

    channel: str
    translation: np.ndarray
    """(3,) metres in the ego frame."""
    rotation: np.ndarray
    """(4,)"""
    intrinsic: np.ndarray | None
    """(3, 3) pixels, of a camera."""

    def camera(self, height: int, width: int) -> Camera:
        """The camera as the renderer takes it."""
        assert self.intrinsic is not None
        pose = Pose(self.translation, matrices(self.rotation))
        return Camera(self.channel, pose, self.intrinsic, width, height)


def calibrate(
    random: np.random.Generator, channels: Sequence[str], height: int, width: int
) -> list[Calibration]:
    """The channels' calibrations; every channel is drawn, so that each is what it is beside any others."""
    drawn = {channel: _calibration(random, channel, height, width) for channel in CHANNELS}
    return [drawn[channel] for channel in channels]


def _calibration(random: np.random.Generator, channel: str, height: int, width: int) -> Calibration:
    shift = uniform(random, -0.02, 0.02, 3)
    turn = uniform(random, -math.radians(0.6), math.radians(0.6), 3)
    stretch, centre = uniform(random, 0.995, 1.005), uniform(random, -6.0, 6.0, 2)
    if channel not in RIG:
        position, yaw = _OTHERS[channel]
        rotation = from_angles(math.radians(yaw) + turn[0], turn[1], turn[2])
        return Calibration(channel, np.round(position + shift, 6), rotation, None)
    (camera,) = make_rig([channel], height, width)
    facing = from_angles(math.radians(RIG[channel].yaw) + turn[0], turn[1], turn[2])
    intrinsic = camera.intrinsic.copy()
    intrinsic[[0, 1], [0, 1]] *= stretch
    intrinsic[:2, 2] += centre * (width / 1600)
    rotation = canonical(multiply(facing, _FORWARD))
    return Calibration(channel, np.round(camera.pose.translation + shift, 6), rotation, intrinsic)
