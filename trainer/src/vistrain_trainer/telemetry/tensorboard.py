"""TensorBoard's view of a run: its rows, mirrored into event files.

log.jsonl and metrics.csv are the truth, and hold each row once. A start writes them anew from the beginning,
then follows them: whatever was killed when, the events are the rows. It happens in a thread of its own, from
the first row on; what goes wrong there is noted and never ends a run.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import structlog

from vistrain_trainer.engine.rows import read_table
from vistrain_trainer.telemetry.event_file import EventFile, Image

log = structlog.get_logger()
FOLDER = "tensorboard"
_ROWS, _SUMMARY = "rows", "summary"
"""Kinds of files; a reader takes them in this order."""
_CLOSING_SECONDS = 5.0


class TensorBoardMirror:
    """Follows the rows of a run folder. Methods are called from the engine's thread and return at once."""

    def __init__(self, run: Path, token: int) -> None:
        """Nothing is written before the first row.

        Args:
            run: the run folder.
            token: fencing token of this start; tells its file apart from those of others.
        """
        self._run, self._token = run, token
        self._news = threading.Event()
        self._closing = False
        self._samples: tuple[int, Callable[[], Sequence[Image]]] | None = None
        self._thread: threading.Thread | None = None

    def row(self) -> None:
        """There is a new row in log.jsonl or metrics.csv."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._follow, name="tensorboard", daemon=True)
            self._thread.start()
        self._news.set()

    def samples(self, step: int, make: Callable[[], Sequence[Image]]) -> None:
        """Show a few samples as the network sees them; the thread calls `make`, after the first row."""
        self._samples = (step, make)

    def close(self) -> None:
        """Write what there is, and end; a disk that hangs is waited for only so long."""
        if self._thread is not None:
            self._closing = True
            self._news.set()
            self._thread.join(_CLOSING_SECONDS)

    def _follow(self) -> None:
        try:
            with self._begin() as file:
                rows = _Rows(self._run, file, self._pictures())
                while True:
                    closing = self._closing
                    self._news.clear()
                    rows.write_new()
                    file.flush()
                    if closing:
                        return
                    self._news.wait()
        except Exception as error:
            log.warning("no events for TensorBoard", reason=f"{type(error).__name__}: {error}")

    def _pictures(self) -> list[tuple[int, Image]]:
        if self._samples is None:
            return []
        step, make = self._samples
        self._samples = None
        return [(step, image) for image in make()]

    def _begin(self) -> EventFile:
        folder = self._run / FOLDER
        folder.mkdir(exist_ok=True)
        older = [path for path in folder.iterdir() if path.name.endswith((f".{_ROWS}", f".{_SUMMARY}"))]
        path = folder / _name(self._token, _ROWS)
        file = EventFile(path, datetime.now().timestamp(), restart=True)
        for one in older:  # after the new one has begun: a reader at an older one goes on to it
            if one.name < path.name:
                one.unlink(missing_ok=True)
        return file


class _Rows:
    """Copies rows that are not copied yet; all of them anew when the run has gone back."""

    def __init__(self, run: Path, file: EventFile, pictures: Sequence[tuple[int, Image]]) -> None:
        self._log, self._table, self._file, self._pictures = (
            run / "log.jsonl",
            run / "metrics.csv",
            file,
            pictures,
        )
        self._inode: int | None = None
        self._begin()

    def _begin(self) -> None:
        self._read = self._epochs = self._changed = 0
        self._times: dict[int, float] = {}
        for number, (step, image) in enumerate(self._pictures, start=1):
            self._file.image(datetime.now().timestamp(), step, f"training samples/{number}", image)

    def write_new(self) -> None:
        self._write_steps()
        self._write_epochs()

    def _write_steps(self) -> None:
        """Copy whole lines of log.jsonl."""
        with contextlib.suppress(FileNotFoundError), self._log.open("rb") as file:
            inode = os.fstat(file.fileno()).st_ino
            if self._inode not in (
                None,
                inode,
            ):  # a roll-back drops rows by putting another file in its place
                self._file.restart(datetime.now().timestamp())
                self._begin()
            self._inode = inode
            file.seek(self._read)
            text = file.read()
            text = text[: text.rfind(b"\n") + 1]
            self._read += len(text)
            for line in text.splitlines():
                row = json.loads(line)
                step, time = int(row["step"]), datetime.fromisoformat(row["time"]).timestamp()
                self._times[step] = time
                self._file.scalars(time, step, _step_values(row))

    def _write_epochs(self) -> None:
        changed = self._table.stat().st_mtime_ns if self._table.exists() else 0
        if changed == self._changed:
            return
        self._changed = changed
        _, rows = read_table(self._table)
        for row in rows:
            epoch = int(row["epoch"])
            if epoch > self._epochs:
                self._epochs = epoch
                step = int(row["step"])
                time = self._times.get(step, datetime.now().timestamp())
                self._file.scalars(time, step, _epoch_values(row))


def write_pictures(run: Path, pictures: Mapping[str, Image], step: int, wall_time: float) -> None:
    """Write pictures of the finished run, by tag; those of an earlier call are replaced."""
    folder = run / FOLDER
    folder.mkdir(exist_ok=True)
    rows = sorted(path.name for path in folder.iterdir() if path.name.endswith(f".{_ROWS}"))
    name = rows[-1].removesuffix(_ROWS) + _SUMMARY if rows else _name(0, _SUMMARY)
    partial = folder / ".partial"
    with EventFile(partial, wall_time, restart=False) as file:
        for tag, image in pictures.items():
            file.image(wall_time, step, tag, image)
    partial.replace(folder / name)


def _name(token: int, kind: str) -> str:
    """Readers take the files of a folder in the order of their names."""
    return f"events.out.tfevents.{token:010d}.{kind}"


def _step_values(row: Mapping[str, Any]) -> dict[str, float]:
    values: dict[str, Any] = {f"loss/{name}": value for name, value in (row.get("loss") or {}).items()}
    rates = row.get("learning_rates") or {"all": row.get("learning_rate")}
    values |= {f"learning_rate/{name}": value for name, value in rates.items()}
    names = {
        "images_per_second": "pace/images_per_second",
        "data_wait_ratio": "pace/data_wait_ratio",
        "gpu_memory_bytes": "gpu/memory_bytes",
        "gpu_temperature_celsius": "gpu/temperature_celsius",
        "gpu_power_watts": "gpu/power_watts",
    }
    values |= {tag: row.get(name) for name, tag in names.items()}
    return {tag: float(value) for tag, value in values.items() if isinstance(value, (int, float))}


def _epoch_values(row: Mapping[str, str]) -> dict[str, float]:
    """Means of the epoch, its time, and metrics; what the single steps tell is left to them."""
    values = {}
    for name, text in row.items():
        if text in ("", None) or name in ("epoch", "step", "phase") or name.startswith("learning_rate"):
            continue
        if name == "seconds":
            values["epoch/seconds"] = float(text)
        elif name.startswith("loss/"):
            values[f"epoch/{name}"] = float(text)
        elif name == "valLoss":
            values["validation/loss"] = float(text)
        else:
            values[f"validation/{name}"] = float(text)
    return values
