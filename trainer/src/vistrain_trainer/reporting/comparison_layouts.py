"""The tables of a comparison, besides ranks, metrics and differences."""

from __future__ import annotations

from statistics import median

from vistrain_trainer.reporting.comparison import Comparison, Standing
from vistrain_trainer.reporting.stability import stability
from vistrain_trainer.reporting.tables import Cell, Column, Table
from vistrain_trainer.reporting.verdict import verdict


def cost_table(comparison: Comparison) -> Table:
    """What each run took: time, pace, waiting, memory, and what interruptions cost."""
    columns = (
        Column("run", "run"),
        Column("state", "state"),
        Column("epochs", "epochs"),
        Column("planned_epochs", "planned"),
        Column("hours", "training hours", digits=3),
        Column("images_per_second", "images/s", digits=3),
        Column("data_wait_percent", "waiting for data (%)", digits=3),
        Column("gpu_memory_gib", "GPU memory (GiB)", digits=3),
        Column("interruptions", "interruptions"),
        Column("steps_lost", "steps repeated"),
    )
    return Table("Cost of the runs", columns, tuple(map(_cost, comparison.standings)))


def spread_table(comparison: Comparison) -> Table:
    """How steady the runs are after their warm-ups: coefficient of variation, with its verdict."""
    columns = (
        Column("run", "run"),
        Column("curve", "curve"),
        Column("mean", "mean"),
        Column("std", "std"),
        Column("cv_percent", "CV (%)", digits=3),
        Column("verdict", "verdict"),
    )
    rows: list[tuple[Cell, ...]] = []
    for one in comparison.standings:
        for judged in stability(one.history):
            spread = judged.after_warmup or judged.overall
            variation = None if spread.variation is None else 100 * spread.variation
            rows.append((one.label, judged.name, spread.mean, spread.std, variation, spread.verdict))
    return Table("Stability of the runs, after warm-up", columns, tuple(rows))


def _cost(one: Standing) -> tuple[Cell, ...]:
    history = one.history
    seconds = history.training_seconds()
    lost = [cut.steps_lost for cut in history.interruptions if cut.steps_lost is not None]
    wait = _middle(one, "data_wait_ratio")
    memory = history.steps.get("gpu_memory_bytes")
    return (
        one.label,
        verdict(history).state,
        history.trained_epochs,
        history.planned_epochs,
        None if seconds is None else seconds / 3600,
        _middle(one, "images_per_second"),
        None if wait is None else 100 * wait,
        max(memory.values) / 2**30 if memory is not None and memory.values else None,
        len(history.interruptions),
        sum(lost),
    )


def _middle(one: Standing, name: str) -> float | None:
    series = one.history.steps.get(name)
    return median(series.values) if series is not None and series.values else None
