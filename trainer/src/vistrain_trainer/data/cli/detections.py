"""`vistrain prepare detections`: ground truth as detections."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vistrain_trainer.cli.options import AsJson
from vistrain_trainer.cli.refusals import refusing
from vistrain_trainer.data.cli.progress import progress


def detections(
    *,
    source: Annotated[
        Path,
        typer.Option(
            "--from", help="COCO annotation file; or folder of a MOT data set, of a split, of a sequence."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder to make; it appears only when whole.")],
    split: Annotated[str | None, typer.Option(help="Of a MOT data set: this split only.")] = None,
    classes: Annotated[
        str | None,
        typer.Option(help="Names in the order of their index, with commas; for data without a manifest."),
    ] = None,
    drop: Annotated[float, typer.Option(help="Share of boxes to leave out at random.")] = 0.0,
    jitter: Annotated[
        float, typer.Option(help="Standard deviation of centre and sides, as a share of the box's sides.")
    ] = 0.0,
    seed: Annotated[int, typer.Option(min=0, help="Of what is random.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Write ground truth as a detector's results, to judge a tracker without a detector's errors.

    Example: vistrain prepare detections --from data/nuscenes/mot --split val --out data/truth
    """
    from vistrain_trainer.data.detections_export import ExportOptions, export_detections
    from vistrain_trainer.data.manifest import encode

    with refusing(as_json):
        names = tuple(name.strip() for name in classes.split(",")) if classes else None
        options = ExportOptions(source, split, names, drop, jitter, seed)
        with progress(f"writing detections of {source} into {out}", 1.0) as advance:
            manifest = export_detections(options, out, advance)
    if as_json:
        typer.echo(encode(manifest), nl=False)
        return
    for name, record in manifest.splits.items():
        counts = record.counts
        of = f"{counts.images} images" if counts.sequences is None else f"{counts.sequences} sequences"
        typer.echo(f"{name}: {counts.annotations} detections in {of}")
    typer.echo(f"{out}: digest {manifest.digest}")
