"""What changed the course of a run, as events.jsonl tells it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

# The engine's own reader: a row that it would drop at the next start is no event here either.
from vistrain_trainer.engine.rows import whole_rows

PHASE, ROLL_BACK, MICRO_BATCH, EARLY_STOPPING = "phase", "rollBack", "microBatch", "earlyStopping"


@dataclass(frozen=True)
class RunEvent:
    """Something that changed how a run goes on."""

    kind: str
    """`phase`, `rollBack`, `microBatch`, `earlyStopping`; others are kept as they are."""
    step: int
    """Optimiser steps done when it happened; of a roll-back, after it."""
    epoch: int
    """Epochs done likewise."""
    time: datetime | None
    details: Mapping[str, Any]
    """What the row says beyond that."""


@dataclass(frozen=True)
class EarlyStop:
    """A phase, or the run, that ended for want of improvement."""

    what: str
    """`run`, or such as `phase head`."""
    step: int
    epoch: int
    """Epochs done."""
    best: int | None
    """Epoch of its best value; none when it never had one."""
    metric: str
    patience: int
    left_out: int
    """Epochs of the plan that were left out for it."""

    @property
    def of_run(self) -> bool:
        """Whether it ended the whole run."""
        return self.what == "run"


def read_events(path: Path) -> tuple[RunEvent, ...]:
    """The events in the order of their rows; empty where there is no such file, as in runs without any.

    Raises:
        OSError: the file is there and cannot be read.
    """
    found = []
    for row in whole_rows(path):
        known = ("event", "step", "epoch", "time")
        try:
            time = datetime.fromisoformat(row["time"]) if row.get("time") else None
            event = RunEvent(
                kind=str(row["event"]),
                step=int(row["step"]),
                epoch=int(row.get("epoch") or 0),
                time=time,
                details=MappingProxyType({key: value for key, value in row.items() if key not in known}),
            )
        except (ValueError, KeyError, TypeError):
            continue
        found.append(event)
    return tuple(found)


def early_stops(events: Sequence[RunEvent]) -> tuple[EarlyStop, ...]:
    """The early stops among them."""
    return tuple(
        EarlyStop(
            what=str(one.details.get("what", "run")),
            step=one.step,
            epoch=one.epoch,
            best=one.details.get("best"),
            metric=str(one.details.get("metric", "")),
            patience=int(one.details.get("patience", 0)),
            left_out=int(one.details.get("leftOut", 0)),
        )
        for one in events
        if one.kind == EARLY_STOPPING
    )


def epochs_before_tail(planned: int, tail: int, stops: Sequence[EarlyStop]) -> int | None:
    """Epochs done when the last `tail` epochs of the plan begin; none when they are left out.

    A stop leaves out the rest of its stretch, and what follows keeps its place in the plan.
    """
    begin, skipped = planned - tail, 0
    for stop in stops:
        place = stop.epoch + skipped
        if place >= begin:
            break
        skipped += stop.left_out
        if place + stop.left_out >= planned:
            return None
        if place + stop.left_out >= begin:
            return stop.epoch
    return begin - skipped
