"""The curves in a run folder's metrics.csv and log.jsonl."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType
from typing import Any

# The engine's own readers: a row that it would drop at the next start is no row here either.
from vistrain_trainer.engine.rows import read_table, whole_rows
from vistrain_trainer.errors import BadInput
from vistrain_trainer.reporting.series import Series

NOT_METRICS = ("step", "learning_rate", "seconds")
LOSS = "loss/"


def read_epochs(path: Path) -> Mapping[str, Series]:
    """Curves over epochs by column: step, learning_rate, seconds, `loss/<part>`, metrics. Empty: no file.

    A column that never has a value gives an empty curve.

    Raises:
        BadInput: a cell is not a number, or an epoch stands there twice.
        OSError, UnicodeDecodeError: the file is there and cannot be read.
    """
    columns, rows = read_table(path)
    names = [name for name in columns if name != "epoch"]
    cells = [(int(row["epoch"]), {name: _cell(path, row, name) for name in names}) for row in rows]
    return _curves(path, "epoch", names, cells)


def read_steps(path: Path) -> Mapping[str, Series]:
    """Curves over steps: `loss/<part>`, learning_rate, images_per_second, data_wait_ratio. Empty: no file.

    Raises:
        BadInput: a value is not a number, or a step stands there twice.
        OSError: the file is there and cannot be read.
    """
    names: dict[str, None] = {}  # a set in the order of coming
    cells: list[tuple[int, dict[str, float | None]]] = []
    for row in whole_rows(path):
        values = {name: value for name, value in row.items() if name not in ("step", "epoch", "time", "loss")}
        parts = row.get("loss") or {}
        if not isinstance(parts, dict):
            raise _bad(path, "loss", parts, f"the row of step {row['step']} has no parts of the loss in it")
        values |= {f"{LOSS}{name}": value for name, value in parts.items()}
        names |= dict.fromkeys(values)
        step = int(row["step"])
        cells.append((step, {name: _number(path, step, name, value) for name, value in values.items()}))
    return _curves(path, "step", list(names), cells)


def _curves(
    path: Path, unit: str, names: Sequence[str], cells: Sequence[tuple[int, Mapping[str, float | None]]]
) -> Mapping[str, Series]:
    places = [place for place, _ in cells]
    for earlier, later in pairwise(places):
        if later <= earlier:
            raise _bad(path, unit, later, f"it stands after {unit} {earlier}: rows do not follow each other")
    curves = {}
    for name in names:
        kept = [(place, value) for place, row in cells if (value := row.get(name)) is not None]
        curves[name] = Series(name, tuple(place for place, _ in kept), tuple(value for _, value in kept))
    return MappingProxyType(curves)


def _cell(path: Path, row: Mapping[str, str], name: str) -> float | None:
    text = row[name]
    if text == "":
        return None
    try:
        value = float(text)
    except ValueError:
        raise _bad(path, name, text, f"the cell of epoch {row['epoch']} is not a number") from None
    return value if math.isfinite(value) else None


def _number(path: Path, step: int, name: str, value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise _bad(path, name, value, f"the value at step {step} is not a number")
    return float(value) if math.isfinite(value) else None


def _bad(path: Path, column: str, value: object, problem: str) -> BadInput:
    return BadInput(
        field=f"{path.name}: {column}",
        value=value,
        problem=f"{problem} ({path})",
        remedy="Restore the file from a backup; as Vistrain writes it, every row stands there once",
    )
