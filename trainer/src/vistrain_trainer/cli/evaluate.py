"""`vistrain evaluate`."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from vistrain_trainer.cli import detectors as named
from vistrain_trainer.cli.manifests import read_volumes
from vistrain_trainer.cli.options import AsJson, VolumeMappings


def evaluate(
    subjects: named.Subjects,
    *,
    checkpoint: named.Which = "best",
    split: Annotated[named.Split, typer.Option(help="Split to judge on.")] = named.Split.validation,
    ensemble: named.Ensemble = named.Merging.wbf,
    confidence: named.Confidence = None,
    nms_iou: named.NmsIou = None,
    max_detections: named.MaxDetections = None,
    volumes: VolumeMappings = None,
    device: named.Device = "auto",
    batch_size: named.BatchSize = None,
    output: Annotated[
        Path | None,
        typer.Option(help="Folder for the evaluation. [default: evaluations/<name>-<split>]"),
    ] = None,
    file: named.Manifest = None,
    as_json: AsJson = False,
) -> None:
    """Judge a detector, or an ensemble of several, on a split, as training's own evaluations do.

    Prints COCO's twelve figures, those of each class, precision, recall and F1 at the stated confidence and
    at that of the best F1, and slices. Writes evaluation.json, detections.json and pictures. Exit code 64:
    bad manifest, data or weights.

    Example: vistrain evaluate runs/a --volume driving-world=data/driving-world

    Example: vistrain evaluate runs/a runs/b --split test --volume driving-world=data/driving-world
    """
    with named.refusals():
        folders = read_volumes(volumes or [])
        from vistrain_trainer.detectors.detection_data import read_split
        from vistrain_trainer.detectors.group import Overrides
        from vistrain_trainer.evaluation.artifact import FILE, refuse_other_content
        from vistrain_trainer.evaluation.examination import examine

        overrides = Overrides(confidence, nms_iou, max_detections, batch_size)
        group, members = named.open_group(subjects, checkpoint, file, device, overrides, ensemble)
        target = output or Path("evaluations") / f"{named.label(members)}-{split.value}"
        named.require_no_run_folder(target)
        refuse_other_content(target, FILE)  # before the work, not after it
        data = read_split(
            members[0].manifest.spec.dataset, split.value, named.volumes_of(members[0], folders)
        )
        with named.progress("evaluating", len(data.images) * len(members)) as advance:
            found = group.find(data, advance)
        examined = examine(data, found, group.judged(split.value))
        examined.write(target)
    if as_json:
        typer.echo(json.dumps({"output": str(target), **dataclasses.asdict(examined.artifact)}))
        return
    from vistrain_trainer.cli.evaluation_tables import print_evaluation

    print_evaluation(examined.artifact, Console())
    typer.echo(f"written to {target}")
