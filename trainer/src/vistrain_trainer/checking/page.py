"""A check as one page that needs no network."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

from vistrain_trainer.checking.figure import ALL
from vistrain_trainer.checking.layouts import (
    class_table,
    figure_table,
    manifest_table,
    place_table,
    split_table,
)
from vistrain_trainer.checking.prose import paragraphs
from vistrain_trainer.checking.result import Checked, Shown
from vistrain_trainer.checking.wording import bound_text, value_text
from vistrain_trainer.evaluation.canvas import colour_of
from vistrain_trainer.reporting.judgement import small_jpeg
from vistrain_trainer.reporting.page import render
from vistrain_trainer.reporting.plot import lay_out
from vistrain_trainer.reporting.wording import count, sentence

MAX_SAMPLES = 24
"""Samples that the page shows itself; the others are in the folder."""
_SIDE, _STRIP_SIDE = 960, 1440
"""Pixels of the longer side of a picture, and of a strip."""


def render_page(checked: Checked, folder: Path) -> str:
    """The page; equal checks give equal pages.

    Args:
        folder: that the samples are in.
    """
    content = checked.content
    return render(
        "check.html",
        name=content.folder.name,
        headline=headline(checked),
        tone="bad" if checked.outside else "good",
        subtitle=", ".join(_subtitle(checked)),
        alerts=list(alerts(checked)),
        tiles=list(_tiles(checked)),
        paragraphs=paragraphs(checked),
        figures=figure_table(checked),
        places=place_table(checked),
        strips=content.manifest.format == "mot",
        samples=[(one, _data(folder / one.file, one)) for one in checked.shown[:MAX_SAMPLES]],
        left_out=max(0, len(checked.shown) - MAX_SAMPLES),
        together=checked.together,
        colours=[
            (name, "#{2:02x}{1:02x}{0:02x}".format(*colour_of(at))) for at, name in enumerate(content.classes)
        ],
        splits=split_table(checked),
        classes=class_table(checked),
        plots=[lay_out(chart) for chart in (one.chart() for one in checked.histograms) if chart.lines],
        manifest=manifest_table(checked),
        command=content.manifest.command,
        notes=content.manifest.notes,
    )


def headline(checked: Checked) -> str:
    """`within bounds`, `outside bounds: frame-rate, gaps`."""
    outside = [figure.kind.name for figure in checked.outside]
    return f"outside bounds: {', '.join(outside)}" if outside else "within bounds"


def alerts(checked: Checked) -> Iterator[str]:
    """A line for each figure outside its bound, with the first place."""
    for figure in checked.outside:
        unit = figure.kind.unit
        values = ", ".join(
            ("" if scope == ALL else f"{scope} ") + value_text(figure.values[scope], unit)
            for scope in figure.outside
        )
        text = f"{figure.kind.title}: {values} (bound: {bound_text(figure.bound, unit)})"
        places = [place for scope in figure.outside for place in figure.places.get(scope, ())]
        yield sentence(text + (f", such as {places[0]}" if places else ""))


def _subtitle(checked: Checked) -> Iterator[str]:
    manifest = checked.content.manifest
    yield manifest.format.upper()
    yield " ".join(filter(None, ("from", manifest.source.kind, manifest.source.version)))
    yield count(len(manifest.classes), "class", "classes")
    if manifest.cameras:
        yield count(len(manifest.cameras), "camera")
    if manifest.fps is not None:
        yield f"{manifest.fps:g} frames a second"


def _tiles(checked: Checked) -> Iterator[tuple[str, str]]:
    content, choice = checked.content, checked.choice
    yield "pictures", str(sum(len(split.frames) for split in content.splits.values()))
    yield "boxes", str(sum(len(split.boxes) for split in content.splits.values()))
    if choice.of_scenes:
        yield "scenes", str(choice.of_scenes)
        yield "sequences", str(choice.of_sequences)
    yield "figures with a bound", str(checked.judged)
    yield "outside", str(len(checked.outside))


def _data(path: Path, one: Shown) -> str:
    """A sample as data of the page."""
    side = _SIDE if len(one.singles) == 1 else _STRIP_SIDE
    found = small_jpeg(path, side)
    assert found is not None, f"{path} was just written"
    return f"data:image/jpeg;base64,{base64.b64encode(found[0]).decode()}"
