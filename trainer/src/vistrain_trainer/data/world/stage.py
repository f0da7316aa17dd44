"""One scene of a release: the world that its tables tell of and its pictures show."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property

import numpy as np

from vistrain_trainer.data.randomness import Purpose, generator
from vistrain_trainer.data.world.categories import SORTS
from vistrain_trainer.data.world.exact import sine_cosine, uniform
from vistrain_trainer.data.world.pose import Pose
from vistrain_trainer.data.world.quaternions import from_angles, matrices
from vistrain_trainer.data.world.road import LANES, Road
from vistrain_trainer.data.world.scene import Building, Drive, Moment, Placed, Thing, travelled
from vistrain_trainer.data.world.simulation import buildings
from vistrain_trainer.data.world.timing import Turns, make_turns
from vistrain_trainer.data.world.traffic import RADIUS, Traffic, make_traffic

MARGIN = 100.0
"""Metres of road behind and ahead of the ego vehicle's way."""
PLACE = 200.0
"""Metres of a map within which roads have their lower left corner, either way."""
SIGHT = 90.0
"""Metres that one sees: a little further than objects are annotated."""


# Amplitude, rate and phase of the ego vehicle's pitch and roll.
_LEAST_SWAY = np.array([math.radians(0.2), 0.8, 0.0])
_MOST_SWAY = np.array([math.radians(1.2), 2.0, 2 * math.pi])


class Draw(IntEnum):
    """What is drawn for a scene: each from its own stream, so that none shifts with another."""

    CLOCK = 1
    TRAFFIC = 2
    SCENERY = 3
    FIRINGS = 4
    CALIBRATION = 5
    ANNOTATIONS = 6
    TOKENS = 7


def scene_generator(seed: int, name: str, draw: Draw, *counters: int) -> np.random.Generator:
    """The generator of one draw of the scene of a name, such as scene-0061."""
    number = int(name.removeprefix("scene-"))
    return generator(seed, Purpose.WORLD, number, int(draw), *(counter + 1 for counter in counters))


@dataclass(frozen=True)
class Stage:
    """A scene as functions of time (microseconds since 1970)."""

    turns: Turns
    road: Road
    ego: Drive
    ego_sway: np.ndarray
    """(2, 3) amplitude (radians), rate (radians per second) and phase (radians) of pitch and roll."""
    traffic: Traffic
    buildings: tuple[Building, ...]
    daylight: float

    def seconds(self, timestamp: np.ndarray) -> np.ndarray:
        """Times into the scene."""
        return np.asarray((timestamp - self.turns.timestamp[0]) / 1e6)

    def ego_poses(self, timestamp: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(n, 3) places in metres and (n, 4) rotations of the ego vehicle in the global frame."""
        seconds, lane = self.seconds(timestamp), LANES["own"]
        along = travelled(self.ego.start, self.ego.speed, self.ego.swell, self.ego.period, seconds)
        pitch, roll = (
            amplitude * sine_cosine(rate * seconds + phase)[0] for amplitude, rate, phase in self.ego_sway
        )
        place = np.concatenate([self.road.points(along, lane.offset), np.zeros((len(along), 1))], axis=1)
        return place, from_angles(self.road.heading(along), pitch, roll)

    def ego_pose(self, timestamp: int) -> Pose:
        """The ego vehicle at one time."""
        place, rotation = self.ego_poses(np.array([timestamp]))
        return Pose(place[0], matrices(rotation[0]))

    def moment(self, timestamp: int) -> Moment:
        """What there is to be seen at a time."""
        seconds = self.seconds(np.array([timestamp]))
        poses = self.traffic.poses(seconds)
        turned = matrices(poses.rotation[:, 0])
        return Moment(
            road=self.road,
            ego_distance=self.ego.distance(float(seconds[0])),
            objects=tuple(
                Placed(thing, Pose(place, rotation))
                for thing, place, rotation in zip(self._things, poses.ground[:, 0], turned, strict=True)
            ),
            buildings=self.buildings,
            daylight=self.daylight,
            sight=SIGHT,
        )

    @cached_property
    def _things(self) -> list[Thing]:
        found = []
        columns = (self.traffic.sort.tolist(), self.traffic.size.tolist(), self.traffic.colour.tolist())
        for number, (sort, (width, length, height), colour) in enumerate(zip(*columns, strict=True)):
            kind = SORTS[sort][0]
            size = (width, length, height)
            found.append(Thing(str(number), kind.category, kind, size, kind.colours[colour]))
        return found


def make_stage(
    seed: int, name: str, start: int, *, samples: int, dropped_samples: float, density: float
) -> Stage:
    """The scene of a name: equal arguments give an equal scene.

    Args:
        name: such as scene-0061.
        start: microseconds since 1970.
        samples: moments that may be samples; a share of them is dropped.
        density: objects within `RADIUS` of the ego vehicle that are wanted on average.
    """
    clock, random, scenery = (
        scene_generator(seed, name, draw) for draw in (Draw.CLOCK, Draw.TRAFFIC, Draw.SCENERY)
    )
    turns = make_turns(clock, start, samples, dropped_samples)
    seconds = float(turns.timestamp[-1] - turns.timestamp[0]) / 1e6
    stands = random.random() < 0.1  # at a red light, say
    speed, swell = (0.0, 0.0) if stands else (float(uniform(random, *span)) for span in ((5, 10), (0, 2)))
    ego = Drive(MARGIN, speed, swell)
    length = MARGIN + ego.distance(seconds) + MARGIN
    road = Road(random, length).shifted(*uniform(random, RADIUS, PLACE, 2))
    ego_sway = uniform(random, _LEAST_SWAY, _MOST_SWAY, 2, 3)
    return Stage(
        turns=turns,
        road=road,
        ego=ego,
        ego_sway=ego_sway,
        traffic=make_traffic(random, road, ego, seconds=seconds, density=density),
        buildings=tuple(buildings(road, scenery)),
        daylight=float(uniform(scenery, 0.75, 1.0)),
    )
