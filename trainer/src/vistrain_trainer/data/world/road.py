"""The road that everything moves along."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

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
            random.uniform(150, 400),
            random.uniform(0.0, 0.35),
            random.uniform(0, 2 * math.pi),
        )
        heading = random.uniform(-math.pi, math.pi) + swing * np.sin(2 * math.pi * distance / wave + start)
        origin = random.uniform(300, 1500, 2)
        self._distance = distance
        self._heading = heading
        self._x = origin[0] + np.concatenate([[0.0], np.cumsum(np.cos(heading[:-1]) * STEP)])
        self._y = origin[1] + np.concatenate([[0.0], np.cumsum(np.sin(heading[:-1]) * STEP)])

    def pose(self, distance: float, lane: Lane) -> Pose:
        """The ground pose of a lane at a distance along the road, facing the lane's way of driving."""
        heading = float(np.interp(distance, self._distance, self._heading))
        x, y = self.points(np.array([distance]), lane.offset)[0]
        return Pose.on_ground(x, y, heading + (math.pi if lane.reverse else 0.0))

    def points(self, distance: np.ndarray, offset: float) -> np.ndarray:
        """(n, 2) ground points at distances along the road and an offset to its left."""
        heading = np.interp(distance, self._distance, self._heading)
        beyond = distance - distance.clip(0, self._distance[-1])
        x = np.interp(distance, self._distance, self._x) + beyond * np.cos(heading) - offset * np.sin(heading)
        y = np.interp(distance, self._distance, self._y) + beyond * np.sin(heading) + offset * np.cos(heading)
        return np.stack([x, y], axis=1)
