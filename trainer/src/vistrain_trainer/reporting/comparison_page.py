"""Runs side by side, as one page that needs no network."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vistrain_trainer.engine.files import replace_file
from vistrain_trainer.errors import BadInput
from vistrain_trainer.reporting.charts import Chart, Line, drawn, thinned
from vistrain_trainer.reporting.comparability import obstacles
from vistrain_trainer.reporting.comparison import Comparison
from vistrain_trainer.reporting.comparison_layouts import cost_table, spread_table
from vistrain_trainer.reporting.gap import VALIDATION
from vistrain_trainer.reporting.layouts import difference_table, metric_table, ranking_table
from vistrain_trainer.reporting.page import render
from vistrain_trainer.reporting.plot import lay_out
from vistrain_trainer.reporting.stability import TOTAL
from vistrain_trainer.reporting.tables import Table

PAGE, DOCUMENT = "index.html", "comparison.json"


def tables(comparison: Comparison) -> dict[str, Table]:
    """All tables of a comparison that have a row."""
    found = {
        "ranking": ranking_table(comparison),
        "metrics": metric_table(comparison),
        "differences": difference_table(comparison),
        "cost": cost_table(comparison),
        "stability": spread_table(comparison),
    }
    return {name: table for name, table in found.items() if table.rows}


def overlays(comparison: Comparison, named: Sequence[Path]) -> tuple[Chart, ...]:
    """The curves of all runs; a run's colour is its place among those `named`, whatever its rank."""
    slots = {folder.resolve(): slot for slot, folder in enumerate(named)}
    standings = sorted(comparison.standings, key=lambda one: slots[one.history.folder.resolve()])

    def chart(key: str, title: str, label: str, column: str) -> Chart:
        lines = []
        for one in standings:
            series = one.history.over_epochs(column)
            if series.values:
                places = tuple(map(float, series.at))
                slot = slots[one.history.folder.resolve()]
                lines.append(Line(one.label, *thinned(places, series.values), slot=slot))
        return Chart(key=key, title=title, x_label="epoch", y_label=label, lines=tuple(lines))

    metrics = [name for name in dict.fromkeys((comparison.metric, "AP", "AP50")) if name != VALIDATION]
    return drawn(
        [
            *(chart(f"compare-{name}", name, "value", name) for name in metrics),
            chart("compare-validation-loss", "Validation loss", "loss", VALIDATION),
            chart("compare-training-loss", "Training loss, mean of the epoch", "loss", TOTAL),
            chart("compare-learning-rate", "Learning rate", "rate", "learning_rate"),
            chart("compare-seconds", "Training time of an epoch", "seconds", "seconds"),
        ]
    )


def render_comparison(comparison: Comparison, named: Sequence[Path]) -> str:
    """The page; equal run folders give equal pages."""
    best = comparison.standings[0]
    return render(
        "compare.html",
        comparison=comparison,
        best=best.best[comparison.metric],
        leader=best.label,
        obstacles=list(map(str, obstacles(comparison))),
        plots=[lay_out(chart) for chart in overlays(comparison, named)],
        tables={"differences": None, "stability": None, **tables(comparison)},
    )


def document(comparison: Comparison) -> dict[str, Any]:
    """Every number of the comparison, unrounded."""
    return {
        "format": 1,
        "metric": comparison.metric,
        "mode": comparison.mode,
        "runs": [
            {"rank": one.rank, "label": one.label, "folder": str(one.history.folder)}
            for one in comparison.standings
        ],
        "notComparable": [
            {
                "what": one.what,
                "consequence": one.consequence,
                "refuses": one.refuses,
                "values": [{"value": value, "runs": list(labels)} for value, labels in one.groups],
            }
            for one in obstacles(comparison)
        ],
        "tables": {name: json.loads(table.to_json()) for name, table in tables(comparison).items()},
    }


def write_comparison(comparison: Comparison, named: Sequence[Path], folder: Path) -> list[Path]:
    """Write page and document, replacing those that are there; the files written.

    Raises:
        BadInput: the output is no folder.
        OSError: it cannot be written.
    """
    if folder.exists() and not folder.is_dir():
        raise BadInput(field="--output", value=folder, problem="it is no folder", remedy="Name a folder")
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(document(comparison), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    for name, content in ((DOCUMENT, text), (PAGE, render_comparison(comparison, named))):
        replace_file(folder / name, content.encode(), durable=False)
    return [folder / PAGE, folder / DOCUMENT]
