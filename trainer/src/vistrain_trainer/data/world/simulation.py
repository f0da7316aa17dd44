"""Making of scenes from a seed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count

import numpy as np

from vistrain_trainer.data.randomness import Purpose, generator
from vistrain_trainer.data.world.catalogue import KINDS
from vistrain_trainer.data.world.exact import uniform
from vistrain_trainer.data.world.pose import Pose
from vistrain_trainer.data.world.road import LANES, Lane, Road
from vistrain_trainer.data.world.scene import Building, Drive, Instance, Scene, token

SAMPLE_INTERVAL = 500_000
"""Microseconds between samples: 2 Hz."""
EPOCH = 1_532_402_900_000_000
"""Microseconds since 1970 of the first scene's start."""
GAPS: dict[str, tuple[float, float]] = {
    "own": (8, 30),
    "oncoming": (8, 30),
    "parked right": (3, 22),
    "parked left": (3, 22),
    "cycle right": (8, 28),
    "cycle left": (8, 28),
    "pavement right": (4, 25),
    "pavement left": (4, 25),
}
"""The least and the most metres between neighbours in a lane."""
BEHIND, AHEAD = 40.0, 60.0
"""Metres of road that are populated behind and ahead of the ego vehicle's way."""


def make_scene(seed: int, number: int, samples: int, classes: Sequence[str]) -> Scene:
    """The scene of a number (0-based): equal arguments give an equal scene.

    Args:
        samples: annotated samples, half a second apart.
        classes: the classes that road users are drawn from.
    """
    random = generator(seed, Purpose.WORLD, number)
    start = EPOCH + number * 60_000_000
    seconds = samples * SAMPLE_INTERVAL / 1e6
    ego = Drive(start=BEHIND, speed=random.uniform(5, 10), swell=random.uniform(0, 2))
    way = BEHIND + ego.distance(seconds) + AHEAD
    road = Road(random, way + BEHIND)
    return Scene(
        name=f"scene-{number + 1:04d}",
        token=token(seed, "scene", number),
        start=start,
        sample_times=tuple(start + at * SAMPLE_INTERVAL for at in range(samples)),
        road=road,
        ego_drive=ego,
        ego_lane=LANES["own"],
        instances=tuple(
            _instances((seed, "instance", number), classes, road, ego, seconds=seconds, random=random)
        ),
        buildings=tuple(buildings(road, random)),
        daylight=random.uniform(0.75, 1.0),
    )


def _instances(
    name_parts: tuple[int, str, int],
    classes: Sequence[str],
    road: Road,
    ego: Drive,
    *,
    seconds: float,
    random: np.random.Generator,
) -> Iterator[Instance]:
    """Fill each lane front to back; all in a lane move alike, so that nobody runs into anybody."""
    serial = count()
    for name, lane in LANES.items():
        here = [class_name for class_name in classes if name in KINDS[class_name].lanes]
        drive = lane_drive(name, ego, random)
        # Oncoming traffic starts further away: it comes by within the scene.
        first, last = (0.0, road.length) if drive.speed >= 0 else (0.0, road.length - drive.speed * seconds)
        at = first + random.uniform(2, 12)
        while here and at < last:
            class_name = here[int(random.integers(len(here)))]
            kind = KINDS[class_name]
            stretch = random.uniform(0.92, 1.08, 3)
            width, length, height = (kind.width, kind.length, kind.height) * stretch
            middle = at + length / 2
            if not (name == "own" and abs(middle - ego.start) < 9 + length / 2):
                yield Instance(
                    token=token(*name_parts, next(serial)),
                    class_name=class_name,
                    kind=kind,
                    size=(float(width), float(length), float(height)),
                    colour=kind.colours[int(random.integers(len(kind.colours)))],
                    lane=Lane(lane.offset + random.uniform(-0.3, 0.3), lane.reverse),
                    drive=Drive(middle, drive.speed, drive.swell, drive.period),
                    road=road,
                )
            at += length + random.uniform(*GAPS[name])


def lane_drive(name: str, ego: Drive, random: np.random.Generator) -> Drive:
    """How everything in a lane moves; its start is each object's own."""
    if name == "own":
        return ego
    if name == "oncoming":
        return Drive(0, -_drawn(random, 4, 9), _drawn(random, 0, 1.5))
    if name.startswith("cycle"):
        way = 1 if name.endswith("right") else -1
        return Drive(0, _drawn(random, 2, 5) * way, _drawn(random, 0, 0.5))
    if name.startswith("pavement"):
        return Drive(0, _drawn(random, 0.8, 1.6) * (1 if name.endswith("right") else -1))
    return Drive(0, 0.0)


def _drawn(random: np.random.Generator, low: float, high: float) -> float:
    return float(uniform(random, low, high))


def buildings(road: Road, random: np.random.Generator) -> Iterator[Building]:
    """Scenery along both sides of a road."""
    for side in (-1, 1):
        at = 0.0
        while at < road.length:
            length, depth, height = random.uniform((8, 6, 4), (20, 12, 14))
            offset = side * (13 + random.uniform(0, 5) + depth / 2)
            grey = random.uniform(90, 165)
            tint = random.uniform(-12, 12, 3)
            pose: Pose = road.pose(min(at + length / 2, road.length), Lane(offset))
            blue, green, red = (int(value) for value in (grey + tint).round())
            yield Building(pose, (float(depth), float(length), float(height)), (blue, green, red))
            at += length + random.uniform(2, 25)
