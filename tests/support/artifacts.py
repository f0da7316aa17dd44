"""The evaluation of a made-up detector on a real data set: boxes of the truth, moved, dropped, mistaken."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from vistrain_trainer.evaluation.artifact import EvaluationArtifact, Picture
from vistrain_trainer.evaluation.coco_metrics import GroundTruth, metrics
from vistrain_trainer.evaluation.confusion import confusion_matrix
from vistrain_trainer.evaluation.operating import operating
from vistrain_trainer.evaluation.precision_recall import precision_recall
from vistrain_trainer.evaluation.slices import slices
from vistrain_trainer.evaluation.source import WeightsSource
from vistrain_trainer.evaluation.thresholds import Thresholds


def write_artifact(
    annotations: Path,
    images: Path,
    folder: Path,
    *,
    split: str = "validation",
    pictures: int = 3,
    seed: int = 0,
) -> EvaluationArtifact:
    """Judge the made-up detector, and write what was found to a folder."""
    document = json.loads(annotations.read_text())
    ids = [category["id"] for category in document["categories"]]
    classes = [category["name"] for category in document["categories"]]
    rows = _detections(document, ids, np.random.default_rng(0))
    curves = GroundTruth(document, ids).curves(rows)
    over_recall = precision_recall(curves, ids, classes)
    assert over_recall.pooled is not None
    best = over_recall.pooled.best
    assert best is not None
    points = (
        operating(document, ids, classes, rows, chosen="stated", confidence=0.01),
        operating(document, ids, classes, rows, chosen="best F1", confidence=best.confidence),
    )
    drawn = [_picture(document, images, place, best.confidence) for place in range(pictures)]
    artifact = EvaluationArtifact(
        split=split,
        sources=(WeightsSource("checkpoints/step-000000012", "ab" * 32, run="tiny", step=12, epoch=3),),
        ensemble=None,
        thresholds=Thresholds(0.01, 0.65, 100),
        input_sizes=((64, 96),),
        precision="fp32",
        device="cpu",
        classes=tuple(classes),
        data_digest="cd" * 32,
        images=len(document["images"]),
        annotations=len(document["annotations"]),
        detections=len(rows),
        metrics=metrics(curves, ids, classes) | {"valLoss": 1.5},
        curves=over_recall,
        operating=points,
        confusion=confusion_matrix(document, ids, classes, rows, confidence=best.confidence),
        slices=slices(document, ids, classes, rows),
        pictures=tuple(picture for picture, _ in drawn),
    )
    results = [
        {"image_id": int(image), "category_id": ids[int(name)], "bbox": [x, y, w, h], "score": score}
        for image, x, y, w, h, score, name in rows.tolist()
    ]
    artifact.write(folder, results, {picture.file: content for picture, content in drawn})
    return artifact


def _detections(document: dict[str, Any], ids: list[int], random: np.random.Generator) -> np.ndarray:
    rows = []
    for annotation in document["annotations"]:
        if random.random() < 0.2:
            continue
        x, y, w, h = annotation["bbox"]
        moved = random.normal(0, 0.06, 4) * (w, h, w, h)
        name = ids.index(annotation["category_id"])
        if random.random() < 0.15:
            name = (name + 1) % len(ids)
        score = float(random.uniform(0.2, 1))
        rows.append([annotation["image_id"], *(np.array([x, y, w, h]) + moved), score, name])
    for image in document["images"]:
        box = random.uniform(5, 40, 4)
        rows.append([image["id"], *box, float(random.uniform(0, 0.5)), random.integers(len(ids))])
    return np.array(rows, np.float64)


def _picture(document: dict[str, Any], images: Path, place: int, confidence: float) -> tuple[Picture, bytes]:
    image = document["images"][place]
    seen = cv2.imread(str(images / image["file_name"]))
    boxes = [one["bbox"] for one in document["annotations"] if one["image_id"] == image["id"]]
    for x, y, w, h in boxes:
        cv2.rectangle(seen, (round(x), round(y)), (round(x + w), round(y + h)), (80, 220, 255), 1)
    content = cv2.imencode(".jpg", np.hstack([seen, seen]))[1].tobytes()
    picture = Picture(
        file=f"pictures/errors-{place + 1}-{image['id']}.jpg",
        image=image["file_name"],
        image_id=image["id"],
        chosen="errors",
        confidence=confidence,
        boxes=len(boxes),
        missed=place,
        false=1,
    )
    return picture, content
