"""`vistrain prepare synthetic`: a small driving world."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from vistrain_trainer.data.world.catalogue import PRESETS
from vistrain_trainer.errors import BadInput

if TYPE_CHECKING:  # imported when a world is rendered: it brings scipy, which every `vistrain` would wait for
    from vistrain_trainer.data.synthetic import SyntheticOptions


def synthetic(
    *,
    out: Annotated[Path, typer.Option(help="Folder to make; it appears only when whole.")],
    scenes: Annotated[int, typer.Option(help="Scenes; the last fifth of them is for validation.")] = 40,
    samples: Annotated[int, typer.Option(help="Samples in a scene, half a second apart.")] = 8,
    cameras: Annotated[str, typer.Option(help="Cameras, with commas between.")] = "CAM_FRONT",
    image_size: Annotated[str, typer.Option(help="HEIGHTxWIDTH of the pictures in pixels.")] = "256x448",
    classes: Annotated[
        str, typer.Option(help=f"Ordered class names with commas between, or one of {', '.join(PRESETS)}.")
    ] = "nuscenes-vehicles",
    seed: Annotated[int, typer.Option(help="Equal seeds and options make equal files.")] = 0,
    format: Annotated[str, typer.Option(help="Layout: coco.")] = "coco",
    as_json: Annotated[bool, typer.Option("--json", help="Print the manifest as JSON.")] = False,
) -> None:
    """Render a small driving world to JPEG, with annotations.

    Example: vistrain prepare synthetic --out data/synthetic --scenes 40 --samples 8 --seed 0
    """
    from vistrain_trainer.data.synthetic import SyntheticOptions

    try:
        size = re.fullmatch(r"(\d{1,5})x(\d{1,5})", image_size)
        if size is None:
            raise BadInput(
                field="--image-size",
                value=image_size,
                problem="is not HEIGHTxWIDTH",
                remedy="give whole pixels such as 256x448",
            )
        if format != "coco":
            raise BadInput(field="--format", value=format, problem="is unknown", remedy="choose coco")
        options = SyntheticOptions(
            scenes=scenes,
            samples=samples,
            cameras=_names(cameras),
            height=int(size[1]),
            width=int(size[2]),
            classes=PRESETS.get(classes, _names(classes)),
            seed=seed,
        )
        manifest = _with_progress(options, out)
    except BadInput as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(int(error.exit_code)) from None
    if as_json:
        typer.echo(json.dumps(manifest))
        return
    for name, counts in manifest["counts"].items():
        per_class = ", ".join(f"{count} {kind}" for kind, count in counts["perClass"].items())
        typer.echo(f"{name}: {counts['images']} images, {counts['annotations']} boxes ({per_class})")
    typer.echo(f"{out}: digest {manifest['digest']}")


def _with_progress(options: SyntheticOptions, out: Path) -> dict[str, Any]:
    from vistrain_trainer.data.synthetic import make_synthetic

    console = Console(stderr=True)
    if not console.is_terminal:
        typer.echo(f"rendering {options.pictures} pictures into {out}", err=True)
        return make_synthetic(options, out)
    columns = (TextColumn("rendering"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("rendering", total=options.pictures)
        return make_synthetic(options, out, lambda: progress.advance(task))


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(","))
