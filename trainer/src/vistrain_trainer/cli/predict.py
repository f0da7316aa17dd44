"""`vistrain predict`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vistrain_trainer.cli import detectors as named
from vistrain_trainer.cli.manifests import read_volumes
from vistrain_trainer.cli.options import AsJson, VolumeMappings
from vistrain_trainer.errors import BadInput

if TYPE_CHECKING:
    from vistrain_trainer.data.coco import CocoDetection
    from vistrain_trainer.data.image_folder import ImageFolder
    from vistrain_trainer.detectors.stored import StoredDetector


def predict(
    subjects: named.Subjects,
    *,
    output: Annotated[Path, typer.Option(help="Folder for the predictions.")],
    images: Annotated[
        Path | None, typer.Option(help="Image, or folder of images and of folders of them.")
    ] = None,
    split: Annotated[named.Split | None, typer.Option(help="A split, in place of --images.")] = None,
    pictures: Annotated[bool, typer.Option("--pictures", help="Draw every image with its boxes.")] = False,
    picture_confidence: Annotated[
        float, typer.Option(min=0, max=1, help="Least score of the detections that are drawn.")
    ] = 0.3,
    checkpoint: named.Which = "best",
    ensemble: named.Ensemble = named.Merging.wbf,
    confidence: named.Confidence = None,
    nms_iou: named.NmsIou = None,
    max_detections: named.MaxDetections = None,
    volumes: VolumeMappings = None,
    device: named.Device = "auto",
    batch_size: named.BatchSize = None,
    file: named.Manifest = None,
    as_json: AsJson = False,
) -> None:
    """Find objects in images: COCO results with the images' names, and pictures.

    Writes detections.json, images.json (the images, categories, weights and thresholds they are of) and,
    where asked for, pictures; beside the ground truth for a split. Exit code 64: bad manifest, data, images
    or weights.

    Example: vistrain predict runs/a --images photos --output predictions/a --pictures

    Example: vistrain predict runs/a --split test --output predictions/test --volume driving-world=data
    """
    with named.refusals():
        if (images is None) == (split is None):
            raise BadInput(
                field="--images, --split",
                value="both" if images else "neither",
                problem="exactly one says what to look at",
                remedy="Say --images DIR, or --split validation",
            )
        folders = read_volumes(volumes or [])
        from vistrain_trainer.detectors.group import Overrides
        from vistrain_trainer.evaluation.artifact import refuse_other_content
        from vistrain_trainer.evaluation.predictions import IMAGES, write_predictions

        named.require_no_run_folder(output)
        refuse_other_content(output, IMAGES)  # before the work, not after it
        overrides = Overrides(confidence, nms_iou, max_detections, batch_size)
        group, members = named.open_group(subjects, checkpoint, file, device, overrides, ensemble)
        source, category_ids, truth = _source(images, split, members[0], folders, pictures)
        count = len(source.images)
        with named.progress("predicting", count * len(members)) as advance:
            found = group.find(source, advance)
        with named.progress("drawing", count if pictures else 0) as advance:
            write_predictions(
                output,
                source,
                found,
                group.judged("images" if split is None else split.value),
                group.classes,
                category_ids,
                drawn_from=picture_confidence if pictures else None,
                truth=truth,
                advance=advance,
            )
    at = group.thresholds
    if as_json:
        result = {"output": str(output), "images": count, "detections": len(found.rows)}
        typer.echo(json.dumps({**result, "thresholds": vars(at)}))
        return
    typer.echo(
        f"{len(found.rows)} detections in {count} images (score ≥ {at.confidence:g}, NMS at IoU "
        f"{at.nms_iou:g}, at most {at.max_detections} an image), written to {output}"
    )


def _source(
    images: Path | None,
    split: named.Split | None,
    first: StoredDetector,
    folders: dict[str, Path],
    with_truth: bool,
) -> tuple[ImageFolder | CocoDetection, tuple[int, ...], dict[str, Any] | None]:
    """The images, the COCO id of each class, and the ground truth where it is known and wanted."""
    if split is None:
        from vistrain_trainer.data.image_folder import ImageFolder

        assert images is not None
        return ImageFolder(images), tuple(range(1, len(first.classes) + 1)), None
    from vistrain_trainer.detectors.detection_data import read_split

    data = read_split(first.manifest.spec.dataset, split.value, named.volumes_of(first, folders))
    return data, data.category_ids, data.raw if with_truth else None
