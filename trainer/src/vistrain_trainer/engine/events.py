"""events.jsonl: what changed the course of a run (phases, early stops, roll-backs, shrinks), each once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from vistrain_trainer.engine.attempts import now
from vistrain_trainer.engine.fence import Fence
from vistrain_trainer.engine.files import sync_file
from vistrain_trainer.engine.rows import append_line, rewrite_lines, whole_rows

EventName = Literal["phase", "earlyStopping", "rollBack", "microBatch"]


class EventLog:
    """Rows {event, step, epoch, time, ...}; `step` and `epoch` are those done when it happened.

    What happens again after a resume (the step is done anew) is not written again: two events are the same
    when all but their times are.
    """

    def __init__(self, path: Path, fence: Fence) -> None:
        self._path = path
        self._fence = fence
        self._rows = whole_rows(path)

    def rewind(self, step: int) -> None:
        """Drop events after a step, and a torn last line."""
        self._rows = [row for row in self._rows if int(row["step"]) <= step]
        rewrite_lines(self._path, self._rows)

    def add(self, event: EventName, *, step: int, epoch: int, **details: Any) -> bool:
        """Add an event; whether it is new."""
        row = {"event": event, "step": step, "epoch": epoch, **details}
        if any({key: value for key, value in known.items() if key != "time"} == row for known in self._rows):
            return False
        row["time"] = now()
        self._fence.check()
        append_line(self._path, row)
        self._rows.append(row)
        return True

    def early_stops(self) -> list[str]:
        """What stopped early, in words."""
        return [in_words(row) for row in self._rows if row["event"] == "earlyStopping"]

    def sync(self) -> None:
        """Make all rows durable."""
        sync_file(self._path)


def in_words(stop: Mapping[str, Any]) -> str:
    """An early stop in words: what stopped when, and why."""
    best = "never had a value" if stop["best"] is None else f"was best at epoch {stop['best']}"
    return (
        f"the {stop['what']} stopped early at epoch {stop['epoch']}: {stop['metric']} {best} "
        f"(patience {stop['patience']})"
    )
