"""The tables of a data set's statistics."""

from __future__ import annotations

from collections.abc import Iterator

from vistrain_trainer.data.sets.statistics import (
    ClassStatistics,
    SplitStatistics,
    Statistics,
    side_names,
)
from vistrain_trainer.reporting.tables import Cell, Column, Table
from vistrain_trainer.reporting.wording import count, percent

_SPLIT_COLUMNS = {
    "images": "images",
    "annotations": "boxes",
    "images_without_boxes": "images without boxes",
    "polygons": "polygons",
    "duplicates": "duplicates",
    "crowds": "crowds",
    "without_area": "boxes without area",
    "missing_labels": "no label file",
    "empty_labels": "empty label file",
}


def split_table(counted: Statistics) -> Table:
    """A row for each split; kinds of findings that there are none of have no column."""
    parts = _parts(counted)
    kept = [
        name
        for at, name in enumerate(_SPLIT_COLUMNS)
        if at < 3 or any(getattr(split, name) for split in parts.values())
    ]
    rows: list[tuple[Cell, ...]] = []
    for name, split in parts.items():
        rows.append((name, *(getattr(split, key) for key in kept)))
    columns = [Column("split", "split"), *(Column(key, _SPLIT_COLUMNS[key]) for key in kept)]
    return Table("Splits", tuple(columns), tuple(rows))


def class_table(counted: Statistics) -> Table:
    """A row for each class, a column for each split."""
    parts = _parts(counted)
    columns = (Column("class", "class"), *(Column(name, name) for name in parts))
    rows: list[tuple[Cell, ...]] = []
    for kind in counted.classes:
        rows.append((kind, *(_said(split.per_class[kind]) for split in parts.values())))
    return Table("Classes: boxes in images, share of the split's boxes", columns, tuple(rows))


def size_table(counted: Statistics) -> Table:
    """A row for each class of all splits; boxes by the square root of their area."""
    columns = (Column("class", "class"), *(Column(name, name) for name in side_names()))
    rows: list[tuple[Cell, ...]] = []
    for kind in counted.classes:
        rows.append((kind, *counted.total.per_class[kind].sides))
    return Table("Boxes by the square root of their area in pixels", columns, tuple(rows))


def remarks(counted: Statistics) -> Iterator[str]:
    """Sentences on what should be looked at."""
    if counted.shared_pictures:
        yield f"{count(counted.shared_pictures, 'picture')} in more than one split"
    if counted.orphan_labels:
        found = counted.orphan_labels
        yield f"{count(len(found), 'label file')} without a picture, such as {found[0]}"
    for name, split in counted.splits.items():
        missing = [kind for kind in counted.classes if not split.per_class[kind].instances]
        if missing:
            yield f"{name} has no box of {', '.join(missing)}"


def _parts(counted: Statistics) -> dict[str, SplitStatistics]:
    return {**counted.splits, "all": counted.total} if len(counted.splits) > 1 else counted.splits


def _said(found: ClassStatistics) -> str:
    if not found.instances:
        return "0"
    return f"{found.instances} in {found.images}, {percent(found.share or 0)}"
