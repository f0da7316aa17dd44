"""A run folder read into one typed, frozen record."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml
from pydantic import ValidationError

from vistrain_api.detector import DetectorTraining
from vistrain_api.manifest import ManifestError, load
from vistrain_api.protocol import Progress
from vistrain_api.status import RunStatus
from vistrain_trainer.data.preparation import Preparation, read_record
from vistrain_trainer.engine.runfolder import PREPARATIONS, RunFolder
from vistrain_trainer.errors import BadInput
from vistrain_trainer.reporting.attempts import Attempt, Interruption, interruptions, read_attempts
from vistrain_trainer.reporting.curves import LOSS, is_metric, read_epochs, read_phases, read_steps
from vistrain_trainer.reporting.events import RunEvent, read_events
from vistrain_trainer.reporting.marks import Mark, find_marks
from vistrain_trainer.reporting.series import Mode, Series, mode_of

_EMPTY = Series("")


@dataclass(frozen=True)
class Outcome:
    """How a finished run ended."""

    exit_code: int
    message: str
    results: Mapping[str, float | None]
    """Metrics of the best checkpoint, with those of the test split as `test/<metric>`."""


@dataclass(frozen=True)
class History:
    """Everything a report of a run is computed from."""

    folder: Path
    manifest: DetectorTraining
    status: RunStatus | None
    """status.yaml; none when it is missing or torn."""
    data: Mapping[str, Any]
    """What the run's data are: classes, digests. Empty when it was not recorded yet."""
    preparations: tuple[Preparation, ...]
    """How the data were prepared; empty where nothing on their volume told."""
    resolved: Mapping[str, Any]
    """What was decided at the first start, such as the precision."""
    spec_digest: str
    """Digest of what decides the result; empty when it was not recorded yet."""
    outcome: Outcome | None
    """None until the run is finished."""
    epochs: Mapping[str, Series]
    """Curves over epochs by column of metrics.csv; empty before the first epoch's end."""
    steps: Mapping[str, Series]
    """Curves over steps by name in log.jsonl."""
    phases: Mapping[int, str]
    """Name of the phase by epoch, as metrics.csv tells it; empty where it does not."""
    attempts: tuple[Attempt, ...]
    events: tuple[RunEvent, ...]
    """What the run decided on its way; empty where there is no events.jsonl."""
    marks: tuple[Mark, ...]
    steps_per_epoch: int | None
    """None before anything tells."""
    step: int
    """Optimiser steps completed, as far as rows and status tell."""
    notes: tuple[str, ...]
    """What could not be read, and was left out."""

    @property
    def name(self) -> str:
        """The run's name."""
        return self.manifest.metadata.name or self.folder.name

    @property
    def planned_epochs(self) -> int:
        """Epochs that the manifest asks for."""
        return self.manifest.spec.schedule.epochs

    @property
    def trained_epochs(self) -> int:
        """The last epoch that has a row in metrics.csv; 0 before the first."""
        return max((series.at[-1] for series in self.epochs.values() if series.at), default=0)

    @property
    def primary(self) -> str:
        """Name of the primary metric."""
        return self.manifest.spec.evaluation.primary_metric.name

    @property
    def loss_names(self) -> tuple[str, ...]:
        """Columns of the training loss, `loss/total` among them."""
        return tuple(name for name in self.epochs if name.startswith(LOSS))

    @property
    def metric_names(self) -> tuple[str, ...]:
        """Columns that evaluations fill."""
        return tuple(filter(is_metric, self.epochs))

    @property
    def interruptions(self) -> tuple[Interruption, ...]:
        """What interrupted the run."""
        return interruptions(self.attempts)

    def over_epochs(self, name: str) -> Series:
        """A curve over epochs; an empty one when there is no such column."""
        return self.epochs.get(name, Series(name))

    def mode(self, name: str) -> Mode:
        """Whether more or less of a column is better; the manifest decides for the primary metric."""
        primary = self.manifest.spec.evaluation.primary_metric
        return primary.mode if name == primary.name else mode_of(name)

    def training_seconds(self, epoch: int | None = None) -> float | None:
        """Seconds of training up to an epoch's end (the last row's by default), evaluation left out.

        None when an epoch up to there has no time.
        """
        last = self.trained_epochs if epoch is None else epoch
        seconds = self.over_epochs("seconds").between(1, last)
        return sum(seconds.values) if last > 0 and len(seconds) == last else None


def read_history(folder: Path) -> History:
    """Read a run folder, be the run finished, running or broken off.

    Raises:
        BadInput: there is no run in the folder, or a file in it is not what Vistrain writes.
    """
    if not folder.is_dir():
        raise _bad(folder, "there is no such folder", "Name the folder of a run, such as runs/a")
    with _readable(folder / "attempts.jsonl"):
        attempts = read_attempts(folder / "attempts.jsonl")
    manifest = _manifest(folder, attempts)
    with _readable(folder / "metrics.csv"):
        epochs = read_epochs(folder / "metrics.csv")
        phases = read_phases(folder / "metrics.csv")
    with _readable(folder / "events.jsonl"):
        events = read_events(folder / "events.jsonl")
    with _readable(folder / "log.jsonl"):
        steps = read_steps(folder / "log.jsonl")
    status, notes = _status(folder / "status.yaml")
    identity = _identity(folder / "identity.json")
    with _readable(folder / PREPARATIONS):
        preparations = read_record(folder / PREPARATIONS)
    result = _result(folder, manifest)
    ends = [series.at[-1] for series in steps.values() if series.at]
    ends += [int(point.value) for point in (epochs.get("step", _EMPTY).last,) if point is not None]
    progress = None if status is None else status.progress
    step = max([*ends, 0 if progress is None else progress.step])
    per_epoch = _steps_per_epoch(epochs, status)
    primary = manifest.spec.evaluation.primary_metric
    marks = find_marks(
        manifest.spec.schedule,
        per_epoch,
        step,
        epochs.get(primary.name, _EMPTY).best(primary.mode),
        primary.name,
        interruptions(attempts),
        events,
    )
    return History(
        folder=folder,
        manifest=manifest,
        status=status,
        data=MappingProxyType(identity["task"]),
        preparations=preparations,
        resolved=MappingProxyType(identity["resolved"]),
        spec_digest=identity["specDigest"],
        outcome=result,
        epochs=epochs,
        steps=steps,
        phases=phases,
        attempts=attempts,
        events=events,
        marks=marks,
        steps_per_epoch=per_epoch,
        step=step,
        notes=notes,
    )


def _manifest(folder: Path, attempts: tuple[Attempt, ...]) -> DetectorTraining:
    path = folder / "manifest.yaml"
    if not path.exists():
        said = next((attempt.message for attempt in reversed(attempts) if attempt.message), "")
        raise _bad(
            folder,
            "no run has begun in it: there is no manifest.yaml"
            + (f"; the last start ended with: {said}" if said else ""),
            "Name the folder of a run that has begun, or start one with `vistrain run`",
        )
    try:
        return load(path)
    except ManifestError as error:
        raise BadInput(
            field="manifest.yaml",
            value=path,
            problem=f"it is not the manifest of a run ({'; '.join(map(str, error.problems))})",
            remedy="Restore the file as the run wrote it",
        ) from error


def _status(path: Path) -> tuple[RunStatus | None, tuple[str, ...]]:
    """The status, and a note where it cannot be read: written without a flush, it may be torn."""
    if not path.exists():
        return None, ()
    try:
        return RunStatus.model_validate(yaml.safe_load(path.read_text(encoding="utf-8"))), ()
    except (OSError, UnicodeDecodeError, yaml.YAMLError, ValidationError) as error:
        return None, (f"status.yaml is left out: {str(error).splitlines()[0]}",)


def _result(folder: Path, manifest: DetectorTraining) -> Outcome | None:
    path = folder / "result.json"
    with _readable(path):
        try:
            stored = RunFolder(folder, manifest).result()
            if stored is None:
                return None
            progress = Progress.model_validate_json(stored["progress"])
            return Outcome(int(stored["exitCode"]), progress.message, MappingProxyType(progress.results))
        except (TypeError, ValueError, KeyError) as error:
            raise _bad(path, f"it is not a result ({type(error).__name__})", "Restore the file") from error


def _identity(path: Path) -> dict[str, Any]:
    """What the run is: `task`, `resolved`, `specDigest`; empty ones before the run has begun."""
    with _readable(path):
        try:
            stored = json.loads(path.read_bytes())
            return {
                "task": dict(stored["task"]),
                "resolved": dict(stored.get("resolved") or {}),
                "specDigest": str(stored.get("specDigest") or ""),
            }
        except FileNotFoundError:
            return {"task": {}, "resolved": {}, "specDigest": ""}
        except (TypeError, ValueError, KeyError) as error:
            problem = f"it does not say what the run's data are ({type(error).__name__})"
            raise _bad(path, problem, "Restore the file") from error


def _steps_per_epoch(epochs: Mapping[str, Series], status: RunStatus | None) -> int | None:
    last = epochs.get("step", _EMPTY).last
    if last is not None and last.value % last.at == 0:
        return int(last.value) // last.at
    if status is not None and status.progress is not None and status.progress.epochs > 0:
        return status.progress.total_steps // status.progress.epochs or None
    return None


@contextlib.contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not a text in UTF-8"
        raise _bad(path, f"it cannot be read ({why})", "Restore the file, or make it readable") from error


def _bad(path: Path, problem: str, remedy: str) -> BadInput:
    return BadInput(field="run folder", value=path, problem=problem, remedy=remedy)
