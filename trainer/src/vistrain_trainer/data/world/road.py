"""The road that everything moves along."""

from __future__ import annotations

import math
from copy import copy
from dataclasses import dataclass

import numpy as np

from vistrain_trainer.data.world.exact import sine_cosine, uniform
from vistrain_trainer.data.world.pose import Pose

STEP = 0.5
"""Metres between the points of the centre line."""


@dataclass(frozen=True)
class Lane:
    """A lane: its offset to the left of the centre line in metres, and whether it is driven against it."""

    offset: float
    reverse: bool = False


LANES: dict[str, Lane] = {
    "own": Lane(-1.9),
    "oncoming": Lane(1.9, reverse=True),
    "cycle right": Lane(-4.4),
    "cycle left": Lane(4.4, reverse=True),
    "parked right": Lane(-6.8),
    "parked left": Lane(6.8, reverse=True),
    "pavement right": Lane(-9.2),
    "pavement left": Lane(9.2, reverse=True),
}
HALF_WIDTH = 8.4
"""Half the width of the tarmac in metres."""


class Road:
    """A winding centre line on flat ground, by distance along it; straight beyond its ends."""

    def __init__(self, random: np.random.Generator, length: float) -> None:
        self.length = length
        distance = np.arange(0, length + STEP, STEP)
        wave, swing, start = (
            uniform(random, low, high) for low, high in ((150, 400), (0.0, 0.35), (0, 2 * math.pi))
        )
        bend, _ = sine_cosine(2 * math.pi * distance / wave + start)
        heading = uniform(random, -math.pi, math.pi) + swing * bend
        origin = uniform(random, 300, 1500, 2)
        sine, cosine = sine_cosine(heading[:-1])
        self._heading = heading
        self._x = origin[0] + np.concatenate([[0.0], np.cumsum(cosine * STEP)])
        self._y = origin[1] + np.concatenate([[0.0], np.cumsum(sine * STEP)])

    def pose(self, distance: float, lane: Lane) -> Pose:
        """The ground pose of a lane at a distance along the road, facing the lane's way of driving."""
        heading = float(self.heading(np.array([distance]))[0])
        x, y = self.points(np.array([distance]), lane.offset)[0]
        return Pose.on_ground(x, y, heading + (math.pi if lane.reverse else 0.0))

    def heading(self, distance: np.ndarray) -> np.ndarray:
        """The way the road runs at distances along it, radians, of the same shape."""
        return self._between(self._heading, distance)

    def points(self, distance: np.ndarray, offset: np.ndarray | float) -> np.ndarray:
        """(…, 2) ground points at distances along the road and an offset to its left."""
        sine, cosine = sine_cosine(self.heading(distance))
        beyond = distance - distance.clip(0, (len(self._heading) - 1) * STEP)
        x = self._between(self._x, distance) + beyond * cosine - offset * sine
        y = self._between(self._y, distance) + beyond * sine + offset * cosine
        return np.stack([x, y], axis=-1)

    def shifted(self, x: float, y: float) -> Road:
        """The same road with the lower left corner of its upright hull at a place (metres)."""
        moved = copy(self)
        moved._x = self._x - self._x.min() + x
        moved._y = self._y - self._y.min() + y
        return moved

    @staticmethod
    def _between(values: np.ndarray, distance: np.ndarray) -> np.ndarray:
        """Linear interpolation; the first value before the start, the last one after the end."""
        within = distance.clip(0, (len(values) - 1) * STEP)
        at = np.minimum((within / STEP).astype(np.int64), len(values) - 2)
        return np.asarray((values[at + 1] - values[at]) / STEP * (within - at * STEP) + values[at])
