"""The starts of a run as attempts.jsonl tells them, with what lay between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import zip_longest
from pathlib import Path
from typing import Any

from vistrain_api.protocol import ExitCode
from vistrain_trainer.engine.attempts import read_rows

_FINISHED = (ExitCode.FINISHED, ExitCode.GATE_NOT_MET)


@dataclass(frozen=True)
class Attempt:
    """One start of a run."""

    attempt: int
    """Number of the attempt, from 1."""
    token: int
    """Fencing token; tells apart starts within an attempt."""
    node: str = ""
    started_at: datetime | None = None
    """When it began to train; none when it failed before."""
    restored_step: int | None = None
    """Step of the checkpoint it went on from; none when it began at step 0."""
    ended_at: datetime | None = None
    """When it said that it ends; none while it runs, or when it was killed."""
    last_step: int | None = None
    """Last step it executed, as far as is known."""
    exit_code: int | None = None
    """Exit code it announced; none while it runs, or when it was killed."""
    failure: str | None = None
    """Failure class of that exit code."""
    message: str = ""
    """Why it ended, in its own words."""
    environment: Mapping[str, Any] = field(default_factory=dict)
    """What it ran on: versions, device, threads."""
    command: tuple[str, ...] = ()
    """The command line; empty in runs of older versions."""

    @property
    def trained(self) -> bool:
        """Whether it came as far as training."""
        return self.started_at is not None

    @property
    def finished(self) -> bool:
        """Whether it brought the run to its end."""
        return self.exit_code in _FINISHED


@dataclass(frozen=True)
class Interruption:
    """The end of an attempt that did not finish the run, and how the run went on."""

    ended: Attempt
    resumed: Attempt | None
    """The next attempt that trained; none as long as there is none."""
    failed_starts: int
    """Starts in between that ended before they trained."""

    @property
    def steps_lost(self) -> int | None:
        """Steps executed again; none when unknown or nothing was resumed yet."""
        if self.resumed is None or self.ended.last_step is None:
            return None
        return max(0, self.ended.last_step - (self.resumed.restored_step or 0))

    @property
    def idle_seconds(self) -> float | None:
        """Seconds from the announced end to training again; none when one of both is unknown."""
        if self.resumed is None or self.resumed.started_at is None or self.ended.ended_at is None:
            return None  # clocks of two nodes may differ by more than the time between
        return max(0.0, (self.resumed.started_at - self.ended.ended_at).total_seconds())


def read_attempts(path: Path) -> tuple[Attempt, ...]:
    """The starts in the order of their tokens; lines that are torn or not ours are passed over.

    Raises:
        OSError, UnicodeDecodeError: the file is there and cannot be read.
    """
    found: dict[tuple[int, int], Attempt] = {}
    for row in read_rows(path):
        key = (int(row["attempt"]), int(row["token"]))
        try:
            found[key] = _told(found.get(key, Attempt(*key)), row)
        except (ValueError, KeyError, TypeError, AttributeError):
            continue
    return tuple(found[key] for key in sorted(found))


def interruptions(attempts: Sequence[Attempt]) -> tuple[Interruption, ...]:
    """What came between the starts of a run that trained.

    The last start is among them only when it is known to have ended, since one that said nothing may still
    run.
    """
    trained = [place for place, attempt in enumerate(attempts) if attempt.trained]
    found = []
    for place, following in zip_longest(trained, trained[1:]):
        ended = attempts[place]
        if following is not None:
            found.append(Interruption(ended, attempts[following], following - place - 1))
        elif not ended.finished and (ended.exit_code is not None or place + 1 < len(attempts)):
            found.append(Interruption(ended, None, len(attempts) - place - 1))
    return tuple(found)


def _told(attempt: Attempt, row: Mapping[str, Any]) -> Attempt:
    """An attempt with what one row adds to it."""
    event = row["event"]
    if event == "start":
        return replace(
            attempt,
            node=str(row.get("node", "")),
            started_at=_time(row["time"]),
            restored_step=_step(row.get("restoredStep")),
            environment=dict(row.get("environment") or {}),
            command=tuple(map(str, row.get("command") or ())),
        )
    if event == "end":
        return replace(
            attempt,
            node=str(row.get("node", "")),
            ended_at=_time(row["time"]),
            last_step=_step(row["lastStep"]),
            exit_code=int(row["exitCode"]),
            failure=None if row.get("failure") is None else str(row["failure"]),
            message=str(row.get("message", "")),
        )
    if event == "seen":  # written by the start that followed, which found no `end`
        return replace(attempt, last_step=_step(row["lastStep"]))
    raise ValueError(f"unknown event {event!r}")


def _step(value: Any) -> int | None:
    return None if value is None else int(value)


def _time(value: str) -> datetime:
    time = datetime.fromisoformat(value)
    if time.tzinfo is None:
        raise ValueError(f"{value} has no time zone")
    return time
