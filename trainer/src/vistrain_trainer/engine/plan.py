"""The plan of a run: its phases laid out in optimiser steps.

A position is a step of the plan. Without early stopping it is the number of steps done; a phase that stops
early leaves out the rest of its stretch, so that whatever follows keeps the rate, the order of samples and
the no-aug tail that it was planned with.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from vistrain_api.schedule import Phase, Schedule
from vistrain_trainer.engine.schedule import RateCurve


@dataclass(frozen=True)
class PlannedPhase:
    """A stretch of the plan."""

    name: str
    """Empty in a run without phases."""
    number: int
    first: int
    """First position."""
    end: int
    """The position after its last."""
    freeze: tuple[str, ...]
    """Parts of the model that do not change."""
    start_best: bool
    """Whether it begins with the best weights so far and a fresh optimiser."""
    patience: int | None
    """Epochs without improvement after which it ends."""
    curve: RateCurve
    curve_from: int
    """Position at which the curve begins: the run's start, or the phase's where the curve is its own."""
    part_curves: Mapping[str, RateCurve] = field(default_factory=dict)
    """Curves of the parts that have a rate of their own."""

    def rate(self, position: int, part: str) -> float:
        """The rate of a part of the model at a position."""
        return self.part_curves.get(part, self.curve).rate(position - self.curve_from)


@dataclass(frozen=True)
class Plan:
    """All phases, in order and without gaps."""

    phases: tuple[PlannedPhase, ...]
    steps_per_epoch: int

    @classmethod
    def of(cls, schedule: Schedule, steps_per_epoch: int) -> Plan:
        """The plan that a manifest states."""
        run_curve = RateCurve.of(schedule, steps_per_epoch)
        if schedule.phases is None:
            whole = PlannedPhase(
                name="",
                number=0,
                first=0,
                end=schedule.epochs * steps_per_epoch,
                freeze=(),
                start_best=False,
                patience=None,
                curve=run_curve,
                curve_from=0,
            )
            return cls((whole,), steps_per_epoch)
        phases: list[PlannedPhase] = []
        first_epoch = 0
        for number, phase in enumerate(schedule.phases):
            epochs = phase.epochs if phase.epochs is not None else schedule.epochs - first_epoch
            own = phase.learning_rate or phase.learning_rates or phase.warmup_epochs is not None
            curves = _own_curves(schedule, phase, first_epoch, epochs, steps_per_epoch) if own else None
            phases.append(
                PlannedPhase(
                    name=phase.name,
                    number=number,
                    first=first_epoch * steps_per_epoch,
                    end=(first_epoch + epochs) * steps_per_epoch,
                    freeze=tuple(phase.freeze),
                    start_best=phase.start == "best",
                    patience=None if phase.early_stopping is None else phase.early_stopping.patience,
                    curve=run_curve if curves is None else curves[0],
                    curve_from=0 if curves is None else first_epoch * steps_per_epoch,
                    part_curves={} if curves is None else curves[1],
                )
            )
            first_epoch += epochs
        return cls(tuple(phases), steps_per_epoch)

    @property
    def total(self) -> int:
        """Positions in all."""
        return self.phases[-1].end

    @property
    def needs_best(self) -> bool:
        """Whether a phase will ask for the best checkpoint."""
        return any(phase.start_best for phase in self.phases)

    def phase_at(self, position: int) -> PlannedPhase:
        """The phase that a position lies in; past the end, the last."""
        return next((phase for phase in self.phases if position < phase.end), self.phases[-1])


def _own_curves(
    schedule: Schedule, phase: Phase, first_epoch: int, epochs: int, steps_per_epoch: int
) -> tuple[RateCurve, dict[str, RateCurve]]:
    """A curve over the phase alone, and those of the parts that state a rate.

    What the phase does not state is the run's; the run's warm-up is that of its first phase only. The flat
    tail is what the phase has of the run's no-aug epochs.
    """
    stated = phase.learning_rate or schedule.learning_rate
    warmup = phase.warmup_epochs
    if warmup is None:
        warmup = min(schedule.warmup_epochs, epochs) if first_epoch == 0 else 0
    tail_from = schedule.epochs - schedule.no_aug_epochs
    flat = max(0, first_epoch + epochs - max(tail_from, first_epoch))

    def over_phase(peak: float) -> RateCurve:
        return RateCurve(
            curve=stated.curve,
            peak=peak,
            ratio=stated.min_ratio,
            total=epochs * steps_per_epoch,
            warmup=warmup * steps_per_epoch,
            flat=flat * steps_per_epoch if stated.curve == "yolox" else 0,
        )

    default = over_phase(stated.peak_for(schedule.batch_size))
    return default, {part: over_phase(peak) for part, peak in (phase.learning_rates or {}).items()}
