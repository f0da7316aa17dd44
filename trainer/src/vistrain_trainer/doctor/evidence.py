"""What a run folder tells, read without changing it."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import yaml

from vistrain_api.detector import DetectorTraining
from vistrain_api.manifest import ManifestError, load
from vistrain_api.protocol import ExitCode, Progress
from vistrain_api.quantities import seconds
from vistrain_api.status import RunProgress, RunStatus
from vistrain_trainer.engine.checkpoint import StoredCheckpoint
from vistrain_trainer.engine.store import INDEX, CheckpointStore
from vistrain_trainer.errors import BadInput

_TOKEN = re.compile(r"token-(\d{6})-(\d{6})")
_SILENCE = 60.0
"""Seconds without a sign of life that mean nothing yet."""
_ROWS_MISSED = 10
"""Intervals between two rows of log.jsonl after which a run that trains is taken for dead."""


@dataclass(frozen=True)
class AttemptEvidence:
    """The newest start of a run."""

    number: int
    exit_code: int | None
    """What it announced; none when it said nothing."""
    message: str
    failure: str | None


@dataclass(frozen=True)
class RunEvidence:
    """A run folder; what is missing in it is none or empty."""

    folder: Path
    now: datetime

    def require_a_run(self) -> None:
        """Raise BadInput unless a run has begun here and its files can be read."""
        names = ("manifest.yaml", "fence", "attempts.jsonl", "status.yaml", "result.json")
        if not any((self.folder / name).exists() for name in names):
            raise BadInput(
                field="RUN_FOLDER",
                value=self.folder,
                problem="no run has begun in it",
                remedy="Name a run folder such as runs/a, or a manifest",
            )
        _ = (self.manifest, self.status, self.result, self.identity, self.bests)

    @cached_property
    def manifest(self) -> DetectorTraining | None:
        """The manifest that the run was begun with."""
        path = self.folder / "manifest.yaml"
        if not path.exists():
            return None
        try:
            return load(path)
        except ManifestError as error:
            raise _unreadable(path, str(error)) from None

    @cached_property
    def status(self) -> RunStatus:
        """status.yaml."""
        path = self.folder / "status.yaml"
        try:
            return RunStatus.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return RunStatus()
        except (ValueError, yaml.YAMLError) as error:
            raise _unreadable(path, str(error)) from None

    @cached_property
    def result(self) -> Progress | None:
        """The stored end of a finished run."""
        content = self._json("result.json")
        if content is None:
            return None
        try:
            return Progress.model_validate_json(content["progress"])
        except (KeyError, ValueError) as error:
            raise _unreadable(self.folder / "result.json", str(error)) from None

    @cached_property
    def identity(self) -> dict[str, Any] | None:
        """What the run was begun with, the digests of its data included."""
        return self._json("identity.json")

    @cached_property
    def bests(self) -> dict[str, Any] | None:
        """The best checkpoint as the index names it."""
        best = (self._json(f"checkpoints/{INDEX}") or {}).get("best")
        if best is not None and not (isinstance(best, dict) and {"epoch", "path"} <= best.keys()):
            raise _unreadable(self.folder / "checkpoints" / INDEX, "its best is not a checkpoint")
        return best

    @cached_property
    def log(self) -> list[dict[str, Any]]:
        """Whole rows of log.jsonl."""
        return list(_rows(self.folder / "log.jsonl", "step"))

    @cached_property
    def epochs(self) -> list[dict[str, str]]:
        """Rows of metrics.csv."""
        path = self.folder / "metrics.csv"
        if not path.exists():
            return []
        with path.open(encoding="utf-8", newline="") as file:
            return [row for row in csv.DictReader(file) if _is_epoch(row)]

    @cached_property
    def attempt(self) -> AttemptEvidence | None:
        """The newest start; none when nothing has started."""
        rows = list(_rows(self.folder / "attempts.jsonl", "attempt", "token"))
        known = {(row["attempt"], row["token"]) for row in rows}
        matches = [_TOKEN.fullmatch(path.name) for path in (self.folder / "fence").glob("token-*")]
        known |= {(int(match[1]), int(match[2])) for match in matches if match}
        if not known:
            return None
        newest = max(known)
        ends = [
            row
            for row in rows
            if (row["attempt"], row["token"]) == newest and isinstance(row.get("exitCode"), int)
        ]
        end = ends[-1] if ends else {}
        return AttemptEvidence(
            newest[0], end.get("exitCode"), str(end.get("message") or ""), end.get("failure")
        )

    @cached_property
    def torn(self) -> dict[int, str]:
        """Why, by step, checkpoints newer than the newest whole one are not whole."""
        return self._checkpoints[1]

    @property
    def checkpoint(self) -> StoredCheckpoint | None:
        """The checkpoint that a resume takes."""
        return self._checkpoints[0]

    @property
    def epochs_planned(self) -> int:
        """Epochs that the manifest plans; 0 when it is not there."""
        return self.manifest.spec.schedule.epochs if self.manifest is not None else 0

    @property
    def epochs_done(self) -> int:
        """Epochs completed."""
        if self.result is not None:
            return self.result.epoch
        saved = int(self.checkpoint.meta["epoch"]) if self.checkpoint is not None else 0
        told = int(self.epochs[-1]["epoch"]) if self.epochs else 0
        return max(saved, told, self._progress.epoch)

    @property
    def steps_planned(self) -> int:
        """Optimiser steps planned; 0 when unknown."""
        return self._progress.total_steps

    @property
    def last_step(self) -> int:
        """The last optimiser step that is known to have been executed."""
        logged = int(self.log[-1]["step"]) if self.log else 0
        saved = self.checkpoint.step if self.checkpoint is not None else 0
        return max(logged, saved, self._progress.step)

    @property
    def steps_to_repeat(self) -> int:
        """Steps that a resume executes again."""
        return self.last_step - (self.checkpoint.step if self.checkpoint is not None else 0)

    @property
    def silence(self) -> timedelta:
        """Time since the last sign of life."""
        times = [self._progress.updated_at, *(row.get("time") for row in self.log[-1:])]
        times += [row.get("time") for row in _rows(self.folder / "attempts.jsonl", "attempt")]
        signs = [moment for time in times if (moment := _moment(time)) is not None]
        signs += [
            datetime.fromtimestamp(path.stat().st_mtime, UTC)
            for path in (self.folder / "fence").glob("token-*")
        ]
        return self.now - max(signs, default=datetime.fromtimestamp(0, UTC))

    @cached_property
    def state(self) -> str:
        """`finished`, `stopped`, `failed`, `running`, or `silent`: ended, or hung, without a word."""
        if self.result is not None:
            return "finished"
        attempt = self.attempt
        if attempt is not None and attempt.exit_code is not None:
            return "stopped" if attempt.exit_code == ExitCode.STOPPED else "failed"
        return "running" if self.silence.total_seconds() < self._patience else "silent"

    @property
    def _patience(self) -> float:
        """Seconds without a sign of life after which a run is taken for dead."""
        longest = float(seconds(self.manifest.spec.resilience.stall_timeout)) if self.manifest else _SILENCE
        if self.status.phase not in {"Training", "Resuming"}:
            return longest  # an evaluation writes nothing until it is done
        times = [moment for row in self.log[-20:] if (moment := _moment(row.get("time"))) is not None]
        gaps = [(later - earlier).total_seconds() for earlier, later in pairwise(times)]
        usual = median(gaps) if gaps else longest
        return min(longest, max(_SILENCE, _ROWS_MISSED * usual))

    @property
    def _progress(self) -> RunProgress:
        return self.status.progress or RunProgress()

    @cached_property
    def _checkpoints(self) -> tuple[StoredCheckpoint | None, dict[int, str]]:
        torn: dict[int, str] = {}
        found = CheckpointStore(self.folder / "checkpoints").newest_whole(torn.__setitem__)
        return found, torn

    def _json(self, name: str) -> dict[str, Any] | None:
        path = self.folder / name
        try:
            content = json.loads(path.read_bytes())
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise _unreadable(path, str(error)) from None
        if not isinstance(content, dict):
            raise _unreadable(path, "it is not a JSON object")
        return content


def _rows(path: Path, *numbers: str) -> Iterator[dict[str, Any]]:
    """Rows of a JSON lines file that are whole and have these whole numbers."""
    for line in path.read_bytes().splitlines() if path.exists() else []:
        try:
            row = json.loads(line)
        except ValueError:
            continue  # the last line of a killed process
        if isinstance(row, dict) and all(isinstance(row.get(number), int) for number in numbers):
            yield row


def _is_epoch(row: dict[str, str]) -> bool:
    try:
        return int(row["epoch"]) > 0 and float(row["seconds"]) >= 0
    except (KeyError, TypeError, ValueError):
        return False  # the last row of a killed process


def _moment(text: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _unreadable(path: Path, why: str) -> BadInput:
    return BadInput(
        field="RUN_FOLDER",
        value=path,
        problem=f"it cannot be read as Vistrain writes it ({why})",
        remedy="Restore the file from a backup; the checkpoints beside it are untouched",
    )
