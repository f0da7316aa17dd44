"""The report of a run as one JSON document, for programs."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import msgspec

from vistrain_trainer.reporting.bests import best_epochs
from vistrain_trainer.reporting.report import Report
from vistrain_trainer.reporting.stability import stability

FORMAT = 1


def document(report: Report) -> dict[str, Any]:
    """Every number of the report, unrounded; what is not known is null or absent."""
    history, facts = report.history, report.provenance
    outcome, gap = history.outcome, report.gap
    return {
        "format": FORMAT,
        "name": report.name,
        "state": report.verdict.state,
        "headline": report.verdict.headline,
        "exitCode": None if outcome is None else outcome.exit_code,
        "epochs": {"done": history.trained_epochs, "planned": history.planned_epochs},
        "steps": history.step,
        "stepsPerEpoch": history.steps_per_epoch,
        "trainingSeconds": history.training_seconds(),
        "primaryMetric": {"name": history.primary, "mode": history.mode(history.primary)},
        "best": [asdict(one) for one in best_epochs(history)],
        "results": {} if outcome is None else dict(outcome.results),
        "curves": {
            name: {"epoch": list(series.at), "value": list(series.values)}
            for name, series in history.epochs.items()
        },
        "phases": {str(epoch): name for epoch, name in history.phases.items()},
        "marks": [asdict(mark) for mark in history.marks],
        "stability": {
            one.name: {
                "overall": asdict(one.overall) | {"variation": one.overall.variation},
                "afterWarmup": None
                if one.after_warmup is None
                else asdict(one.after_warmup) | {"variation": one.after_warmup.variation},
            }
            for one in stability(history)
        },
        "gap": None
        if gap is None
        else asdict(gap) | {"difference": gap.difference, "limit": gap.limit, "alert": gap.alert},
        "tables": {
            name: json.loads(table.to_json()) for name, table in report.tables.items() if name != "epochs"
        },
        "evaluations": {
            one.split: {"metrics": one.artifact.metrics, "sources": [asdict(s) for s in one.artifact.sources]}
            for one in report.judgements
        },
        "alerts": list(report.alerts()),
        "sentences": [
            {"text": str(sentence), "facts": {name: asdict(fact) for name, fact in sentence.facts.items()}}
            for paragraph in report.paragraphs
            for sentence in paragraph
        ],
        "command": facts.command,
        "commandRecorded": facts.recorded,
        "environment": dict(facts.facts),
        "thresholds": dict(facts.thresholds),
        "digests": dict(facts.digests),
        "preparations": [msgspec.to_builtins(one) for one in history.preparations],
        "classes": list(facts.classes),
    }


def render_json(report: Report) -> str:
    """The document as text."""
    return json.dumps(document(report), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
