"""A named curve: values over epochs or over optimiser steps."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, NamedTuple

Mode = Literal["max", "min"]

_LESS_IS_BETTER = frozenset({"valLoss", "IDSW"})


class Point(NamedTuple):
    """One value of a curve."""

    at: int
    """Epoch or step, from 1."""
    value: float


@dataclass(frozen=True)
class Series:
    """Finite values in the order of their epochs or steps; places without a value are left out."""

    name: str
    """Column it comes from, such as `loss/total` or `AP`."""
    at: tuple[int, ...] = ()
    """Epochs or steps, rising, from 1."""
    values: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if len(self.at) != len(self.values):
            raise ValueError(f"{self.name}: {len(self.at)} places for {len(self.values)} values")
        if any(later <= earlier for earlier, later in pairwise(self.at)):
            raise ValueError(f"{self.name}: places do not rise")

    def __len__(self) -> int:
        return len(self.values)

    @property
    def points(self) -> tuple[Point, ...]:
        """All values with their places."""
        return tuple(map(Point, self.at, self.values))

    @property
    def first(self) -> Point | None:
        """The earliest value."""
        return Point(self.at[0], self.values[0]) if self.values else None

    @property
    def last(self) -> Point | None:
        """The latest value."""
        return Point(self.at[-1], self.values[-1]) if self.values else None

    def best(self, mode: Mode) -> Point | None:
        """The largest or least value; of equal ones the earliest, as the engine keeps it."""
        sign = -1 if mode == "max" else 1
        return min(self.points, key=lambda point: (sign * point.value, point.at), default=None)

    def between(self, first: int, last: int) -> Series:
        """The part from one place to another, both included."""
        kept = [point for point in self.points if first <= point.at <= last]
        return Series(self.name, tuple(point.at for point in kept), tuple(point.value for point in kept))


def mode_of(name: str) -> Mode:
    """Whether more or less of a column is better, whatever its split (`test/`) or class (`/car`)."""
    if name.startswith("loss/"):
        return "min"
    return "min" if name.removeprefix("test/").partition("/")[0] in _LESS_IS_BETTER else "max"
