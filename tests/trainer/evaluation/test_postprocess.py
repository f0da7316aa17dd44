"""From dense predictions to detections."""

from __future__ import annotations

import torch
from torch import Tensor
from torchvision.ops import nms

from vistrain_trainer.evaluation.postprocess import Detections, detections
from vistrain_trainer.evaluation.thresholds import Thresholds

DEFAULT = Thresholds(confidence=0.01, nms_iou=0.65, max_detections=100)


def dense(rows: list[tuple[float, float, float, float, int, float]]) -> tuple[Tensor, Tensor]:
    """One image's anchors from cx, cy, w, h, class, score; three classes."""
    boxes = torch.tensor([row[:4] for row in rows], dtype=torch.float32).view(1, -1, 4)
    scores = torch.zeros(1, len(rows), 3)
    for at, row in enumerate(rows):
        scores[0, at, row[4]] = row[5]
    return boxes, scores


def found(rows: list[tuple[float, float, float, float, int, float]], **thresholds: float) -> Detections:
    return detections(*dense(rows), Thresholds(**{**vars(DEFAULT), **thresholds}))[0]


def test_boxes_are_corners_best_first() -> None:
    result = found([(50, 40, 20, 10, 1, 0.3), (150, 40, 20, 10, 2, 0.8)])
    assert result.boxes.tolist() == [[140, 35, 160, 45], [40, 35, 60, 45]]
    assert result.classes.tolist() == [2, 1]
    assert torch.allclose(result.scores, torch.tensor([0.8, 0.3]))


def test_threshold_is_inclusive() -> None:
    rows = [(50, 40, 20, 10, 1, 0.25), (150, 40, 20, 10, 2, 0.125)]
    assert len(found(rows, confidence=0.125).scores) == 2
    assert len(found(rows, confidence=0.25).scores) == 1
    assert len(found(rows, confidence=0.26).scores) == 0


def test_suppression_is_within_a_class() -> None:
    same = [(50, 40, 20, 10, 1, 0.9), (51, 40, 20, 10, 1, 0.8), (51, 40, 20, 10, 2, 0.7)]
    assert found(same).classes.tolist() == [1, 2]
    assert len(found(same, nms_iou=0.95).scores) == 3


def test_classes_do_not_disturb_each_other_by_rounding() -> None:
    """The classes' sheets lie apart; in float32 the shift would move small boxes by a share of their size."""
    random = torch.Generator().manual_seed(2)
    centers = torch.rand(600, 2, generator=random) * 2 + torch.tensor([4000.0, 2000.0])
    boxes = torch.cat((centers, 0.2 + 0.2 * torch.rand(600, 2, generator=random)), dim=1)
    scores = torch.zeros(600, 3)
    scores[:, 2] = torch.rand(600, generator=random)
    result = detections(boxes[None], scores[None], Thresholds(0.01, 0.5, 600))[0]
    corners = torch.cat((boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2), dim=1)
    alone = nms(corners.double(), scores[:, 2].double(), 0.5)
    alone = alone[scores[alone, 2] >= 0.01]
    assert torch.equal(result.scores, scores[alone, 2])


def test_equal_scores_keep_the_order_of_the_anchors() -> None:
    rows = [(30.0 * n + 15, 40.0, 20.0, 10.0, n % 3, 0.5) for n in range(40)]
    result = found(rows)
    assert result.boxes[:, 0].tolist() == [30.0 * n + 5 for n in range(40)]
    assert found(rows, max_detections=7).boxes[:, 0].tolist() == [30.0 * n + 5 for n in range(7)]


def test_what_is_not_finite_is_no_detection() -> None:
    boxes, scores = dense([(50, 40, 20, 10, 1, 0.9), (50, 40, 20, 10, 1, 0.9), (150, 40, 20, 10, 1, 0.9)])
    boxes[0, 0, 2] = torch.inf
    scores[0, 1] = torch.nan
    result = detections(boxes, scores, DEFAULT)[0]
    assert result.boxes.tolist() == [[140, 35, 160, 45]]


def test_images_are_apart() -> None:
    first, second = dense([(50, 40, 20, 10, 1, 0.9)]), dense([(50, 40, 20, 10, 1, 0.001)])
    both = detections(torch.cat((first[0], second[0])), torch.cat((first[1], second[1])), DEFAULT)
    assert [len(one.scores) for one in both] == [1, 0]
