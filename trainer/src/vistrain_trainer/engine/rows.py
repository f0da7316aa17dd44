"""log.jsonl and metrics.csv: each row once, whatever was killed when."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vistrain_trainer.engine.fence import Fence
from vistrain_trainer.engine.files import replace_file, sync_file


class StepLog:
    """log.jsonl: one JSON object per logging interval, with the steps completed under `step`."""

    def __init__(self, path: Path, fence: Fence) -> None:
        self._path = path
        self.fence = fence

    def last_step(self) -> int | None:
        """Step of the last whole row."""
        rows = whole_rows(self._path)
        return int(rows[-1]["step"]) if rows else None

    def rewind(self, step: int) -> None:
        """Drop rows after a step, and a torn last line."""
        rewrite_lines(self._path, [row for row in whole_rows(self._path) if int(row["step"]) <= step])

    def append(self, row: Mapping[str, Any]) -> None:
        """Add a row; it reaches the disk with the next checkpoint (`sync`)."""
        self.fence.check()
        append_line(self._path, row)

    def sync(self) -> None:
        """Make all rows durable."""
        sync_file(self._path)


class EpochTable:
    """metrics.csv: one row per epoch. Columns that come later (a first evaluation) join the header."""

    def __init__(self, path: Path, fence: Fence) -> None:
        self._path = path
        self.fence = fence
        self._columns, self._rows = read_table(path)

    def rewind(self, epochs: int) -> None:
        """Drop the rows of later epochs, and a torn last line."""
        self._rows = [row for row in self._rows if int(row["epoch"]) <= epochs]
        text = self._text()
        if not self._path.exists() or self._path.read_bytes() != text:
            replace_file(self._path, text)

    def append(self, row: Mapping[str, Any]) -> None:
        """Add the row of an epoch."""
        self.fence.check()
        written = {key: "" if value is None else _number(value) for key, value in row.items()}
        new = [key for key in written if key not in self._columns]
        first = not self._columns
        self._columns += new
        self._rows.append(written)
        if new and not first:
            replace_file(self._path, self._text())
        else:
            text = self._text().decode().splitlines(keepends=True)
            _append(self._path, "".join(text if first else text[-1:]))

    def sync(self) -> None:
        """Make all rows durable."""
        sync_file(self._path)

    def _text(self) -> bytes:
        if not self._columns:
            return b""
        text = io.StringIO()
        table = csv.DictWriter(text, self._columns, restval="", lineterminator="\n")
        table.writeheader()
        table.writerows(self._rows)
        return text.getvalue().encode()


def rewrite_lines(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Make a file of JSON lines hold these rows; it is left alone where it does."""
    text = "".join(map(_line, rows)).encode()
    if not path.exists() or path.read_bytes() != text:
        replace_file(path, text)


def append_line(path: Path, row: Mapping[str, Any]) -> None:
    """Add a row to a file of JSON lines."""
    _append(path, _line(row))


def _append(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        data = text.encode()
        while data:
            data = data[os.write(descriptor, data) :]
    finally:
        os.close(descriptor)


def _line(row: Mapping[str, Any]) -> str:
    return json.dumps(row, separators=(",", ":")) + "\n"


def whole_rows(path: Path) -> list[dict[str, Any]]:
    """Rows of a file of JSON lines with a `step`, up to the first that is not whole; none without a file."""
    rows: list[dict[str, Any]] = []
    if not path.exists():
        return rows
    for line in path.read_bytes().split(b"\n")[:-1]:  # a last line without its newline is torn
        try:
            row = json.loads(line)
            int(row["step"])
        except (ValueError, KeyError, TypeError):
            break
        rows.append(row)
    return rows


def read_table(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    """Columns and whole rows of metrics.csv; nothing where there is no file."""
    if not path.exists():
        return [], []
    text = path.read_text(encoding="utf-8")
    text = text[: text.rfind("\n") + 1]
    reader = csv.DictReader(io.StringIO(text))
    columns = list(reader.fieldnames or [])
    rows = [row for row in reader if row.get("epoch", "").isdigit() and None not in row.values()]
    return columns, rows


def _number(value: Any) -> str:
    return repr(value) if isinstance(value, float) else str(value)
