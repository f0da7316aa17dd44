"""The state of the world: scenes as functions of time, without any picture."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from vistrain_trainer.data.world.catalogue import Colour, Kind
from vistrain_trainer.data.world.exact import Real, sine_cosine
from vistrain_trainer.data.world.pose import Pose
from vistrain_trainer.data.world.road import Lane, Road

SIGHT = 40.0
"""Metres that one sees in a hazy scene."""


def token(seed: int, *parts: object) -> str:
    """A 32-digit hexadecimal name that is a function of the seed and the parts."""
    return hashlib.md5(repr((seed, *parts)).encode(), usedforsecurity=False).hexdigest()


def travelled(
    start: Real,
    speed: Real,
    swell: Real,
    period: Real,
    seconds: Real,
) -> np.ndarray:
    """Metres along the road of `Drive`s at times."""
    return np.asarray(start + speed * seconds + swell * sine_cosine(2 * np.pi * seconds / period)[0])


def pace(
    speed: Real,
    swell: Real,
    period: Real,
    seconds: Real,
) -> np.ndarray:
    """Metres per second along the road of `Drive`s at times."""
    rate = 2 * np.pi / period
    return np.asarray(speed + swell * rate * sine_cosine(rate * seconds)[1])


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
        return float(travelled(self.start, self.speed, self.swell, self.period, seconds))

    def velocity(self, seconds: float) -> float:
        """Metres per second along the road."""
        return float(pace(self.speed, self.swell, self.period, seconds))


@dataclass(frozen=True)
class Thing:
    """What an object looks like."""

    token: str
    class_name: str
    kind: Kind
    size: tuple[float, float, float]
    """Width, length, height in metres, nuScenes' order."""
    colour: Colour


@dataclass(frozen=True)
class Placed:
    """An object at one time."""

    thing: Thing
    pose: Pose
    """At the middle of its footprint, in the global frame."""


@dataclass(frozen=True)
class Instance(Thing):
    """One object through a scene."""

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
class Moment:
    """A scene at one time: all that a picture shows."""

    road: Road
    ego_distance: float
    """Metres of the ego vehicle along the road."""
    objects: tuple[Placed, ...]
    buildings: tuple[Building, ...]
    daylight: float
    """Brightness, 1 at noon."""
    sight: float = SIGHT
    """Metres at which haze swallows everything; nothing further is drawn or annotated."""


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

    def moment(self, timestamp: int) -> Moment:
        """What there is to be seen at a time."""
        seconds = self.seconds(timestamp)
        return Moment(
            road=self.road,
            ego_distance=self.ego_drive.distance(seconds),
            objects=tuple(Placed(instance, instance.pose(seconds)) for instance in self.instances),
            buildings=self.buildings,
            daylight=self.daylight,
        )
