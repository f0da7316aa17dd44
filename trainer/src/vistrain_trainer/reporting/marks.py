"""The marks on a run's curves: where something began, ended, was best or was interrupted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from vistrain_api.protocol import ExitCode
from vistrain_api.schedule import Schedule
from vistrain_trainer.reporting.attempts import Interruption
from vistrain_trainer.reporting.events import (
    EARLY_STOPPING,
    MICRO_BATCH,
    PHASE,
    ROLL_BACK,
    RunEvent,
    early_stops,
    epochs_before_tail,
)
from vistrain_trainer.reporting.series import Point

MarkKind = Literal[
    "phase", "warm-up end", "no-aug start", "best", "roll-back", "micro-batch", "early stop", "stop", "resume"
]


@dataclass(frozen=True)
class Mark:
    """A place on a curve over steps."""

    kind: MarkKind
    step: int
    """Optimiser steps completed there."""
    epoch: float | None
    """Epochs completed there, with their fraction; none while the length of an epoch is unknown."""
    text: str
    """What it marks, for a legend."""


def find_marks(
    schedule: Schedule,
    steps_per_epoch: int | None,
    reached: int,
    best: Point | None,
    best_name: str,
    breaks: Sequence[Interruption],
    events: Sequence[RunEvent] = (),
) -> tuple[Mark, ...]:
    """The marks in the order of their steps.

    What the schedule plans ahead of the step `reached` is left out. A stop may lie ahead of it: its last
    steps are lost.
    """

    def mark(kind: MarkKind, step: int, text: str) -> Mark:
        return Mark(kind, step, None if steps_per_epoch is None else step / steps_per_epoch, text)

    marks = []
    if steps_per_epoch is not None:
        for start, warm in _warmups(schedule, steps_per_epoch, events):
            end = start // steps_per_epoch + warm
            marks.append(mark("warm-up end", start + warm * steps_per_epoch, f"end of warm-up (epoch {end})"))
        bare = epochs_before_tail(schedule.epochs, schedule.no_aug_epochs, early_stops(events))
        if schedule.no_aug_epochs > 0 and bare is not None:
            text = f"start of no-aug (epoch {bare + 1})"
            marks.append(mark("no-aug start", bare * steps_per_epoch, text))
        if best is not None:
            text = f"best {best_name} (epoch {best.at})"
            marks.append(mark("best", best.at * steps_per_epoch, text))
    marks = [one for one in marks if one.step <= reached]
    told = [(event, *words) for event in events if (words := _words(event)) is not None]
    marks += [mark(kind, event.step, text) for event, kind, text in told]
    for one in breaks:
        name = f"attempt {one.ended.attempt}"
        if one.ended.last_step is not None:
            marks.append(mark("stop", one.ended.last_step, f"{name} ended ({reason(one)})"))
        if one.resumed is not None:
            restored = one.resumed.restored_step
            how = "began anew" if restored is None else "went on from here"
            marks.append(mark("resume", restored or 0, f"attempt {one.resumed.attempt} {how}"))
    return tuple(sorted(marks, key=lambda one: one.step))


def _warmups(schedule: Schedule, steps_per_epoch: int, events: Sequence[RunEvent]) -> list[tuple[int, int]]:
    """Step at which each warm-up begins, with its epochs: the run's, then those that phases state."""
    phases = schedule.phases or []
    began = {str(one.details.get("name")): one.step for one in events if one.kind == PHASE}
    found, planned = [], 0
    if not phases or phases[0].warmup_epochs is None:
        found.append((0, schedule.warmup_epochs))
    for phase in phases:
        start = began.get(phase.name, planned * steps_per_epoch if not began else None)
        if phase.warmup_epochs is not None and start is not None:
            found.append((start, phase.warmup_epochs))
        planned += phase.epochs or 0
    return [(start, epochs) for start, epochs in found if epochs > 0]


def reason(one: Interruption) -> str:
    """Why an attempt ended, in a few words."""
    ended = one.ended
    if ended.exit_code is None:
        return "without a word, as when killed"
    if ended.exit_code == ExitCode.STOPPED:
        return "stopped on request"
    return f"{ended.failure or 'a fault'}, exit code {ended.exit_code}"


def _words(event: RunEvent) -> tuple[MarkKind, str] | None:
    """Kind and text of an event's mark; none for one that is not known."""
    details = event.details
    if event.kind == PHASE:
        frozen = ", ".join(map(str, details.get("frozen") or ()))
        return "phase", f"phase {details.get('name', '')} begins" + (f" (frozen: {frozen})" if frozen else "")
    if event.kind == ROLL_BACK:
        return "roll-back", f"rolled back to here from step {details.get('from')}"
    if event.kind == MICRO_BATCH:
        return "micro-batch", f"micro-batch shrunk from {details.get('before')} to {details.get('after')}"
    if event.kind == EARLY_STOPPING:
        (stop,) = early_stops([event])
        return "early stop", f"{stop.what} stopped early (patience {stop.patience})"
    return None
