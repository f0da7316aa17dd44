"""How much a run's curves vary."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import Literal

import numpy as np

from vistrain_trainer.reporting.events import early_stops, epochs_before_tail
from vistrain_trainer.reporting.history import History
from vistrain_trainer.reporting.series import Point, Series

Verdict = Literal["very stable", "stable", "unstable"]
TOTAL = "loss/total"
_VERY_STABLE, _STABLE = 0.05, 0.10


@dataclass(frozen=True)
class Spread:
    """Mean and spread of a curve's values."""

    count: int
    mean: float
    std: float
    """Standard deviation of these very values (divided by their count, not by one less)."""

    @property
    def variation(self) -> float | None:
        """Coefficient of variation, std / |mean|; none with fewer than two values or a mean of zero."""
        return None if self.count < 2 or self.mean == 0 else self.std / abs(self.mean)

    @property
    def verdict(self) -> Verdict | None:
        """`very stable` below 5 % of variation, `stable` below 10 %, else `unstable`; none without one."""
        variation = self.variation
        if variation is None:
            return None
        if variation < _VERY_STABLE:
            return "very stable"
        return "stable" if variation < _STABLE else "unstable"


@dataclass(frozen=True)
class Stability:
    """The spread of one curve, over the whole run and without its warm-up."""

    name: str
    overall: Spread
    after_warmup: Spread | None
    """None as long as no value lies after the warm-up."""


@dataclass(frozen=True)
class Stretch:
    """Epochs that belong together."""

    name: str
    kind: Literal["run", "phase", "part"]
    """A run without phases is one phase, `run`; warm-up, main and no-aug are its parts."""
    first: int
    """First epoch, from 1."""
    last: int
    """Last epoch that is trained."""
    planned_last: int
    """Last epoch that the manifest plans; where epochs tell their phase, the last of it."""


_Planned = tuple[str, Literal["run", "phase", "part"], int, int]


@dataclass(frozen=True)
class StretchFigures:
    """One curve within one stretch."""

    stretch: Stretch
    name: str
    start: Point
    end: Point
    spread: Spread

    @property
    def delta(self) -> float:
        """End less start."""
        return self.end.value - self.start.value


def spread(series: Series) -> Spread | None:
    """Mean and spread; none of an empty curve."""
    if not series.values:
        return None
    values = np.array(series.values)
    return Spread(len(values), float(values.mean()), float(values.std()))


def warmup_epochs(history: History) -> int:
    """Epochs of the warm-up that the run begins with: the first phase's own, where it states one."""
    schedule = history.manifest.spec.schedule
    own = schedule.phases[0].warmup_epochs if schedule.phases else None
    return schedule.warmup_epochs if own is None else own


def judged(history: History) -> tuple[str, ...]:
    """The columns whose stability is judged: the total loss, the primary metric."""
    return tuple(name for name in (TOTAL, history.primary) if len(history.over_epochs(name)))


def stability(history: History) -> tuple[Stability, ...]:
    """Stability of the loss and of the primary metric; empty before the first epoch's end."""
    found = []
    for name in judged(history):
        series = history.over_epochs(name)
        overall = spread(series)
        assert overall is not None
        warmup = warmup_epochs(history)
        found.append(Stability(name, overall, spread(series.between(warmup + 1, history.trained_epochs))))
    return tuple(found)


def stretches(history: History) -> tuple[Stretch, ...]:
    """The phases of a run, then its parts, as far as they are trained."""
    schedule = history.manifest.spec.schedule
    planned = _phases(history)
    warm = warmup_epochs(history)
    tail = epochs_before_tail(schedule.epochs, schedule.no_aug_epochs, early_stops(history.events))
    bare = schedule.epochs if tail is None else tail
    planned += [
        ("warm-up", "part", 1, warm),
        ("main", "part", warm + 1, bare),
        ("no-aug", "part", bare + 1, schedule.epochs),
    ]
    trained = history.trained_epochs
    return tuple(
        Stretch(name, kind, first, min(last, trained), last)
        for name, kind, first, last in planned
        if first <= min(last, trained)
    )


def _phases(history: History) -> list[_Planned]:
    """Name, kind, first and last planned epoch; where epochs tell their phase, as they were trained."""
    schedule = history.manifest.spec.schedule
    if history.phases:  # one that stopped early made the next begin before it was planned to
        found: list[_Planned] = []
        for name, epochs in groupby(sorted(history.phases), key=history.phases.__getitem__):
            numbers = list(epochs)
            found.append((name, "phase", numbers[0], numbers[-1]))
        return found
    if schedule.phases is None:
        return [("whole run", "run", 1, schedule.epochs)]
    planned: list[_Planned] = []
    first = 1
    for phase in schedule.phases:
        last = schedule.epochs if phase.epochs is None else first + phase.epochs - 1
        planned.append((phase.name, "phase", first, last))
        first = last + 1
    return planned


def stretch_figures(history: History) -> tuple[StretchFigures, ...]:
    """Start, end and spread of loss and primary metric in every stretch that has a value of it."""
    found = []
    for stretch in stretches(history):
        for name in judged(history):
            part = history.over_epochs(name).between(stretch.first, stretch.last)
            figures = spread(part)
            if figures is not None and part.first is not None and part.last is not None:
                found.append(StretchFigures(stretch, name, part.first, part.last, figures))
    return tuple(found)
