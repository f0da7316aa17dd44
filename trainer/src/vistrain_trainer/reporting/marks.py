"""The marks on a run's curves: where something began, ended, was best or was interrupted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from vistrain_api.protocol import ExitCode
from vistrain_api.schedule import Schedule
from vistrain_trainer.reporting.attempts import Interruption
from vistrain_trainer.reporting.series import Point

MarkKind = Literal["warm-up end", "no-aug start", "best", "stop", "resume"]


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
) -> tuple[Mark, ...]:
    """The marks in the order of their steps.

    What the schedule plans ahead of the step `reached` is left out. A stop may lie ahead of it: its last
    steps are lost.
    """

    def mark(kind: MarkKind, step: int, text: str) -> Mark:
        return Mark(kind, step, None if steps_per_epoch is None else step / steps_per_epoch, text)

    marks = []
    if steps_per_epoch is not None:
        warm, bare = schedule.warmup_epochs, schedule.no_aug_epochs
        if warm > 0:
            marks.append(mark("warm-up end", warm * steps_per_epoch, f"end of warm-up (epoch {warm})"))
        if bare > 0:
            first = schedule.epochs - bare
            text = f"start of no-aug (epoch {first + 1})"
            marks.append(mark("no-aug start", first * steps_per_epoch, text))
        if best is not None:
            text = f"best {best_name} (epoch {best.at})"
            marks.append(mark("best", best.at * steps_per_epoch, text))
    marks = [one for one in marks if one.step <= reached]
    for one in breaks:
        name = f"attempt {one.ended.attempt}"
        if one.ended.last_step is not None:
            marks.append(mark("stop", one.ended.last_step, f"{name} ended ({reason(one)})"))
        if one.resumed is not None:
            restored = one.resumed.restored_step
            how = "began anew" if restored is None else "went on from here"
            marks.append(mark("resume", restored or 0, f"attempt {one.resumed.attempt} {how}"))
    return tuple(sorted(marks, key=lambda one: one.step))


def reason(one: Interruption) -> str:
    """Why an attempt ended, in a few words."""
    ended = one.ended
    if ended.exit_code is None:
        return "without a word, as when killed"
    if ended.exit_code == ExitCode.STOPPED:
        return "stopped on request"
    return f"{ended.failure or 'a fault'}, exit code {ended.exit_code}"
