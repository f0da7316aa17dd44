"""`vistrain prepare synthetic`: a small driving world."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

import typer

from vistrain_trainer.data.classes import PRESETS
from vistrain_trainer.data.cli.progress import progress
from vistrain_trainer.errors import BadInput

_COCO = "Of --format coco: "
_RELEASE = "Of --format nuscenes: "


def synthetic(
    *,
    out: Annotated[Path, typer.Option(help="Folder to make; it appears only when whole.")],
    format: Annotated[
        str, typer.Option(help="Layout: coco, or nuscenes for a release with tables, keyframes and sweeps.")
    ] = "coco",
    scenes: Annotated[
        int | None,
        typer.Option(help="Scenes, about a fifth for validation.", show_default="40, a release 10"),
    ] = None,
    samples: Annotated[int, typer.Option(help="Samples in a scene, half a second apart.")] = 8,
    cameras: Annotated[
        str | None,
        typer.Option(help="Cameras with commas between, or all.", show_default="CAM_FRONT, a release all"),
    ] = None,
    image_size: Annotated[str, typer.Option(help="HEIGHTxWIDTH of the pictures in pixels.")] = "256x448",
    seed: Annotated[int, typer.Option(help="Equal seeds and options make equal files.")] = 0,
    classes: Annotated[
        str | None,
        typer.Option(
            help=f"{_COCO}ordered class names with commas between, or one of {', '.join(PRESETS)}.",
            show_default="nuscenes-vehicles",
        ),
    ] = None,
    version: Annotated[
        str | None,
        typer.Option(
            help=f"{_RELEASE}v1.0-mini, v1.0-trainval or v1.0-test, whose official names the scenes bear.",
            show_default="v1.0-mini",
        ),
    ] = None,
    pictures: Annotated[
        str | None,
        typer.Option(help=f"{_RELEASE}what is rendered: none, key or all.", show_default="key"),
    ] = None,
    sensors: Annotated[
        str | None,
        typer.Option(help=f"{_RELEASE}cameras, or all with rows of LiDAR and radars.", show_default="all"),
    ] = None,
    density: Annotated[
        float | None, typer.Option(help=f"{_RELEASE}annotations in a sample, about.", show_default="34")
    ] = None,
    dropped_sweeps: Annotated[
        float | None,
        typer.Option(help=f"{_RELEASE}share of the sweeps that are lost.", show_default="0.005"),
    ] = None,
    dropped_keyframes: Annotated[
        float | None,
        typer.Option(help=f"{_RELEASE}share of the samples that are left out.", show_default="0.01"),
    ] = None,
    dropped_annotations: Annotated[
        float | None,
        typer.Option(help=f"{_RELEASE}share of the annotations that are left out.", show_default="0.01"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the manifest as JSON.")] = False,
) -> None:
    """Make a small driving world: annotated pictures, or a whole nuScenes release.

    Example: vistrain prepare synthetic --out data/synthetic --scenes 40 --samples 8 --seed 0

    Example: vistrain prepare synthetic --format nuscenes --out data/nuscenes --scenes 10 --samples 40
    """
    common: dict[str, Any] = {"samples": samples, "seed": seed}
    of_release = {
        "version": version,
        "pictures": pictures,
        "sensors": sensors,
        "density": density,
        "dropped_sweeps": dropped_sweeps,
        "dropped_keyframes": dropped_keyframes,
        "dropped_annotations": dropped_annotations,
    }
    try:
        common["height"], common["width"] = _size(image_size)
        if format == "coco":
            _refuse(format, of_release)
            chosen = {**common, "scenes": 40 if scenes is None else scenes}
            _coco(out, chosen, cameras or "CAM_FRONT", classes or "nuscenes-vehicles", as_json=as_json)
        elif format == "nuscenes":
            _refuse(format, {"classes": classes})
            given = {name: value for name, value in of_release.items() if value is not None}
            chosen = {**common, "scenes": 10 if scenes is None else scenes, **given}
            _release(out, chosen, cameras or "all", as_json=as_json)
        else:
            raise BadInput(
                field="--format", value=format, problem="is unknown", remedy="choose coco or nuscenes"
            )
    except BadInput as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(int(error.exit_code)) from None


def _coco(out: Path, common: dict[str, Any], cameras: str, classes: str, *, as_json: bool) -> None:
    from vistrain_trainer.data.manifest import encode
    from vistrain_trainer.data.synthetic import SyntheticOptions, make_synthetic

    options = SyntheticOptions(
        **common, cameras=_cameras(cameras), classes=PRESETS.get(classes, _names(classes))
    )
    with progress(f"rendering {options.pictures} pictures into {out}", options.pictures) as advance:
        manifest = make_synthetic(options, out, lambda: advance(1))
    if as_json:
        typer.echo(encode(manifest), nl=False)
        return
    for name, split in manifest.splits.items():
        counts = split.counts
        per_class = ", ".join(f"{count} {kind}" for kind, count in counts.per_class.items())
        typer.echo(f"{name}: {counts.images} images, {counts.annotations} boxes ({per_class})")
    typer.echo(f"{out}: digest {manifest.digest}")


def _release(out: Path, given: dict[str, Any], cameras: str, *, as_json: bool) -> None:
    from vistrain_trainer.data.manifest import encode
    from vistrain_trainer.data.world.release import ReleaseOptions, write_release

    options = ReleaseOptions(**{"version": "v1.0-mini", **given}, cameras=_cameras(cameras))
    with progress(f"making {options.scenes} scenes in {out}", options.scenes) as advance:
        manifest = write_release(options, out, advance)
    if as_json:
        typer.echo(encode(manifest), nl=False)
        return
    for name, split in manifest.splits.items():
        counts = split.counts
        typer.echo(
            f"{name}: {len(split.scenes)} scenes, {counts.key_frames} keyframes and "
            f"{counts.interpolated_frames} sweeps of {len(manifest.cameras)} cameras, "
            f"{counts.annotations} annotations of {counts.tracks} instances"
        )
    for note in manifest.notes:
        typer.echo(note)
    typer.echo(f"{out}: digest {manifest.digest}")


def _refuse(format: str, foreign: dict[str, Any]) -> None:
    for name, value in foreign.items():
        if value is not None:
            raise BadInput(
                field=f"--{name.replace('_', '-')}",
                value=value,
                problem=f"means nothing to --format {format}",
                remedy="leave it out, or choose the other format",
            )


def _size(text: str) -> tuple[int, int]:
    size = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text)
    if size is None:
        raise BadInput(
            field="--image-size",
            value=text,
            problem="is not HEIGHTxWIDTH",
            remedy="give whole pixels such as 256x448",
        )
    return int(size[1]), int(size[2])


def _cameras(text: str) -> tuple[str, ...]:
    from vistrain_trainer.data.world.cameras import RIG

    return tuple(RIG) if text == "all" else _names(text)


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(","))
