"""`vistrain prepare nuscenes`: data sets from a nuScenes release."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vistrain_trainer.cli.options import AsJson
from vistrain_trainer.cli.refusals import refusing
from vistrain_trainer.data.classes import PRESETS, named_classes
from vistrain_trainer.data.cli.progress import progress
from vistrain_trainer.errors import BadInput

if TYPE_CHECKING:
    from vistrain_trainer.data.manifest import DatasetManifest


class Projection(StrEnum):
    """What is done about boxes that reach behind the camera."""

    devkit = "devkit"
    clipped = "clipped"


class PictureMode(StrEnum):
    """What is done about pictures."""

    none = "none"
    link = "link"
    copy = "copy"


def nuscenes(
    *,
    root: Annotated[
        Path, typer.Option(help="Folder that holds v1.0-…, samples and sweeps.", show_default=False)
    ],
    out: Annotated[
        Path,
        typer.Option(help="Folder for the data sets, one below it for each layout.", show_default=False),
    ],
    version: Annotated[
        str | None,
        typer.Option(help="Such as v1.0-trainval.", show_default="the only one in --root"),
    ] = None,
    cameras: Annotated[str, typer.Option(help="Cameras with commas between, or all.")] = "CAM_FRONT",
    classes: Annotated[
        str, typer.Option(help=f"Ordered names with commas between, or one of {', '.join(PRESETS)}.")
    ] = "nuscenes-tracking",
    splits: Annotated[
        str,
        typer.Option(
            metavar="NAME|FILE",
            help="official; custom-560-140, which cuts official train in two and holds official val back as "
            "test; or a JSON or YAML file: {train: [scene-0061, …], val: […], reserved: [splits held back]}.",
        ),
    ] = "official",
    format: Annotated[str, typer.Option(help="Layouts with commas between: coco, yolo, mot.")] = "coco",
    fps: Annotated[
        int, typer.Option(help="Of mot: 2 takes keyframes, 12 every picture with boxes interpolated.")
    ] = 12,
    sweeps: Annotated[
        bool, typer.Option("--sweeps", help="Take every picture for coco and yolo too.")
    ] = False,
    visibility: Annotated[
        str,
        typer.Option(help="Bins whose boxes are kept: 1 (0-40 % visible), 2 (to 60 %), 3 (to 80 %), 4."),
    ] = "1,2,3,4",
    projection: Annotated[
        Projection,
        typer.Option(help="Of boxes that reach behind the camera: without those corners, or cut at 0.1 m."),
    ] = Projection.devkit,
    pictures: Annotated[
        PictureMode,
        typer.Option(help="none: they stay where they are; link: relative links; copy. yolo needs them."),
    ] = PictureMode.none,
    as_json: AsJson = False,
) -> None:
    """Make COCO, YOLO or MOT data sets of nuScenes: 3D boxes projected into the cameras' pictures.

    Each layout is a folder of its own with a manifest, whole or not there. What was made of the same is left
    as it is; an interrupted copy goes on where it was. Exit codes: 0 made, or there already; 64 the release
    or an option is faulty; 74 the output cannot be written.

    Example: vistrain prepare nuscenes --root data/nuscenes --out data/front

    Example: vistrain prepare nuscenes --root data/nuscenes --out data/six --cameras all --format mot
    --splits custom-560-140
    """
    with refusing(as_json):
        from vistrain_trainer.data.nuscenes.options import PrepareOptions
        from vistrain_trainer.data.nuscenes.prepare import prepare_nuscenes

        options = PrepareOptions(
            root=root,
            version=version,
            cameras=() if cameras == "all" else _names(cameras),
            classes=named_classes(classes),
            splits=splits,
            formats=_names(format),  # type: ignore[arg-type]  # refused where it is unknown
            fps=fps,  # type: ignore[arg-type]
            sweeps=sweeps,
            visibility=_bins(visibility),
            projection=projection.value,
            pictures=pictures.value,
        )
        made = prepare_nuscenes(options, out, progress)
        if as_json:
            _print_json(made)
            return
        for layout, manifest in made.items():
            _show(manifest, out / layout)
        typer.echo(f"next: look at it with vistrain prepare check {out}")


def _print_json(made: dict[str, DatasetManifest]) -> None:
    import msgspec

    typer.echo(msgspec.json.format(msgspec.json.encode(made), indent=2).decode())


def _show(manifest: DatasetManifest, folder: Path) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("class", title=f"{manifest.format}: boxes by split", title_justify="left")
    for name, split in manifest.splits.items():
        table.add_column(f"{name}{' (held back)' if split.reserved else ''}", justify="right")
    counts = [split.counts for split in manifest.splits.values()]
    for kind in manifest.classes:
        table.add_row(kind, *(f"{each.per_class[kind]:,}" for each in counts))
    table.add_section()
    for what in ("annotations", "images", "sequences", "tracks"):
        values = [getattr(each, what) for each in counts]
        if None not in values:
            table.add_row(what, *(f"{value:,}" for value in values))
    table.add_row("scenes", *(f"{len(split.scenes):,}" for split in manifest.splits.values()))
    Console().print(table)
    keyframes = sum(each.key_frames or 0 for each in counts)
    pictures = sum(each.images for each in counts)
    interval = "" if manifest.frame_interval is None else f", {1000 * manifest.frame_interval:.1f} ms apart"
    typer.echo(f"{keyframes / pictures:.1%} keyframes, {1 - keyframes / pictures:.1%} between them{interval}")
    dropped = ", ".join(f"{count:,} {reason}" for reason, count in manifest.dropped.items())
    typer.echo(f"left out, counted in each picture: {dropped}")
    for note in manifest.notes:
        typer.echo(f"note: {note}")
    typer.echo(f"{folder}: digest {manifest.digest}")


def _bins(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise BadInput(
            field="--visibility",
            value=text,
            problem="is no list of bins",
            remedy="give some of 1,2,3,4 with commas between",
        ) from None


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(","))
