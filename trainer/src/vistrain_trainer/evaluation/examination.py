"""The full evaluation of one detector, or of an ensemble, on one split."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from torch import nn

from vistrain_trainer.data.coco import CocoDetection
from vistrain_trainer.engine.signals import Interrupted
from vistrain_trainer.errors import BadInput
from vistrain_trainer.evaluation.artifact import PICTURES, EvaluationArtifact, Picture
from vistrain_trainer.evaluation.coco_metrics import GroundTruth, metrics
from vistrain_trainer.evaluation.confusion import confusion_matrix
from vistrain_trainer.evaluation.detection import DetectionEvaluator
from vistrain_trainer.evaluation.drawing import draw_matches
from vistrain_trainer.evaluation.inference import Inferred, Predict, infer
from vistrain_trainer.evaluation.matches import ImageMatches, match_images
from vistrain_trainer.evaluation.operating import operating
from vistrain_trainer.evaluation.picture_choice import choose
from vistrain_trainer.evaluation.precision_recall import precision_recall
from vistrain_trainer.evaluation.slices import slices
from vistrain_trainer.evaluation.source import WeightsSource
from vistrain_trainer.evaluation.thresholds import Thresholds

IOU = 0.5
"""Overlap at which curves, counts and the confusion matrix call a detection right."""


@dataclass(frozen=True)
class Judged:
    """What was judged, and how."""

    split: str
    sources: tuple[WeightsSource, ...]
    ensemble: Literal["wbf", "nms"] | None
    thresholds: Thresholds
    input_sizes: tuple[tuple[int, int], ...]
    precision: str
    device: str


@dataclass(frozen=True)
class Examined:
    """An artifact with the files that belong to it."""

    artifact: EvaluationArtifact
    detections: list[dict[str, Any]]
    pictures: dict[str, bytes]

    def write(self, folder: Path) -> None:
        """Write the artifact. Raises BadInput when the folder holds something else."""
        self.artifact.write(folder, self.detections, self.pictures)


def examine_model(
    evaluator: DetectionEvaluator,
    model: nn.Module,
    predict: Predict,
    should_stop: Callable[[], bool],
    split: str,
    source: WeightsSource,
    precision: str,
) -> Examined:
    """Judge one model in full on the split of an evaluator. Called inside the autocast region.

    Raises:
        Interrupted: `should_stop()` was true between two batches, or between two parts.
        BadInput: an image cannot be read.
        LoaderWorkerLost: a worker died.
    """

    def check() -> None:
        if should_stop():
            raise Interrupted("evaluation")

    options, thresholds = evaluator.options, evaluator.thresholds
    judged = Judged(
        split=split,
        sources=(source,),
        ensemble=None,
        thresholds=thresholds,
        input_sizes=((options.height, options.width),),
        precision=precision,
        device=options.device.type,
    )
    found = infer(evaluator.images, model, predict, thresholds, options, should_stop)
    return examine(evaluator.dataset, found, judged, check)


def examine(
    dataset: CocoDetection, found: Inferred, judged: Judged, check: Callable[[], None] = lambda: None
) -> Examined:
    """Judge detections in full. Uses no randomness but a generator of its own, of a fixed seed.

    Args:
        dataset: the split.
        found: what the detector found in it.
        judged: what was judged, and how.
        check: called between the parts; what it raises ends the examination.

    What the annotation file says of distances, visibility and tags may be of another kind than ours: where it
    cannot be read, the slices are those by size, and a note says why.

    Raises:
        BadInput: an image cannot be read.
    """
    document, ids, classes, rows = dataset.raw, dataset.category_ids, dataset.classes, found.rows
    curves = GroundTruth(document, ids).curves(rows)
    check()
    figures = metrics(curves, ids, classes)
    by_recall = precision_recall(curves, ids, classes, iou=IOU)
    confidence = judged.thresholds.confidence
    matches = match_images(document, ids, rows, confidence=confidence, iou=IOU)
    counted = [operating(matches, classes, chosen="stated", confidence=confidence, iou=IOU)]
    check()
    if by_recall.pooled is not None and by_recall.pooled.best is not None:
        confidence = by_recall.pooled.best.confidence
        matches = match_images(document, ids, rows, confidence=confidence, iou=IOU)
        counted.append(operating(matches, classes, chosen="best F1", confidence=confidence, iou=IOU))
        check()
    confusion = confusion_matrix(document, ids, classes, rows, confidence=confidence, iou=IOU)
    check()
    notes = []
    try:
        parts = slices(document, ids, classes, rows, check=check)
    except BadInput as unreadable:
        notes.append(f"sliced by size only: {unreadable}")
        parts = slices(_plain(document), ids, classes, rows, check=check)
    pictures, files = _pictures(dataset, matches, confidence, check)
    artifact = EvaluationArtifact(
        split=judged.split,
        sources=judged.sources,
        ensemble=judged.ensemble,
        thresholds=judged.thresholds,
        input_sizes=judged.input_sizes,
        precision=judged.precision,
        device=judged.device,
        classes=classes,
        data_digest=dataset.digest,
        images=len(dataset.images),
        annotations=parts.whole.boxes,
        detections=len(rows),
        metrics={**figures, "valLoss": found.loss},
        curves=by_recall,
        operating=tuple(counted),
        confusion=confusion,
        slices=parts,
        pictures=tuple(pictures),
        notes=tuple(notes),
    )
    return Examined(artifact, coco_results(rows, ids), files)


def coco_results(rows: np.ndarray, category_ids: Sequence[int]) -> list[dict[str, Any]]:
    """Detections in COCO's results form.

    Args:
        rows: (n, 7) float64 image id, x, y, w, h, score, class index.
        category_ids: COCO id of each class.
    """
    return [
        {
            "image_id": int(image),
            "category_id": category_ids[int(class_index)],
            "bbox": [x, y, w, h],
            "score": score,
        }
        for image, x, y, w, h, score, class_index in rows.tolist()
    ]


def _plain(document: dict[str, Any]) -> dict[str, Any]:
    """The document without what COCO's own form does not know."""

    def without(entry: dict[str, Any], *keys: str) -> dict[str, Any]:
        return {key: value for key, value in entry.items() if key not in keys}

    return {
        **document,
        "images": [without(image, "tags") for image in document["images"]],
        "annotations": [without(one, "distance", "visibility") for one in document["annotations"]],
    }


def _pictures(
    dataset: CocoDetection,
    matches: dict[int, ImageMatches],
    confidence: float,
    check: Callable[[], None],
) -> tuple[list[Picture], dict[str, bytes]]:
    index = {record.id: at for at, record in enumerate(dataset.images)}
    pictures, files = [], {}
    for number, (image, why) in enumerate(choose(matches), start=1):
        check()
        one = matches[image]
        name = f"{PICTURES}/{number:02d}-{why}-{image}.jpg"
        files[name] = draw_matches(dataset.read_image(index[image]), one, dataset.classes, confidence)
        pictures.append(
            Picture(
                file=name,
                image=dataset.images[index[image]].file_name,
                image_id=image,
                chosen=why,
                confidence=confidence,
                boxes=int((~one.truth.crowd).sum()),
                missed=int(one.missed.sum()),
                false=int(one.false.sum()),
            )
        )
    return pictures, files
