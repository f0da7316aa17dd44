"""`vistrain compare`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from vistrain_trainer.cli.options import AsJson


def compare(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run folders, two or more.")],
    output: Annotated[Path, typer.Option(help="Folder of the page.")] = Path("comparison"),
    metric: Annotated[
        str | None,
        typer.Option(help="Metric to rank by. [default: the runs' primary one]", show_default=False),
    ] = None,
    anyway: Annotated[
        bool, typer.Option("--anyway", help="Also runs of other classes or other validation data.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Rank runs side by side: metrics, settings that differ, stability, cost; with a page of their curves.

    What is not comparable is said; runs of other classes or other validation data are refused. Exit codes:
    0 compared, 64 refused, or a run cannot be read, 74 the output cannot be written.

    Example: vistrain compare runs/a runs/b --output comparison
    """
    from vistrain_trainer.cli.refusals import refusing

    with refusing(as_json):
        from vistrain_trainer.cli.printing import print_table
        from vistrain_trainer.reporting.comparability import obstacles, require_comparable
        from vistrain_trainer.reporting.comparison import compare_runs
        from vistrain_trainer.reporting.comparison_page import document, tables, write_comparison
        from vistrain_trainer.reporting.history import read_history

        found = compare_runs([read_history(run) for run in runs], metric)
        if not anyway:
            require_comparable(found)
        written = write_comparison(found, runs, output)
        if as_json:
            typer.echo(json.dumps(document(found) | {"files": list(map(str, written))}))
            return
        for one in obstacles(found):
            typer.echo(f"not comparable: {one}.")
        laid_out = tables(found)
        for name in ("ranking", "cost", "differences"):
            if name in laid_out:
                print_table(laid_out[name].turned() if name == "cost" else laid_out[name])
        for path in written:
            typer.echo(str(path))
