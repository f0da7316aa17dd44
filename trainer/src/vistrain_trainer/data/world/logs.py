"""The days and places of a release: which scene was driven when, where and with which car."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

from vistrain_trainer.data.world.scene import token
from vistrain_trainer.data.world.simulation import EPOCH

LOCATIONS = ("singapore-onenorth", "boston-seaport", "singapore-queenstown", "singapore-hollandvillage")
"""One map each."""
SCENES = 12
"""Most scenes of a log."""
_DAY = 86_400_000_000


@dataclass(frozen=True)
class Log:
    """A drive of a car, of which scenes are cut."""

    token: str
    name: str
    """Such as n015-2018-07-24-11-28-20+0800: vehicle and local time."""
    vehicle: str
    date: str
    location: str
    start: int
    """Microseconds since 1970."""
    scenes: tuple[str, ...]
    """Names, by time."""


def make_logs(seed: int, names: Sequence[str]) -> list[Log]:
    """Spread scenes over logs, and the logs over the locations in turn."""
    size = min(SCENES, math.ceil(len(names) / len(LOCATIONS)))
    return [
        _log(seed, number, names[first : first + size])
        for number, first in enumerate(range(0, len(names), size))
    ]


def map_file(location: str) -> str:
    """The name of a location's map mask, relative to the root."""
    return f"maps/{token(0, 'map', location)}.png"


def _log(seed: int, number: int, names: Sequence[str]) -> Log:
    location = LOCATIONS[number % len(LOCATIONS)]
    boston = location.startswith("boston")
    vehicle, hours = ("n008", -4) if boston else ("n015", 8)
    start = EPOCH + number * _DAY
    when = datetime.fromtimestamp(start // 1_000_000, UTC).astimezone(timezone(timedelta(hours=hours)))
    return Log(
        token=token(seed, "log", number),
        name=f"{vehicle}-{when:%Y-%m-%d-%H-%M-%S%z}",
        vehicle=vehicle,
        date=f"{when:%Y-%m-%d}",
        location=location,
        start=start,
        scenes=tuple(names),
    )
