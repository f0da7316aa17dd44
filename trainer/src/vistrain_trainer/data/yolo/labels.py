"""Label files: a row of class, centre and size for each box."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from vistrain_trainer.errors import BadInput

PICTURES, LABELS = "images", "labels"
"""Folders that stand for each other in the paths of a picture and its labels."""
DIGITS = 11
"""Most decimals that are written: less than a millionth of a pixel, and so many that six usual ones come back
when a label went through pixels."""
_USUAL = 6


@dataclass(frozen=True)
class Leniency:
    """What is done about rows that are no boxes of their own."""

    polygons: Literal["refuse", "to-boxes"] = "refuse"
    """to-boxes takes a polygon's bounds."""
    duplicates: Literal["refuse", "drop", "keep"] = "refuse"


STRICT = Leniency()


class Fault(NamedTuple):
    """What is wrong with a row."""

    path: Path
    line: int
    """From 1; 0 for the whole file."""
    row: str
    problem: str
    remedy: str


@dataclass(frozen=True)
class Labels:
    """The rows of a file, or of none."""

    classes: np.ndarray
    """(n,) int64."""
    boxes: np.ndarray
    """(n, 4) float64 cx, cy, w, h in shares of the picture."""
    polygons: int
    """How many of the rows were polygons."""
    duplicates: int
    """Rows that repeat an earlier one; among the rows only where they are kept."""


def label_of(picture: Path) -> Path:
    """Where the labels of a picture are: `labels` for the last folder `images` of its path, and .txt."""
    folders = list(picture.parent.parts)
    for place in range(len(folders) - 1, -1, -1):
        if folders[place] == PICTURES:
            folders[place] = LABELS
            break
    return Path(*folders, f"{picture.stem}.txt")


def read_labels(path: Path, classes: int, leniency: Leniency, faults: list[Fault]) -> tuple[Labels, bool]:
    """Read a label file; whether there is one. Faulty rows are left out and added to the faults.

    Args:
        classes: how many names there are.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        return _labels([], [], 0, 0), False
    except (OSError, UnicodeDecodeError) as error:
        problem = error.strerror if isinstance(error, OSError) else "it is not text"
        faults.append(Fault(path, 0, "", f"the file cannot be read: {problem}", "Write it again"))
        return _labels([], [], 0, 0), True
    indices, boxes, polygons, duplicates = [], [], 0, 0
    seen: dict[tuple[float, ...], int] = {}
    for line, row in enumerate(text.splitlines(), start=1):
        cells = row.split()
        if not cells:
            continue
        fault = _fault(cells, classes, leniency)
        if fault is not None:
            faults.append(Fault(path, line, row.strip(), *fault))
            continue
        values = tuple(map(float, cells))
        if values in seen:
            duplicates += 1
            if leniency.duplicates == "refuse":
                problem, remedy = f"it repeats line {seen[values]}", "Remove it, or drop duplicates"
                faults.append(Fault(path, line, row.strip(), problem, remedy))
            if leniency.duplicates != "keep":
                continue
        seen.setdefault(values, line)
        polygons += len(values) > 5
        indices.append(int(values[0]))
        boxes.append(values[1:] if len(values) == 5 else _bounds(values[1:]))
    return _labels(indices, boxes, polygons, duplicates), True


def encode_labels(classes: np.ndarray, boxes: np.ndarray) -> bytes:
    """A label file: (n,) class indices and (n, 4) cx, cy, w, h in shares of the picture."""
    rows = zip(classes.tolist(), boxes.tolist(), strict=True)
    return "".join(f"{index} {' '.join(map(_decimal, box))}\n" for index, box in rows).encode()


def raise_first(faults: Sequence[Fault]) -> None:
    """Refuse a data set for its first faulty row, saying how many more there are.

    Raises:
        BadInput: there is one.
    """
    if not faults:
        return
    first = faults[0]
    others = [fault for fault in faults[1:] if fault.problem == first.problem]
    rest = len(faults) - 1 - len(others)
    also = []
    if others:
        also.append(f"as {_count(len(others))} in {_files([first, *others])}")
    if rest:
        also.append(f"and {_count(rest)} with other faults")
    problem = f"{first.problem} ({', '.join(also)})" if also else first.problem
    place = f"{first.path}:{first.line}" if first.line else str(first.path)
    raise BadInput(field=place, value=first.row or "the file", problem=problem, remedy=first.remedy)


def _labels(indices: list[int], boxes: Sequence[Sequence[float]], polygons: int, duplicates: int) -> Labels:
    return Labels(
        classes=np.array(indices, np.int64),
        boxes=np.array(boxes, np.float64).reshape(-1, 4),
        polygons=polygons,
        duplicates=duplicates,
    )


def _fault(cells: Sequence[str], classes: int, leniency: Leniency) -> tuple[str, str] | None:
    """Problem and remedy of a row."""
    wrong = next((cell for cell in cells if not _is_number(cell)), None)
    if wrong is not None:
        return f"{wrong!r} is not a number", "Correct the row"
    index = float(cells[0])
    if not index.is_integer() or not 0 <= index < classes:
        return f"class {cells[0]} is none of 0 to {classes - 1}, which names lists", "Correct class or names"
    outside = next((cell for cell in cells[1:] if not 0 <= float(cell) <= 1), None)
    if outside is not None:
        return f"{outside} is not within 0 and 1", "Give shares of the picture's width and height"
    is_polygon = len(cells) >= 7 and len(cells) % 2 == 1
    if len(cells) != 5 and not is_polygon:
        return (
            f"it has {len(cells)} columns",
            "A box has five: class, centre x, centre y, width, height",
        )
    if is_polygon and leniency.polygons == "refuse":
        return "it is a polygon where a box is expected", "Take its bounds with --polygons to-boxes"
    return None


def _is_number(cell: str) -> bool:
    try:
        return math.isfinite(float(cell)) and "_" not in cell
    except ValueError:
        return False


def _bounds(points: Sequence[float]) -> tuple[float, float, float, float]:
    across, down = points[::2], points[1::2]
    left, right, top, bottom = min(across), max(across), min(down), max(down)
    return (left + right) / 2, (top + bottom) / 2, right - left, bottom - top


def _decimal(value: float) -> str:
    text = f"{value:.{DIGITS}f}"
    usual, more = text[: _USUAL - DIGITS], text[_USUAL - DIGITS :].rstrip("0")
    return usual + more


def _count(rows: int) -> str:
    return f"{rows} other row{'s' if rows > 1 else ''}"


def _files(faults: Sequence[Fault]) -> str:
    files = len({fault.path for fault in faults})
    return f"{files} file{'s' if files > 1 else ''}"
