"""The state of the world: scenes as functions of time, without any picture."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from vistrain_trainer.data.world.catalogue import Colour, Kind
from vistrain_trainer.data.world.pose import Pose
from vistrain_trainer.data.world.road import Lane, Road


def token(seed: int, *parts: object) -> str:
    """A 32-digit hexadecimal name that is a function of the seed and the parts."""
    return hashlib.md5(repr((seed, *parts)).encode(), usedforsecurity=False).hexdigest()


@dataclass(frozen=True)
class Drive:
    """Distance along the road over time: a mean speed with a slow swell (metres, m/s, seconds)."""

    start: float
    speed: float
    swell: float = 0.0
    """Metres that the swell leads or lags by at most."""
    period: float = 8.0

    def distance(self, seconds: float) -> float:
        """Metres along the road."""
        return (
            self.start + self.speed * seconds + self.swell * float(np.sin(2 * np.pi * seconds / self.period))
        )

    def velocity(self, seconds: float) -> float:
        """Metres per second along the road."""
        rate = 2 * np.pi / self.period
        return self.speed + self.swell * rate * float(np.cos(rate * seconds))


@dataclass(frozen=True)
class Instance:
    """One object through a scene."""

    token: str
    class_name: str
    kind: Kind
    size: tuple[float, float, float]
    """Width, length, height in metres, nuScenes' order."""
    colour: Colour
    lane: Lane
    drive: Drive
    road: Road

    def pose(self, seconds: float) -> Pose:
        """Its pose, at the middle of its footprint on the ground, in the global frame."""
        return self.road.pose(self.drive.distance(seconds), self.lane)

    def velocity(self, seconds: float) -> np.ndarray:
        """(3,) m/s in the global frame."""
        along = self.road.pose(self.drive.distance(seconds), Lane(self.lane.offset)).rotation[:, 0]
        return np.asarray(along * self.drive.velocity(seconds))


@dataclass(frozen=True)
class Building:
    """Scenery beside the road, never annotated. Size is width, length, height in metres."""

    pose: Pose
    size: tuple[float, float, float]
    colour: Colour


@dataclass(frozen=True)
class Scene:
    """A drive of some seconds."""

    name: str
    token: str
    start: int
    """Microseconds since 1970."""
    sample_times: tuple[int, ...]
    """Microseconds since 1970 of the annotated samples."""
    road: Road
    ego_drive: Drive
    ego_lane: Lane
    instances: tuple[Instance, ...]
    buildings: tuple[Building, ...]
    daylight: float
    """Brightness, 1 at noon."""

    def seconds(self, timestamp: int) -> float:
        """Time into the scene."""
        return (timestamp - self.start) / 1e6

    def ego_pose(self, timestamp: int) -> Pose:
        """The ego vehicle in the global frame."""
        return self.road.pose(self.ego_drive.distance(self.seconds(timestamp)), self.ego_lane)
