"""A folder of predictions: COCO results, the images they are of, and pictures."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from vistrain_trainer.data.source import StoredImages
from vistrain_trainer.engine.files import put_folder, write_durably
from vistrain_trainer.evaluation.artifact import DETECTIONS, PICTURES, refuse_other_content
from vistrain_trainer.evaluation.boxes import rows_by_image
from vistrain_trainer.evaluation.drawing import draw_detections, draw_matches
from vistrain_trainer.evaluation.examination import Judged, coco_results
from vistrain_trainer.evaluation.inference import Inferred
from vistrain_trainer.evaluation.matches import match_images

IMAGES = "images.json"


def write_predictions(
    folder: Path,
    source: StoredImages,
    found: Inferred,
    judged: Judged,
    classes: Sequence[str],
    category_ids: Sequence[int],
    *,
    drawn_from: float | None = None,
    truth: dict[str, Any] | None = None,
    advance: Callable[[int], None] = lambda images: None,
) -> None:
    """Write beside and rename; predictions that are there are replaced.

    `detections.json` is in COCO's results form, with `file_name` besides; `images.json` is the COCO document
    that it is of, without annotations, whose `info` states weights and thresholds.

    Args:
        folder: to write.
        source: the images.
        found: what was found in them.
        judged: by what, and at which thresholds.
        classes: name of each class.
        category_ids: COCO id of each.
        drawn_from: the least score of the detections that are drawn; None for no pictures.
        truth: a COCO document whose boxes are drawn beside.
        advance: told of each picture.

    Raises:
        BadInput: the folder holds something else, or an image cannot be read.
        OSError: the volume failed.
    """
    names = {image.id: image.file_name for image in source.images}
    results = [
        {**result, "file_name": names[result["image_id"]]}
        for result in coco_results(found.rows, category_ids)
    ]
    document = {
        "info": {"description": "Images that predictions are of", **asdict(judged)},
        "images": [
            {"id": image.id, "file_name": image.file_name, "height": image.height, "width": image.width}
            for image in source.images
        ],
        "categories": [
            {"id": category, "name": name} for category, name in zip(category_ids, classes, strict=True)
        ],
        "annotations": [],
    }

    def fill(partial: Path) -> None:
        write_durably(partial / DETECTIONS, json.dumps(results, separators=(",", ":")).encode() + b"\n")
        write_durably(partial / IMAGES, json.dumps(document, indent=1).encode() + b"\n")
        if drawn_from is None:
            return
        (partial / PICTURES).mkdir()
        draw = _drawer(found.rows, classes, category_ids, drawn_from, truth)
        for index, image in enumerate(source.images):
            name = f"{image.id:06d}-{PurePosixPath(image.file_name).stem}.jpg"
            write_durably(partial / PICTURES / name, draw(image.id, source.read_image(index)))
            advance(1)

    refuse_other_content(folder, IMAGES)
    put_folder(folder, fill)


def _drawer(
    rows: np.ndarray,
    classes: Sequence[str],
    category_ids: Sequence[int],
    confidence: float,
    truth: dict[str, Any] | None,
) -> Callable[[int, np.ndarray], bytes]:
    if truth is None:
        detected = rows_by_image(rows, confidence)
        return lambda image, pixels: draw_detections(
            pixels, detected.get(image, rows[:0]), classes, confidence
        )
    matches = match_images(truth, category_ids, rows, confidence=confidence)
    return lambda image, pixels: draw_matches(pixels, matches[image], classes, confidence)
