"""`vistrain extend`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
import yaml

from vistrain_trainer.errors import BadInput


def extend(
    *,
    run: Annotated[Path, typer.Argument(help="Folder of a finished run.")],
    epochs: Annotated[int, typer.Option(min=1, help="More epochs to train.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Manifest to write. [default: <name>.yaml]")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name of the new run. [default: <run>-extended]")] = None,
    peak: Annotated[
        float | None,
        typer.Option(help="Rate to begin with, falling by a cosine. [default: the last rate, kept]"),
    ] = None,
    min_ratio: Annotated[float | None, typer.Option(help="Share of it that the run ends with.")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the manifest as JSON, and write none.")
    ] = False,
) -> None:
    """Write the manifest of a new run that trains a finished one further; the finished one stays as it is.

    It goes on from the last raw weights, average and optimiser, on a rate of its own, which is printed. The
    manifest is for `kubectl apply` and for `vistrain run` alike.

    Example: vistrain extend runs/a --epochs 10 && vistrain run -f a-extended.yaml --run a=runs/a
    """
    from vistrain_trainer.engine.extension import extended

    try:
        manifest = extended(run, epochs=epochs, name=name, peak=peak, min_ratio=min_ratio)
        values = manifest.model_dump(mode="json", by_alias=True, exclude_none=True)
        if as_json:
            typer.echo(json.dumps(values))
            return
        path = out or Path(f"{manifest.metadata.name}.yaml")
        _write(path, yaml.safe_dump(values, sort_keys=False, allow_unicode=True))
    except BadInput as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(int(error.exit_code)) from None
    rate, source = manifest.spec.schedule.learning_rate, manifest.spec.initialization.run
    assert source is not None
    assert rate.peak is not None
    curve = (
        f"stays at {rate.peak:g}"
        if rate.min_ratio == 1
        else f"{rate.peak:g} to {rate.peak * rate.min_ratio:g}"
    )
    typer.echo(f"{path}: {epochs} more epochs, rate {curve} ({rate.curve}), no warm-up")
    typer.echo(f"  kubectl apply -f {path}")
    typer.echo(f"  vistrain run -f {path} --run {source.name}={run} --output runs/{manifest.metadata.name}")


def _write(path: Path, text: str) -> None:
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise BadInput(
            field="--out",
            value=path,
            problem=f"it cannot be written: {error.strerror}",
            remedy="Name another file, or move this one away",
        ) from error
