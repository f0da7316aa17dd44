"""`vistrain doctor`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from vistrain_trainer.cli.manifests import read_folders, read_volumes
from vistrain_trainer.cli.options import AsJson, RunMappings
from vistrain_trainer.errors import BadInput

if TYPE_CHECKING:
    from vistrain_trainer.doctor.examine import Diagnosis

_STYLES = {"error": "bold red", "warning": "bold yellow", "note": "bold blue"}


def doctor(
    subject: Annotated[
        Path, typer.Argument(metavar="MANIFEST|RUN_FOLDER", help="Manifest, or folder of a run.")
    ],
    volumes: Annotated[
        list[str] | None,
        typer.Option("--volume", metavar="CLAIM=DIR", help="Folder of a claim: has its content looked at."),
    ] = None,
    runs: RunMappings = None,
    as_json: AsJson = False,
) -> None:
    """Say what is wrong with a manifest or a run: symptom, cause, remedy.

    Of a run it also tells how far it came, why it ended, from where it would go on and what is lost. Nothing
    is written. Exit codes: 0 nothing is wrong, 1 something is, 64 the argument cannot be read.

    Example: vistrain doctor examples/quickstart.yaml --volume driving-world=data/driving-world

    Example: vistrain doctor runs/a
    """
    from vistrain_trainer.doctor.examine import examine  # it brings OpenCV, which `--help` does without

    try:
        named = read_folders("--run", runs or [])
        found = examine(subject, read_volumes(volumes or []), runs=named)
    except BadInput as error:
        if as_json:
            typer.echo(json.dumps({"error": str(error)}))
        else:
            typer.echo(f"error: {error}", err=True)
        raise typer.Exit(int(error.exit_code)) from None
    if as_json:
        typer.echo(json.dumps(found.as_json()))
    else:
        _print(found)
    if found.findings:
        raise typer.Exit(1)


def _print(found: Diagnosis) -> None:
    console = Console(highlight=False)
    for sentence in found.story:
        console.print(Text(sentence))
    for one in found.findings:
        console.print()
        console.print(Text(one.severity, _STYLES[one.severity]), Text(f"{one.check}: {one.field}", "bold"))
        table = Table.grid(padding=(0, 2))
        table.add_column(no_wrap=True)
        table.add_column(overflow="fold")
        for name, text in (("symptom", one.symptom), ("cause", one.cause), ("remedy", one.remedy)):
            table.add_row(Text(f"  {name}"), Text(text))
        console.print(table)
    if found.story or found.findings:
        console.print()
    number = len(found.findings)
    said = "Nothing is wrong" if not number else "1 finding" if number == 1 else f"{number} findings"
    console.print(Text(f"{said} in {found.subject}."))
    reasons: dict[str, list[str]] = {}
    for missed in found.unseen:
        reasons.setdefault(missed.why, []).append(missed.check)
    for why, checks in reasons.items():
        console.print(Text(f"Not looked at: {', '.join(checks)}; {why}.", "dim"))
