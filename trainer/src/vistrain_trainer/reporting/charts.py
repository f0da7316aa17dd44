"""A chart as data: what the page and the figures draw."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal

SLOTS = 8
"""Colours that tell lines apart; further lines take them again, dashed."""
INK = -1
_WIDE = 50
"""Greatest by median of positive values above which an axis is logarithmic."""


@dataclass(frozen=True)
class Line:
    """A curve in a chart."""

    label: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    """Finite, one for each x."""
    slot: int
    """Colour, from 0; the same in every chart for the same thing. INK for what sums the others up."""
    faint: bool = False
    """Single readings behind their means."""
    stepped: bool = False
    """The outline of a histogram: its points are corners, not readings."""

    def __post_init__(self) -> None:
        if len(self.x) != len(self.y) or not all(map(math.isfinite, (*self.x, *self.y))):
            raise ValueError(f"{self.label}: a line takes as many finite places as values")


@dataclass(frozen=True)
class Flag:
    """A place that a chart marks with a vertical line."""

    x: float
    number: int
    """What the legend of the flags calls it."""
    kind: str
    text: str


@dataclass(frozen=True)
class Band:
    """A stretch that a chart names along its upper edge."""

    first: float
    last: float
    kind: Literal["phase", "part"]
    text: str


@dataclass(frozen=True)
class Chart:
    """Lines over one axis."""

    key: str
    """File name of its figures, and its place in the page."""
    title: str
    x_label: str
    y_label: str
    lines: tuple[Line, ...]
    flags: tuple[Flag, ...] = ()
    bands: tuple[Band, ...] = ()
    x_range: tuple[float, float] | None = None
    x_logarithmic: bool = False
    """Then it begins above zero."""
    y_floor: float | None = None
    """Where the upright axis begins; with the least value when none."""
    y_ceiling: float | None = None
    note: str = ""
    """What a reader must know to read it."""

    @property
    def logarithmic(self) -> bool:
        """Whether one value dwarfs the others, so that a linear axis would show nothing but that one."""
        values = [value for line in self.lines for value in line.y]
        if self.y_ceiling is not None or not values or min(values) <= 0:
            return False
        return max(values) > _WIDE * median(values)

    @property
    def span(self) -> tuple[float, float]:
        """Left and right end."""
        if self.x_range is not None:
            return self.x_range
        places = [place for line in self.lines for place in line.x]
        return min(places), max(places)


def thinned(
    x: Sequence[float], y: Sequence[float], limit: int = 600
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """About `limit` points at most: of each stretch its least and its greatest, so that peaks stay."""
    if len(x) <= limit:
        return tuple(x), tuple(y)
    stretch = 2 * len(x) / limit
    kept = {0, len(x) - 1}
    start = 0.0
    while start < len(x):
        places = range(int(start), min(len(x), int(start + stretch)) or 1)
        if places:
            kept |= {min(places, key=y.__getitem__), max(places, key=y.__getitem__)}
        start += stretch
    order = sorted(kept)
    return tuple(x[place] for place in order), tuple(y[place] for place in order)


def drawn(charts: Iterable[Chart | None]) -> tuple[Chart, ...]:
    """The charts that have something to show."""
    return tuple(chart for chart in charts if chart is not None and any(line.x for line in chart.lines))
