"""Everything that the report of one run is made of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from vistrain_trainer.reporting.charts import Chart
from vistrain_trainer.reporting.gap import Gap, latest_gap
from vistrain_trainer.reporting.history import History, read_history
from vistrain_trainer.reporting.judgement import Judgement, read_judgements
from vistrain_trainer.reporting.layouts import interruption_table, stability_table, stretch_table
from vistrain_trainer.reporting.prose import paragraphs
from vistrain_trainer.reporting.provenance import Provenance, facts_table, provenance
from vistrain_trainer.reporting.run_charts import run_charts
from vistrain_trainer.reporting.run_layouts import (
    attempt_table,
    best_table,
    checkpoint_table,
    class_table,
    epoch_table,
    mark_table,
    metrics_table,
)
from vistrain_trainer.reporting.sentences import Sentence
from vistrain_trainer.reporting.tables import Table
from vistrain_trainer.reporting.verdict import Verdict, verdict


@dataclass(frozen=True)
class Report:
    """A run, read and laid out; every form of the report is written from this."""

    history: History
    judgements: tuple[Judgement, ...]
    notes: tuple[str, ...]
    """What could not be read, and was left out."""

    @property
    def name(self) -> str:
        """The run's name."""
        return self.history.name

    @cached_property
    def verdict(self) -> Verdict:
        """How the run stands."""
        return verdict(self.history)

    @cached_property
    def paragraphs(self) -> tuple[tuple[Sentence, ...], ...]:
        """The run, told."""
        return paragraphs(self.history)

    @cached_property
    def charts(self) -> tuple[Chart, ...]:
        """Of the run, without those of its evaluations."""
        return run_charts(self.history)

    @cached_property
    def gap(self) -> Gap | None:
        """Of the last epoch that has both losses."""
        return latest_gap(self.history)

    @cached_property
    def provenance(self) -> Provenance:
        """What it takes to do the run again."""
        return provenance(self.history)

    @cached_property
    def tables(self) -> dict[str, Table]:
        """The tables that have a row, by a short name."""
        history = self.history
        found = {
            "best": best_table(history),
            "metrics": metrics_table(history),
            "classes": class_table(history),
            "stretches": stretch_table(history),
            "stability": stability_table(history),
            "interruptions": interruption_table(history),
            "attempts": attempt_table(history),
            "marks": mark_table(history),
            "epochs": epoch_table(history),
            "checkpoints": checkpoint_table(history),
            "environment": facts_table("Environment", self.provenance.facts),
            "thresholds": facts_table("Thresholds of the evaluation", self.provenance.thresholds),
            "digests": facts_table("Digests", self.provenance.digests),
            "dataset": facts_table("How the data were prepared", self.provenance.dataset),
        }
        for one in self.judgements:
            found[f"classes-{one.split}"] = one.classes
            found[f"operating-{one.split}"] = one.operating
            found[f"slices-{one.split}"] = one.slices
            found[f"confusion-{one.split}"] = one.confusion
        return {name: table.filled() for name, table in found.items() if table.rows}

    def alerts(self) -> Iterator[str]:
        """What a reader must not miss."""
        if self.gap is not None and self.gap.alert:
            yield next(
                str(one) for part in self.paragraphs for one in part if one.template.startswith("alert: ")
            )
        outcome = self.history.outcome
        if outcome is not None and "gates not met" in outcome.message:
            yield f"{outcome.message[outcome.message.index('gates not met') :].capitalize()}."
        if self.verdict.state == "failed":
            said = self.history.attempts[-1].message
            yield f"The last attempt failed: {said}" if said else "The last attempt failed."
        yield from (f"Not everything could be read: {note}" for note in self.notes)


def read_report(folder: Path) -> Report:
    """Read a run folder, be the run finished, running or broken off.

    Raises:
        BadInput: there is no run in the folder, or a file in it is not what Vistrain writes.
    """
    history = read_history(folder)
    judgements, notes = read_judgements(folder)
    return Report(history, judgements, (*history.notes, *notes))
