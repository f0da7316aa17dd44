"""Evaluation of a whole split, with detectors that are known to be right or wrong."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from support.coco_dataset import CLASSES, write_dataset
from vistrain_trainer.data.coco import CocoDetection
from vistrain_trainer.data.loader import EvaluationBatch
from vistrain_trainer.evaluation.detection import DetectionEvaluator, Predicted, to_rows
from vistrain_trainer.evaluation.postprocess import Detections
from vistrain_trainer.evaluation.thresholds import Thresholds

NEVER = lambda: False  # noqa: E731


def evaluator(annotations: Path, batch_size: int = 5, workers: int = 0) -> DetectionEvaluator:
    dataset = CocoDetection(annotations, annotations.parent.parent / "images", CLASSES)
    return DetectionEvaluator(
        dataset,
        Thresholds(0.01, 1.0, 100),  # boxes of the data set may overlap: nothing is suppressed
        height=160,
        width=256,
        batch_size=batch_size,
        workers=workers,
        device=torch.device("cpu"),
        pin_memory=False,
    )


def oracle(shift: float = 0.0, score: float = 0.9) -> object:
    """Says the labels themselves, moved by some pixels; a loss of one per box."""

    def predict(images: Tensor, labels: Tensor) -> Predicted:
        assert images.dtype == torch.uint8
        assert images.shape[1:] == (3, 160, 256)
        real = labels.sum(2) > 0
        boxes = labels[..., 1:] + torch.tensor([shift, 0, 0, 0])
        scores = torch.zeros(*labels.shape[:2], len(CLASSES))
        scores.scatter_(2, labels[..., :1].long(), score)
        count = int(real.sum())
        return Predicted(boxes, scores * real[..., None], torch.tensor(2.0 * count), count)

    return predict


@pytest.fixture(scope="module")
def annotations(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("evaluation") / "data")


def test_a_detector_that_is_right(annotations: Path) -> None:
    found = evaluator(annotations)(nn.Identity(), oracle(), NEVER)
    assert found["AP"] == pytest.approx(1, abs=1e-3)
    assert found["AR100"] == pytest.approx(1, abs=1e-3)
    assert found["valLoss"] == 2.0


def test_a_detector_that_is_a_little_off(annotations: Path) -> None:
    found = evaluator(annotations)(nn.Identity(), oracle(shift=4), NEVER)
    assert found["AP50"] == pytest.approx(1, abs=0.1)
    assert 0.2 < found["AP"] < 0.8


def test_neither_batch_size_nor_workers_matter(annotations: Path) -> None:
    first = evaluator(annotations, 5)(nn.Identity(), oracle(shift=4), NEVER)
    assert evaluator(annotations, 1)(nn.Identity(), oracle(shift=4), NEVER) == first
    assert evaluator(annotations, 12, workers=2)(nn.Identity(), oracle(shift=4), NEVER) == first


def test_no_detections_at_all(annotations: Path) -> None:
    found = evaluator(annotations)(nn.Identity(), oracle(score=0.0), NEVER)
    assert found["AP"] == found["AR1"] == 0
    assert found["valLoss"] == 2.0


def test_a_loss_that_is_not_finite_is_none(annotations: Path) -> None:
    def predict(images: Tensor, labels: Tensor) -> Predicted:
        return oracle()(images, labels)._replace(loss=torch.tensor(torch.nan))

    assert evaluator(annotations)(nn.Identity(), predict, NEVER)["valLoss"] is None


def test_a_file_without_info_and_a_class_without_boxes(tmp_path: Path) -> None:
    path = write_dataset(tmp_path / "data")
    document = json.loads(path.read_text())
    document["annotations"] = [a for a in document["annotations"] if a["category_id"] != 13]
    path.write_text(json.dumps(document))
    assert "info" not in document
    found = evaluator(path)(nn.Identity(), oracle(), NEVER)
    assert found["AP/bus"] is None
    assert found["AP/car"] == pytest.approx(1, abs=1e-3)


def test_boxes_return_to_the_image_and_stay_inside() -> None:
    batch = EvaluationBatch(
        images=torch.zeros(1, 3, 160, 256, dtype=torch.uint8),
        ratios=[0.5],
        image_ids=[42],
        sizes=[(300, 400)],
        labels=torch.zeros(1, 1, 5),
    )
    boxes = torch.tensor([[10.0, 20.0, 30.0, 50.0], [-8.0, 100.0, 250.0, 170.0]])
    rows = to_rows(Detections(boxes, torch.tensor([0.75, 0.5]), torch.tensor([1, 2])), batch, 0)
    assert np.array_equal(rows, [[42, 20, 40, 40, 60, 0.75, 1], [42, 0, 200, 400, 100, 0.5, 2]])
