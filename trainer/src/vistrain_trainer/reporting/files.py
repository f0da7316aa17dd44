"""The files of a report, written beside and renamed one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal, get_args

from vistrain_trainer.engine.files import replace_file
from vistrain_trainer.engine.stages import stage
from vistrain_trainer.errors import BadInput
from vistrain_trainer.reporting.charts import Chart
from vistrain_trainer.reporting.document import render_json
from vistrain_trainer.reporting.markdown import render_markdown
from vistrain_trainer.reporting.report import Report, read_report

Format = Literal["html", "markdown", "figures", "json", "csv", "latex"]
FORMATS: tuple[Format, ...] = get_args(Format)
FOLDER, PAGE, FIGURES = "report", "index.html", "figures"
_LATEX = ("metrics", "classes", "stretches", "stability")


def write_report(run: Path, output: Path | None = None, formats: Sequence[Format] = FORMATS) -> list[Path]:
    """Write the report of a run folder, by default to its `report/`; the files written, the page first.

    A file that is there is replaced; others are left alone, so that forms can be written one by one.

    Raises:
        BadInput: there is no run, a file in it is not what Vistrain writes, or the output is no folder.
        OSError: the output cannot be written.
    """
    return write_files(read_report(run), output or run / FOLDER, formats)


def write_files(report: Report, folder: Path, formats: Sequence[Format] = FORMATS) -> list[Path]:
    """Write a report that is read; as `write_report`."""
    if folder.exists() and not folder.is_dir():
        raise BadInput(field="--output", value=folder, problem="it is no folder", remedy="Name a folder")
    folder.mkdir(parents=True, exist_ok=True)
    stage("report.begin")
    written: list[Path] = []

    def put(name: str, content: str | bytes) -> None:
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        replace_file(path, content.encode() if isinstance(content, str) else content, durable=False)
        stage("report.file")
        written.append(path)

    figures: list[str] = []
    writers: dict[Format, Callable[[], Iterable[tuple[str, str | bytes]]]] = {
        "figures": lambda: _figures(report),
        "json": lambda: [("metrics.json", render_json(report))],
        "csv": lambda: _csv(report),
        "latex": lambda: [("table.tex", _latex(report))],
        "markdown": lambda: [("report.md", render_markdown(report, figures))],
        "html": lambda: _page(report),
    }
    for form, write in writers.items():  # the page comes last: where it is, the report is whole
        if form not in formats:
            continue
        for name, content in write():
            put(name, content)
            if name.endswith(".png"):
                figures.append(name)
    if "figures" in formats:
        _discard(folder / FIGURES, {path.name for path in written})
    return sorted(written, key=lambda path: path.name != PAGE)


def _figures(report: Report) -> Iterator[tuple[str, bytes]]:
    from vistrain_trainer.reporting.figures import draw, draw_matrix

    charts: list[Chart] = [*report.charts, *(chart for one in report.judgements for chart in one.charts)]
    for name, content in draw(charts):
        yield f"{FIGURES}/{name}", content
    for one in report.judgements:
        matrix = one.artifact.confusion
        for name, content in draw_matrix(
            f"confusion-{one.split}", one.confusion.title, matrix.labels, matrix.counts
        ):
            yield f"{FIGURES}/{name}", content


def _page(report: Report) -> Iterator[tuple[str, str]]:
    from vistrain_trainer.reporting.page import render_page

    yield PAGE, render_page(report)


def _csv(report: Report) -> Iterator[tuple[str, str]]:
    """The epochs, and the classes of every evaluation."""
    for name, table in report.tables.items():
        if name == "epochs":
            yield "metrics.csv", table.to_csv()
        elif name in ("stretches", "stability") or name.startswith(("classes", "slices", "confusion")):
            yield f"{name}.csv", table.to_csv()


def _latex(report: Report) -> str:
    """The tables that papers take, in one file; the package booktabs is needed."""
    names = [name for name in report.tables if name in _LATEX or name.startswith(("classes-", "slices-"))]
    parts = ["% needs \\usepackage{booktabs}\n"]
    parts += [report.tables[name].to_latex(f"tab:{name}") for name in names]
    return "\n".join(parts)


def _discard(folder: Path, kept: set[str]) -> None:
    """Remove figures of an earlier report that this one has no chart for."""
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.suffix in (".png", ".svg") and path.name not in kept:
            path.unlink(missing_ok=True)
