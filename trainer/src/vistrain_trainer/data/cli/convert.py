"""`vistrain prepare convert`: YOLO to COCO, COCO to YOLO."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from vistrain_trainer.cli.options import AsJson
from vistrain_trainer.cli.refusals import refusing
from vistrain_trainer.data.cli.options import Duplicates, Images, Polygons, names
from vistrain_trainer.data.cli.progress import progress


class Layout(StrEnum):
    """Layouts that are written."""

    coco = "coco"
    yolo = "yolo"


class PictureMode(StrEnum):
    """What is done about pictures."""

    none = "none"
    link = "link"
    copy = "copy"


def convert(
    *,
    source: Annotated[
        list[str],
        typer.Option(
            "--from",
            metavar="DATA",
            help="data.yaml, prepared folder, or COCO annotation file (train.json, or train=FILE); again for "
            "each file.",
            show_default=False,
        ),
    ],
    to: Annotated[Layout, typer.Option(help="Layout to write.", show_default=False)],
    out: Annotated[
        Path, typer.Option(help="Folder to make; it appears only when whole.", show_default=False)
    ],
    pictures: Annotated[
        PictureMode, typer.Option(help="none: they stay where they are; link: relative links; copy.")
    ] = PictureMode.link,
    classes: Annotated[
        str | None,
        typer.Option(
            help="Ordered names to keep, with commas between; boxes of others go. All by default.",
            show_default=False,
        ),
    ] = None,
    images: Images = None,
    polygons: Annotated[
        Polygons, typer.Option(help="Polygons among YOLO's boxes: refuse, or take their bounds.")
    ] = Polygons.refuse,
    duplicates: Annotated[
        Duplicates, typer.Option(help="Boxes that repeat another: refuse, or leave out.")
    ] = Duplicates.refuse,
    as_json: AsJson = False,
) -> None:
    """Write a detection data set as YOLO or COCO, with a manifest.

    Boxes stay the same to a millionth of a pixel. An interrupted conversion goes on where it
    was. Exit codes: 0 written, or there already; 64 the data set is faulty, 74 the output cannot be written.

    Example: vistrain prepare convert --from drainage/data.yaml --to coco --out drainage-coco

    Example: vistrain prepare convert --from train=a.json --from val=b.json --images photos --to yolo --out c
    """
    with refusing(as_json):
        from vistrain_trainer.data import manifest as manifests
        from vistrain_trainer.data.sets.convert import ConvertOptions
        from vistrain_trainer.data.sets.convert import convert as write
        from vistrain_trainer.data.sets.opening import open_set
        from vistrain_trainer.data.yolo.labels import Leniency

        options = ConvertOptions(
            to=to.value,
            pictures=pictures.value,
            classes=names(classes or ""),
            duplicates=duplicates.value,
            polygons=polygons.value,
        )
        leniency = Leniency(polygons=polygons.value, duplicates=duplicates.value)
        found = open_set(source, images or (), leniency=leniency, field="--from", progress=progress)
        manifest = write(found, options, out, progress)
        if as_json:
            typer.echo(manifests.encode(manifest).decode(), nl=False)
            return
        for name, split in manifest.splits.items():
            counts = split.counts
            per_class = ", ".join(f"{count} {kind}" for kind, count in counts.per_class.items())
            typer.echo(f"{name}: {counts.images} images, {counts.annotations} boxes ({per_class})")
        for reason, count in manifest.dropped.items():
            typer.echo(f"left out: {count} {reason}")
        for note in manifest.notes:
            typer.echo(f"note: {note}")
        typer.echo(f"{out}: digest {manifest.digest}")
