"""The tables of a report, laid out from its figures."""

from __future__ import annotations

import json
from typing import Any

from vistrain_trainer.reporting.comparison import Comparison
from vistrain_trainer.reporting.history import History
from vistrain_trainer.reporting.marks import reason
from vistrain_trainer.reporting.series import Point
from vistrain_trainer.reporting.stability import Spread, stability, stretch_figures
from vistrain_trainer.reporting.tables import Cell, Column, Table


def stability_table(history: History) -> Table:
    """Mean and spread of loss and primary metric, over all epochs and after the warm-up."""
    columns = (
        Column("curve", "curve"),
        Column("epochs", "epochs"),
        Column("values", "values"),
        Column("mean", "mean"),
        Column("std", "std"),
        Column("cv_percent", "CV (%)", digits=3),
        Column("verdict", "verdict"),
    )
    rows: list[tuple[Cell, ...]] = []
    for one in stability(history):
        rows.append((one.name, "all", *_spread(one.overall)))
        if one.after_warmup is not None:
            rows.append((one.name, "after warm-up", *_spread(one.after_warmup)))
    return Table(f"Stability of {history.name}", columns, tuple(rows))


def stretch_table(history: History) -> Table:
    """Start, end and spread of loss and primary metric, by phase and by warm-up, main and no-aug."""
    columns = (
        Column("stretch", "stretch"),
        Column("first_epoch", "from epoch"),
        Column("last_epoch", "to epoch"),
        Column("curve", "curve"),
        Column("start", "start"),
        Column("end", "end"),
        Column("delta", "Δ"),
        Column("mean", "mean"),
        Column("std", "± std"),
    )
    rows = tuple(
        (
            one.stretch.name,
            one.stretch.first,
            one.stretch.last,
            one.name,
            one.start.value,
            one.end.value,
            one.delta,
            one.spread.mean,
            one.spread.std,
        )
        for one in stretch_figures(history)
    )
    return Table(f"Stretches of {history.name}", columns, rows)


def interruption_table(history: History) -> Table:
    """What interrupted a run, and what that cost."""
    columns = (
        Column("attempt", "attempt"),
        Column("node", "node"),
        Column("reason", "ended"),
        Column("last_step", "at step"),
        Column("resumed_attempt", "next attempt"),
        Column("restored_step", "from step"),
        Column("steps_lost", "steps repeated"),
        Column("idle_seconds", "pause (s)"),
    )
    rows = tuple(
        (
            one.ended.attempt,
            one.ended.node or None,
            reason(one),
            one.ended.last_step,
            None if one.resumed is None else one.resumed.attempt,
            None if one.resumed is None else one.resumed.restored_step or 0,
            one.steps_lost,
            one.idle_seconds,
        )
        for one in history.interruptions
    )
    return Table(f"Interruptions of {history.name}", columns, rows)


def ranking_table(comparison: Comparison) -> Table:
    """The runs by rank, with the best and the last value of the metric they are ranked by."""
    metric = comparison.metric
    columns = (
        Column("rank", "rank"),
        Column("run", "run"),
        Column("trained_epochs", "epochs"),
        Column("best", f"best {metric}"),
        Column("best_epoch", "at epoch"),
        Column("hours_to_best", "hours to best", digits=3),
        Column("last", f"last {metric}"),
    )
    rows = tuple(
        (
            one.rank,
            one.label,
            one.history.trained_epochs,
            _value(one.best[metric]),
            _place(one.best[metric]),
            one.hours_to_best,
            _value(one.last[metric]),
        )
        for one in comparison.standings
    )
    return Table(f"Runs ranked by {metric} ({comparison.mode})", columns, rows)


def metric_table(comparison: Comparison) -> Table:
    """Best and last value of every metric by run, one row a metric."""
    columns = [Column("metric", "metric")]
    for place, one in enumerate(comparison.standings, start=1):
        columns += [
            Column(f"run{place}_best", f"{one.label}: best"),
            Column(f"run{place}_best_epoch", "epoch"),
            Column(f"run{place}_last", "last"),
        ]
    rows = []
    for metric in comparison.metrics:
        row: list[Cell] = [metric]
        for one in comparison.standings:
            best = one.best[metric]
            row += [_value(best), _place(best), _value(one.last[metric])]
        rows.append(tuple(row))
    return Table("Metrics of the runs", tuple(columns), tuple(rows))


def difference_table(comparison: Comparison) -> Table:
    """The manifests' fields that differ, one row a field."""
    columns = [Column("field", "field")]
    columns += [Column(f"run{place}", one.label) for place, one in enumerate(comparison.standings, start=1)]
    rows = tuple((one.field, *map(_cell, one.values)) for one in comparison.differences)
    return Table("Differences of the manifests", tuple(columns), rows)


def _spread(one: Spread) -> tuple[Cell, ...]:
    variation = None if one.variation is None else 100 * one.variation
    return one.count, one.mean, one.std, variation, one.verdict


def _value(point: Point | None) -> float | None:
    return None if point is None else point.value


def _place(point: Point | None) -> int | None:
    return None if point is None else point.at


def _cell(value: Any) -> Cell:
    """A field's value; booleans, lists and mappings as JSON has them."""
    if value is None or (isinstance(value, (str, int, float)) and not isinstance(value, bool)):
        return value
    return json.dumps(value, ensure_ascii=False)
