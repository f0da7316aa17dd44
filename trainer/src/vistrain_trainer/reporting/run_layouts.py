"""The tables of a run's report, besides those of its stability."""

from __future__ import annotations

from typing import Any

from vistrain_trainer.reporting.bests import best_epochs, kept_checkpoints
from vistrain_trainer.reporting.curves import PHASE
from vistrain_trainer.reporting.history import History
from vistrain_trainer.reporting.tables import Cell, Column, Table
from vistrain_trainer.reporting.verdict import ended_as

COCO = (
    "AP",
    "AP50",
    "AP75",
    "APsmall",
    "APmedium",
    "APlarge",
    "AR1",
    "AR10",
    "AR100",
    "ARsmall",
    "ARmedium",
    "ARlarge",
)
"""COCO's twelve figures, in its own order."""


def best_table(history: History) -> Table:
    """The best epochs by loss and by metric, with the files that are left of them."""
    columns = (
        Column("measure", "by"),
        Column("value", "value"),
        Column("epoch", "epoch"),
        Column("step", "step"),
        Column("weights", "weights"),
        Column("checkpoint", "checkpoint"),
    )
    rows = tuple(
        (
            f"{one.measure} ({history.mode(one.measure)})",
            one.value,
            one.epoch,
            one.step,
            one.weights or None,
            one.checkpoint or None,
        )
        for one in best_epochs(history)
    )
    return Table(f"Best epochs of {history.name}", columns, rows)


def metrics_table(history: History) -> Table:
    """COCO's figures and the validation loss: of the best epoch, of the last, and of the test split."""
    best = history.over_epochs(history.primary).best(history.mode(history.primary))
    last = history.over_epochs(history.primary).last
    results = {} if history.outcome is None else history.outcome.results
    columns = [Column("metric", "metric")]
    at: list[int] = []
    for point, key, words in ((best, "best", "best"), (last, "last", "last")):
        if point is not None:
            columns.append(Column(key, f"{words} (epoch {point.at})"))
            at.append(point.at)
    tested = any(name.startswith("test/") for name in results)
    if tested:
        columns.append(Column("test", "test split"))
    names = [*(name for name in COCO if name in history.metric_names)]
    names += [name for name in history.metric_names if "/" not in name and name not in names]
    rows = []
    for name in names:
        values = dict(history.over_epochs(name).points)
        row: list[Cell] = [name, *(values.get(epoch) for epoch in at)]
        rows.append((*row, results.get(f"test/{name}")) if tested else tuple(row))
    return Table(f"Metrics of {history.name}", tuple(columns), tuple(rows))


def class_table(history: History) -> Table:
    """AP and AR of every class at the best epoch, and on the test split; no rows where no class has one."""
    best = history.over_epochs(history.primary).best(history.mode(history.primary))
    results = {} if history.outcome is None else history.outcome.results
    classes = [name.removeprefix("AP/") for name in history.metric_names if name.startswith("AP/")]
    tested = any(name.startswith("test/AP/") for name in results)
    columns = [Column("class", "class"), Column("ap", "AP"), Column("ar", "AR")]
    if tested:
        columns += [Column("test_ap", "AP, test split"), Column("test_ar", "AR, test split")]
    rows = []
    for name in classes if best is not None else ():
        figures = [f"AP/{name}", f"AR/{name}"]
        row: list[Cell] = [
            name,
            *(dict(history.over_epochs(one).points).get(best.at if best else 0) for one in figures),
        ]
        if tested:
            row += [results.get(f"test/{one}") for one in figures]
        rows.append(tuple(row))
    return Table(f"Classes of {history.name}", tuple(columns), tuple(rows))


def epoch_table(history: History) -> Table:
    """Everything that metrics.csv tells, one row an epoch."""
    names = list(history.epochs)
    columns = [Column("epoch", "epoch")]
    if history.phases:
        columns.append(Column(PHASE, PHASE))
    columns += [Column(name, name) for name in names]
    values = {name: dict(series.points) for name, series in history.epochs.items()}
    rows = []
    for epoch in sorted({at for series in history.epochs.values() for at in series.at}):
        row: list[Cell] = [epoch]
        if history.phases:
            row.append(history.phases.get(epoch))
        rows.append((*row, *(_whole(values[name].get(epoch)) for name in names)))
    return Table(f"Epochs of {history.name}", tuple(columns), tuple(rows))


def attempt_table(history: History) -> Table:
    """Every start, with its end."""
    columns = (
        Column("attempt", "attempt"),
        Column("token", "start"),
        Column("node", "node"),
        Column("started", "began to train"),
        Column("restored_step", "from step"),
        Column("last_step", "to step"),
        Column("ended", "ended"),
        Column("message", "said"),
    )
    rows = tuple(
        (
            one.attempt,
            one.token,
            one.node or None,
            None if one.started_at is None else _time(one.started_at),
            (one.restored_step or 0) if one.trained else None,
            one.last_step,
            ended_as(history, one),
            one.message or None,
        )
        for one in history.attempts
    )
    return Table(f"Attempts of {history.name}", columns, rows)


def checkpoint_table(history: History) -> Table:
    """The checkpoints that are kept, with the digests of their states."""
    columns = (
        Column("step", "step"),
        Column("epoch", "epoch"),
        Column("saved_at", "saved"),
        Column("sha256", "sha256"),
        Column("path", "folder"),
    )
    rows = tuple(
        (one.step, one.epoch, one.saved_at, one.sha256, one.path) for one in kept_checkpoints(history)
    )
    return Table(f"Checkpoints of {history.name}", columns, rows)


def mark_table(history: History) -> Table:
    """The numbered marks of the curves."""
    columns = (
        Column("number", "mark"),
        Column("kind", "kind"),
        Column("step", "step"),
        Column("text", "what"),
    )
    rows = tuple((number, one.kind, one.step, one.text) for number, one in enumerate(history.marks, start=1))
    return Table(f"Marks on the curves of {history.name}", columns, rows)


def _whole(value: float | None) -> Cell:
    """Steps and counts as whole numbers."""
    return int(value) if value is not None and value.is_integer() and abs(value) < 2**53 else value


def _time(moment: Any) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
