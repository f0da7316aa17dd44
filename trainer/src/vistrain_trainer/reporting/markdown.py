"""The report of a run in Markdown, for a pull request or a wiki."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from vistrain_trainer.reporting.headlines import headlines
from vistrain_trainer.reporting.report import Report
from vistrain_trainer.reporting.tables import markdown_text

_TABLES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Training", ("best", "stretches", "stability")),
    ("Metrics", ("metrics", "classes")),
)
_END: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Attempts", ("attempts", "interruptions")),
    ("Doing it again", ("environment", "thresholds", "digests", "dataset", "checkpoints")),
)


def render_markdown(report: Report, figures: Sequence[str] = ()) -> str:
    """GitHub-flavoured Markdown; `figures` are the names of the files beside it that it shows."""
    return "\n".join(_lines(report, figures)).rstrip() + "\n"


def _lines(report: Report, figures: Sequence[str]) -> Iterator[str]:
    yield f"# {markdown_text(report.name)}: {markdown_text(report.verdict.headline)}"
    yield ""
    for figure in headlines(report.history):
        detail = f" ({figure.detail})" if figure.detail else ""
        yield f"- {markdown_text(f'{figure.name}: {figure.text}{detail}')}"
    yield ""
    for alert in report.alerts():
        yield f"> {markdown_text(alert)}"
        yield ""
    for paragraph in report.paragraphs:
        yield markdown_text(" ".join(map(str, paragraph)))
        yield ""
    if figures:
        yield "## Curves"
        yield ""
        titles = {chart.key: chart.title for chart in report.charts}
        titles |= {chart.key: chart.title for one in report.judgements for chart in one.charts}
        titles |= {f"confusion-{one.split}": one.confusion.title for one in report.judgements}
        for file in figures:
            title = titles.get(file.rpartition("/")[2].rpartition(".")[0], file)
            yield f"![{markdown_text(title)}]({file})"
            yield ""
        yield from _table(report, "marks")
    for title, names in _TABLES:
        yield from _section(report, title, names)
    for one in report.judgements:
        yield f"## Evaluation on the {one.split} split"
        yield ""
        for text in (one.said, *one.artifact.notes):
            yield markdown_text(text)
            yield ""
        for kind in ("operating", "classes", "confusion", "slices"):
            yield from _table(report, f"{kind}-{one.split}")
    for title, names in _END:
        yield from _section(report, title, names)
    yield "```bash"
    yield report.provenance.command
    yield "```"


def _section(report: Report, title: str, names: Sequence[str]) -> Iterator[str]:
    tables = [line for name in names for line in _table(report, name)]
    if tables:
        yield f"## {title}"
        yield ""
        yield from tables


def _table(report: Report, name: str) -> Iterator[str]:
    table = report.tables.get(name)
    if table is not None:
        yield f"**{markdown_text(table.title)}**"
        yield ""
        yield table.to_markdown()
