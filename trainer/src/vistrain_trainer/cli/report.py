"""`vistrain report`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vistrain_trainer.errors import BadInput

if TYPE_CHECKING:
    from vistrain_trainer.reporting.files import Format

_FORMATS = "html,markdown,figures,json,csv,latex"


def report(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run folder.")],
    output: Annotated[
        Path | None, typer.Option(help="Folder of the report. [default: RUN/report]", show_default=False)
    ] = None,
    formats: Annotated[
        str, typer.Option("--format", metavar="FORMAT[,FORMAT]", help="What to write.")
    ] = _FORMATS,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures and the files as JSON.")] = False,
) -> None:
    """Write the report of a run: a page, Markdown, figures, JSON, CSV, LaTeX.

    The run may be finished, running or broken off; a report that is there is replaced. A finished run has
    written its own. Exit codes: 0 written, 64 the run or an option cannot be read, 74 the output cannot be
    written.

    Example: vistrain report runs/a

    Example: vistrain report runs/a --output paper/figures --format figures,latex
    """
    from vistrain_trainer.cli.refusals import refusing

    with refusing(as_json):
        chosen = _chosen(formats)
        from vistrain_trainer.reporting.document import document
        from vistrain_trainer.reporting.files import FOLDER, write_files
        from vistrain_trainer.reporting.report import read_report

        read = read_report(run)
        written = write_files(read, output or run / FOLDER, chosen)
        if as_json:
            typer.echo(json.dumps(document(read) | {"files": list(map(str, written))}))
            return
        typer.echo(f"{read.name}: {read.verdict.headline}")
        for alert in read.alerts():
            typer.echo(alert)
        for path in written:
            typer.echo(f"  {path}")


def _chosen(text: str) -> list[Format]:
    from vistrain_trainer.reporting.files import FORMATS

    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names or [text]:
        if name not in FORMATS:
            raise BadInput(
                field="--format",
                value=name,
                problem="there is no such form of a report",
                remedy=f"Give one or more of {', '.join(FORMATS)}",
            )
    return [form for form in FORMATS if form in names]
