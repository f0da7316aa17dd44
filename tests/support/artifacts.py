"""The evaluation of a made-up detector on a real data set: boxes of the truth, moved, dropped, mistaken."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from vistrain_trainer.data.coco import CocoDetection
from vistrain_trainer.evaluation.examination import Examined, Judged, examine
from vistrain_trainer.evaluation.inference import Inferred
from vistrain_trainer.evaluation.source import WeightsSource
from vistrain_trainer.evaluation.thresholds import Thresholds


def examine_made_up(annotations: Path, images: Path, classes: tuple[str, ...]) -> Examined:
    """Judge the made-up detector on the validation split."""
    dataset = CocoDetection(annotations, images, classes)
    judged = Judged(
        split="validation",
        sources=(WeightsSource("checkpoints/step-000000012", "ab" * 32, run="tiny", step=12, epoch=3),),
        ensemble=None,
        thresholds=Thresholds(0.01, 0.65, 100),
        input_sizes=((64, 96),),
        precision="fp32",
        device="cpu",
    )
    return examine(dataset, Inferred(rows=_detections(dataset), loss=1.5), judged)


def _detections(dataset: CocoDetection) -> np.ndarray:
    random = np.random.default_rng(0)
    ids = dataset.category_ids
    rows = []
    for annotation in dataset.raw["annotations"]:
        if random.random() < 0.2:
            continue
        x, y, w, h = annotation["bbox"]
        moved = np.array([x, y, w, h]) + random.normal(0, 0.06, 4) * (w, h, w, h)
        name = ids.index(annotation["category_id"])
        if random.random() < 0.15:
            name = (name + 1) % len(ids)
        rows.append([annotation["image_id"], *moved, random.uniform(0.2, 1), name])
    for image in dataset.raw["images"]:
        rows.append(
            [image["id"], *random.uniform(5, 40, 4), random.uniform(0, 0.5), random.integers(len(ids))]
        )
    return np.array(rows, np.float64)
