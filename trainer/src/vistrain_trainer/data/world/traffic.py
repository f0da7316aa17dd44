"""The road users of a scene of a release, all at a time: where each is and how it is turned."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from functools import cache

import numpy as np

from vistrain_trainer.data.world.categories import SORTS
from vistrain_trainer.data.world.exact import sine_cosine, uniform
from vistrain_trainer.data.world.quaternions import from_angles, rotated
from vistrain_trainer.data.world.road import LANES, Lane, Road
from vistrain_trainer.data.world.scene import Drive, pace, travelled
from vistrain_trainer.data.world.simulation import GAPS, lane_drive

RADIUS = 80.0
"""Metres around the ego vehicle within which objects are annotated."""
CLEAR = 9.0
"""Metres of its lane before and behind the ego vehicle that nobody enters."""
MOST = 120.0
"""Annotations in a sample that the road has room for."""
EVERY_LANE = {**LANES, "verge right": Lane(-11.6), "verge left": Lane(11.6, reverse=True)}
"""The lanes of the small world, and the verges where things stand."""
_GAPS = {**GAPS, "verge right": (3.0, 22.0), "verge left": (3.0, 22.0)}
_SORTS_OF = {name: [row for row, (kind, _) in enumerate(SORTS) if name in kind.lanes] for name in EVERY_LANE}
_SIZES = np.array([(kind.width, kind.length, kind.height) for kind, _ in SORTS])
_WEIGHTS = np.array([weight for _, weight in SORTS])
_TILT = math.radians(3)
_GOLDEN = (math.sqrt(5) - 1) / 2


@dataclass(frozen=True)
class Poses:
    """n objects at m times."""

    ground: np.ndarray
    """(n, m, 3) middles of their footprints, metres in the global frame."""
    rotation: np.ndarray
    """(n, m, 4)"""


@dataclass(frozen=True)
class Traffic:
    """n objects as columns, each (n,) unless said."""

    road: Road
    sort: np.ndarray
    """Row of `SORTS`."""
    size: np.ndarray
    """(n, 3) width, length, height in metres."""
    colour: np.ndarray
    """Row of its kind's colours."""
    offset: np.ndarray
    """Metres to the left of the road's centre line."""
    reverse: np.ndarray
    """1 where it faces against the road, else 0."""
    start: np.ndarray
    """With the next three a `Drive`."""
    speed: np.ndarray
    swell: np.ndarray
    period: np.ndarray
    sway: np.ndarray
    """(n, 3) radians that yaw, pitch and roll swing to either side."""
    sway_rate: np.ndarray
    """Radians per second of that swing; 0 for what stands."""
    sway_phase: np.ndarray
    """(n, 3) radians."""

    def __len__(self) -> int:
        return len(self.sort)

    def chosen(self, rows: np.ndarray) -> Traffic:
        """Some of the objects."""
        columns = {field.name: getattr(self, field.name) for field in fields(self)[1:]}
        return Traffic(self.road, **{name: column[rows] for name, column in columns.items()})

    def poses(self, seconds: np.ndarray) -> Poses:
        """Where they are at (m,) times into the scene."""
        start, speed, swell, period, offset = (
            column[:, None] for column in (self.start, self.speed, self.swell, self.period, self.offset)
        )
        along = travelled(start, speed, swell, period, seconds)
        angle = self.sway_rate[:, None, None] * seconds[:, None] + self.sway_phase[:, None]
        sway = self.sway[:, None] * sine_cosine(angle)[0]
        yaw = self.road.heading(along) + math.pi * self.reverse[:, None] + sway[..., 0]
        flat = self.road.points(along, offset)
        ground = np.concatenate([flat, np.zeros((*along.shape, 1))], axis=-1)
        return Poses(ground, from_angles(yaw, sway[..., 1], sway[..., 2]))

    def centres(self, poses: Poses) -> np.ndarray:
        """(n, m, 3) middles of their boxes at such poses."""
        middle = np.zeros((len(self), 1, 3))
        middle[:, 0, 2] = self.size[:, 2] * 0.5
        return np.asarray(poses.ground + rotated(poses.rotation, middle))

    def paces(self, seconds: np.ndarray) -> np.ndarray:
        """(n, m) metres per second along the road."""
        speed, swell, period = (column[:, None] for column in (self.speed, self.swell, self.period))
        return pace(speed, swell, period, seconds)


def make_traffic(
    random: np.random.Generator, road: Road, ego: Drive, *, seconds: float, density: float
) -> Traffic:
    """Fill each lane from end to end; all in a lane move alike, so that nobody runs into anybody.

    Args:
        seconds: that the scene lasts.
        density: objects within `RADIUS` of the ego vehicle that are wanted on average.
    """
    stretch = _stretch(density)
    lanes = [_lane(random, road, ego, name, seconds, stretch) for name in EVERY_LANE]
    columns = [field.name for field in fields(Traffic)[1:]]
    return Traffic(road, **{name: np.concatenate([lane[name] for lane in lanes]) for name in columns})


def _lane(
    random: np.random.Generator, road: Road, ego: Drive, name: str, seconds: float, stretch: float
) -> dict[str, np.ndarray]:
    lane, drive, sorts = EVERY_LANE[name], lane_drive(name, ego, random), np.array(_SORTS_OF[name])
    # Traffic that comes towards the ego vehicle starts further away: it passes within the scene.
    room = road.length - min(0.0, drive.speed) * seconds
    low, high = (gap * stretch for gap in _GAPS[name])
    count = int(room / (_SIZES[sorts, 1].min() * 0.9 + low)) + 2
    # A golden section's multiples spread over the kinds more evenly than draws: few scenes show them all.
    share = (random.random() + _GOLDEN * np.arange(count)) % 1.0
    bounds = np.cumsum(_WEIGHTS[sorts])
    sort = sorts[np.searchsorted(bounds, share * bounds[-1], side="right").clip(max=len(sorts) - 1)]
    size = _SIZES[sort] * uniform(random, 0.92, 1.08, count, 3)
    gaps = uniform(random, low, high, count)
    pitch = size[:, 1] + gaps
    middle = np.cumsum(pitch) - gaps - size[:, 1] * 0.5 - pitch[0] * random.random()
    moves = drive.speed != 0
    person = np.array([kind.category.startswith("human.") for kind, _ in SORTS])[sort]
    sway = uniform(random, 0.0, 1.0, count, 3) * np.array([0.0, _TILT, _TILT])
    # People look about: large turns between samples are what interpolation of rotations is judged by.
    sway[:, 0] = np.where(person, 0.6 * uniform(random, 0.0, 1.0, count), 0.0)
    colours = np.array([len(kind.colours) for kind, _ in SORTS])[sort]
    columns = {
        "sort": sort,
        "size": np.round(size, 3),
        "colour": (random.random(count) * colours).astype(np.int64),
        "offset": lane.offset + uniform(random, -0.3, 0.3, count),
        "reverse": np.full(count, int(lane.reverse)),
        "start": middle,
        "speed": np.full(count, drive.speed),
        "swell": np.full(count, drive.swell),
        "period": np.full(count, drive.period),
        "sway": sway,
        "sway_rate": uniform(random, 1.0, 2.0, count) * moves,
        "sway_phase": uniform(random, 0.0, 2 * math.pi, count, 3),
    }
    kept = middle < room
    if name == "own":
        kept &= np.abs(middle - ego.start) >= CLEAR + size[:, 1] * 0.5
    return {name: column[kept] for name, column in columns.items()}


@cache
def _stretch(density: float) -> float:
    """The factor of the gaps between neighbours that gives a number of objects within the radius."""
    low, high = 0.02, 1000.0
    for _ in range(60):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if _expected(middle) > density else (low, middle)
    return high


def _expected(stretch: float) -> float:
    total = 0.0
    for name, lane in EVERY_LANE.items():
        sorts = [SORTS[row] for row in _SORTS_OF[name]]
        length = sum(kind.length * weight for kind, weight in sorts) / sum(weight for _, weight in sorts)
        taken = 2 * math.sqrt(RADIUS**2 - lane.offset**2) - (2 * CLEAR + length if name == "own" else 0)
        total += taken / (length + stretch * sum(_GAPS[name]) / 2)
    return total
