"""What a data set holds, as one page that needs no network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from vistrain_trainer.data.sets.statistics import ClassStatistics, Statistics, side_names
from vistrain_trainer.engine.files import replace_file
from vistrain_trainer.reporting.dataset_layouts import class_table, remarks, split_table
from vistrain_trainer.reporting.page import render
from vistrain_trainer.reporting.wording import number, percent


@dataclass(frozen=True)
class Bar:
    """One bar; its length is a share of the longest."""

    split: str
    color: int
    """From 1."""
    length: float
    """Per cent."""
    text: str


@dataclass(frozen=True)
class BarChart:
    """Bars by class, one for each split."""

    key: str
    title: str
    unit: str
    splits: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Bar, ...]], ...]


@dataclass(frozen=True)
class Grid:
    """Counts shaded by their share of the row."""

    labels: tuple[str, ...]
    columns: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]


def render_page(counted: Statistics, name: str) -> str:
    """The page; equal data sets give equal pages."""
    unmet = [one for one in counted.expectations if not one.met]
    return render(
        "dataset.html",
        name=name,
        counted=counted,
        unmet=unmet,
        remarks=list(remarks(counted)),
        bars=[
            _bars(counted, "share", "Boxes by class", "share of the split's boxes", _share),
            _bars(counted, "images", "Images by class", "share of the split's images", _image_share(counted)),
        ],
        grid=Grid(
            counted.classes,
            tuple(f"{name} px" for name in side_names()),
            tuple(counted.total.per_class[kind].sides for kind in counted.classes),
        ),
        tables={"splits": split_table(counted), "classes": class_table(counted)},
    )


def write_page(counted: Statistics, name: str, path: Path) -> None:
    """Write the page, replacing one that is there. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, render_page(counted, name).encode(), durable=False)


def _bars(
    counted: Statistics,
    key: str,
    title: str,
    unit: str,
    value: Callable[[str, ClassStatistics], tuple[float, int]],
) -> BarChart:
    splits = tuple(counted.splits)
    found = {
        kind: [value(name, counted.splits[name].per_class[kind]) for name in splits]
        for kind in counted.classes
    }
    longest = max((share for values in found.values() for share, _ in values), default=0) or 1
    rows = tuple(
        (
            kind,
            tuple(
                Bar(name, at % 8 + 1, round(100 * share / longest, 2), f"{number(count)} ({percent(share)})")
                for at, (name, (share, count)) in enumerate(zip(splits, values, strict=True))
            ),
        )
        for kind, values in found.items()
    )
    return BarChart(key, title, unit, splits, rows)


def _share(_split: str, found: ClassStatistics) -> tuple[float, int]:
    return found.share or 0, found.instances


def _image_share(counted: Statistics) -> Callable[[str, ClassStatistics], tuple[float, int]]:
    return lambda split, found: (found.images / max(1, counted.splits[split].images), found.images)
