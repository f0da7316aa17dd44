"""The report of a run as one page that needs no network."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vistrain_trainer.reporting.headlines import headlines
from vistrain_trainer.reporting.history import History
from vistrain_trainer.reporting.judgement import MAX_PICTURES, Judgement
from vistrain_trainer.reporting.plot import Plot, lay_out
from vistrain_trainer.reporting.report import Report
from vistrain_trainer.reporting.tables import Table
from vistrain_trainer.reporting.verdict import State
from vistrain_trainer.reporting.wording import count, number

if TYPE_CHECKING:
    from jinja2 import Environment

    from vistrain_trainer.evaluation.artifact import Picture
    from vistrain_trainer.evaluation.confusion import ConfusionMatrix

_TEMPLATES = Path(__file__).with_name("templates")
_TONES: dict[State, str] = {
    "finished": "good",
    "stopped early": "good",
    "gate not met": "warn",
    "failed": "bad",
    "interrupted": "warn",
    "open": "warn",
}


@dataclass(frozen=True)
class _Judged:
    """An evaluation as the template takes it."""

    split: str
    said: str
    notes: tuple[str, ...]
    confidence: float
    operating: Table
    classes: Table
    plots: tuple[Plot, ...]
    confusion: ConfusionMatrix
    slices: Table
    pictures: tuple[tuple[Picture, str], ...]
    left_out: int


def render_page(report: Report) -> str:
    """The page; equal run folders give equal pages."""
    judged = [_judged(one) for one in report.judgements]
    plots = [lay_out(chart) for chart in report.charts]
    return render(
        "report.html",
        report=report,
        tone=_TONES[report.verdict.state],
        subtitle=", ".join(_subtitle(report.history)),
        sections=list(_sections(report, bool(plots))),
        headlines=list(headlines(report.history)),
        alerts=list(report.alerts()),
        plots=plots,
        tables={name: report.tables.get(name) for name in _OF_RUN},
        judged=judged,
    )


_OF_RUN = (
    "marks",
    "best",
    "stretches",
    "stability",
    "metrics",
    "classes",
    "attempts",
    "interruptions",
    "environment",
    "thresholds",
    "digests",
    "dataset",
    "checkpoints",
)


def render(template: str, **values: Any) -> str:
    """A template of this package with its style and script inlined."""
    from markupsafe import Markup

    # Both are files of this package, not words of a run.
    own = {
        name: Markup((_TEMPLATES / name).read_text(encoding="utf-8")) for name in ("style.css", "script.js")
    }
    return (
        _environment()
        .get_template(template)
        .render(
            style=own["style.css"],
            script=own["script.js"],
            number=number,
            version=f"vistrain-trainer {version('vistrain-trainer')}",
            **values,
        )
    )


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader(_TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=False
    )


def _subtitle(history: History) -> Iterator[str]:
    spec = history.manifest.spec
    model = spec.model.yolox
    if model is not None:
        yield f"YOLOX-{model.variant} at {model.input_size.width}×{model.input_size.height}"
    yield count(len(spec.dataset.classes), "class", "classes")
    yield f"batches of {count(spec.schedule.batch_size, 'image')}"
    trained = [attempt for attempt in history.attempts if attempt.started_at is not None]
    if trained and trained[-1].environment.get("device"):
        yield f"on {trained[-1].environment['device']}"
    if trained and trained[0].started_at is not None:
        yield f"begun {trained[0].started_at:%Y-%m-%d %H:%M} UTC"
    ended = history.attempts[-1].ended_at if history.attempts else None
    status = history.status
    if ended is not None:
        yield f"ended {ended:%Y-%m-%d %H:%M} UTC"
    elif history.outcome is None and status is not None and status.progress and status.progress.updated_at:
        yield f"last sign of life {status.progress.updated_at}"


def _sections(report: Report, plots: bool) -> Iterator[tuple[str, str]]:
    tables = report.tables
    yield "story", "What happened"
    if plots:
        yield "curves", "Curves"
    if tables.keys() & {"best", "stretches", "stability"}:
        yield "progress", "Training"
    if tables.keys() & {"metrics", "classes"}:
        yield "metrics", "Metrics"
    for one in report.judgements:
        yield f"evaluation-{one.split}", f"Evaluation ({one.split})"
    if "attempts" in tables:
        yield "attempts", "Attempts"
    yield "reproduce", "Doing it again"


def _judged(one: Judgement) -> _Judged:
    artifact = one.artifact
    pictures = tuple(one.pictures())
    return _Judged(
        split=one.split,
        said=one.said,
        notes=artifact.notes,
        confidence=artifact.operating[-1].confidence,
        operating=one.operating,
        classes=one.classes,
        plots=tuple(lay_out(chart) for chart in one.charts),
        confusion=artifact.confusion,
        slices=one.slices,
        pictures=pictures,
        left_out=max(0, len(artifact.pictures) - MAX_PICTURES),
    )
