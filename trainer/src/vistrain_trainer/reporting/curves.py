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
LOSS, RATE = "loss/", "learning_rate"
PHASE = "phase"
"""Column of metrics.csv with the name of the phase that an epoch belongs to; the only one of words."""
_PLACES = ("step", "epoch", "time", "phase")


def is_metric(column: str) -> bool:
    """Whether evaluations fill a column of metrics.csv."""
    return column not in NOT_METRICS and not column.startswith((LOSS, f"{RATE}/"))


def read_epochs(path: Path) -> Mapping[str, Series]:
    """Curves over epochs by column: step, learning_rate, seconds, `loss/<part>`, metrics. Empty: no file.

    Where parts of the model have rates of their own they are `learning_rate/<part>`. A column that never has
    a value gives an empty curve.

    Raises:
        BadInput: a cell is not a number, or an epoch stands there twice.
        OSError, UnicodeDecodeError: the file is there and cannot be read.
    """
    columns, rows = read_table(path)
    names = [name for name in columns if name not in ("epoch", PHASE)]
    cells = [(int(row["epoch"]), {name: _cell(path, row, name) for name in names}) for row in rows]
    return _curves(path, "epoch", names, cells)


def read_phases(path: Path) -> Mapping[int, str]:
    """Name of the phase by epoch; empty where the table does not tell.

    Raises:
        OSError, UnicodeDecodeError: the file is there and cannot be read.
    """
    _, rows = read_table(path)
    return MappingProxyType({int(row["epoch"]): row[PHASE] for row in rows if row.get(PHASE)})


def read_steps(path: Path) -> Mapping[str, Series]:
    """Curves over steps: `loss/<part>`, learning_rate, images_per_second, data_wait_ratio. Empty: no file.

    Where parts of the model have rates of their own they are `learning_rate/<part>`; further numbers of a
    row, such as readings of the GPU, keep their names.

    Raises:
        BadInput: a value is not a number, or a step stands there twice.
        OSError: the file is there and cannot be read.
    """
    names: dict[str, None] = {}  # a set in the order of coming
    cells: list[tuple[int, dict[str, float | None]]] = []
    for row in whole_rows(path):
        values = {
            name: value for name, value in row.items() if name not in (*_PLACES, "loss", "learning_rates")
        }
        values |= {f"{LOSS}{name}": value for name, value in _parts(path, row, "loss").items()}
        values |= {f"{RATE}/{name}": value for name, value in _parts(path, row, "learning_rates").items()}
        names |= dict.fromkeys(values)
        step = int(row["step"])
        cells.append((step, {name: _number(path, step, name, value) for name, value in values.items()}))
    return _curves(path, "step", list(names), cells)


def _parts(path: Path, row: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    parts = row.get(name) or {}
    if not isinstance(parts, dict):
        raise _bad(path, name, parts, f"the row of step {row['step']} has no parts in it")
    return parts


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
