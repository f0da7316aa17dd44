"""`vistrain checkpoint`: list, verify, diff."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from vistrain_trainer.cli.options import AsJson
from vistrain_trainer.engine.checkpoint import TornCheckpoint, open_checkpoint
from vistrain_trainer.engine.store import CheckpointStore
from vistrain_trainer.errors import BadInput

app = typer.Typer(help="Look at the checkpoints of a run folder.", no_args_is_help=True)
Run = Annotated[Path, typer.Argument(help="Run folder.")]


@app.command("list")
def list_checkpoints(run: Run, as_json: AsJson = False) -> None:
    """List the checkpoints, without reading their states.

    Example: vistrain checkpoint list runs/a
    """
    store = _store(run)
    rows = []
    for step in store.steps():
        try:
            found = open_checkpoint(store.path(step))
            size = found.meta["state"]["bytes"]
            rows.append(
                {"step": step, "epoch": found.meta["epoch"], "savedAt": found.meta["savedAt"], "bytes": size}
                | {"attempt": found.meta["attempt"], "sha256": found.sha256, "problem": None}
            )
        except TornCheckpoint as torn:
            rows.append({"step": step, "problem": str(torn)})
    if as_json:
        typer.echo(json.dumps(rows))
        return
    table = Table("step", "epoch", "saved", "MB", "attempt", "sha256", "problem")
    for row in rows:
        size = f"{row['bytes'] / 1e6:.1f}" if "bytes" in row else ""
        cells = [row["step"], row.get("epoch", ""), row.get("savedAt", ""), size, row.get("attempt", "")]
        table.add_row(*map(str, cells), str(row.get("sha256", ""))[:12], row["problem"] or "")
    Console().print(table)


@app.command()
def verify(run: Run, as_json: AsJson = False) -> None:
    """Read every checkpoint and check its digest. Exit code 1 when one is torn.

    Example: vistrain checkpoint verify runs/a
    """
    store = _store(run)
    problems: dict[int, str | None] = {}
    for step in store.steps():
        try:
            open_checkpoint(store.path(step)).verify()
            problems[step] = None
        except TornCheckpoint as torn:
            problems[step] = str(torn)
    if as_json:
        typer.echo(json.dumps([{"step": step, "problem": problem} for step, problem in problems.items()]))
    else:
        for step, problem in problems.items():
            typer.echo(f"step {step}: {problem or 'whole'}")
    if any(problems.values()):
        raise typer.Exit(1)


@app.command()
def diff(
    run_a: Annotated[Path, typer.Argument(help="Run folder, or checkpoint folder.")],
    run_b: Annotated[Path, typer.Argument(help="Run folder, or checkpoint folder.")],
    as_json: AsJson = False,
) -> None:
    """Compare raw, average and best weights and the optimiser's state, to the bit.

    Exit code 0 when identical, 1 otherwise, with the largest difference.

    Example: vistrain checkpoint diff runs/a runs/b
    """
    from vistrain_trainer.engine.comparison import compare

    try:
        found = compare(run_a, run_b)
    except BadInput as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(int(error.exit_code)) from None
    if as_json:
        typer.echo(json.dumps([part.__dict__ for part in found]))
    else:
        for part in found:
            typer.echo(f"{part.name}: {part.summary()}")
    if any(not part.identical for part in found):
        raise typer.Exit(1)


def _store(run: Path) -> CheckpointStore:
    if not (run / "checkpoints").is_dir():
        typer.echo(
            f"error: {run}: there is no folder checkpoints in it. Name a run folder such as runs/a", err=True
        )
        raise typer.Exit(64)
    return CheckpointStore(run / "checkpoints")
