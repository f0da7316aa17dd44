"""SimOTA gives what upstream's gives."""

from __future__ import annotations

import warnings

import pytest
import torch
from torch import Tensor

from support.upstream_yolox import random_labels
from vistrain_trainer.detectors.anchors import Anchors, anchors
from vistrain_trainer.detectors.assignment import assign
from vistrain_trainer.detectors.yolox_head import Predictions
from vistrain_trainer.detectors.yolox_loss import PartWeights, loss_sums
from vistrain_trainer.detectors.yolox_package import YOLOXHead

SIZES, STRIDES = [(12, 20), (6, 10), (3, 5)], [8, 16, 32]


def upstream_assignment(
    boxes: Tensor, classes: Tensor, predicted: Tensor, logits: Tensor, at: Anchors
) -> tuple[Tensor, Tensor, Tensor]:
    head = YOLOXHead(logits.shape[1] - 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        _, foreground, overlap, box, _ = head.get_assignments(
            0,
            len(boxes),
            len(predicted),
            boxes,
            classes,
            predicted,
            at.strides[None],
            at.cells[None, :, 0],
            at.cells[None, :, 1],
            logits[None, :, 1:],
            predicted[None],
            logits[None, :, :1],
            None,
            None,
        )
    return foreground, box, overlap


@pytest.mark.parametrize("seed", range(60))
def test_equals_upstream(seed: int) -> None:
    """With predictions near the boxes, so that boxes take up to ten anchors and contend for them."""
    at = anchors(SIZES, STRIDES, torch.device("cpu"))
    random = torch.Generator().manual_seed(seed)
    labels = random_labels(1, 14, 3, 96, 160, seed)[0]
    labels = labels[labels.sum(1) > 0]
    if len(labels) == 0:
        labels = torch.tensor([[1.0, 80.0, 48.0, 30.0, 20.0]])
    nearest = (at.centers[:, None] - labels[None, :, 1:3]).square().sum(2).argmin(1)
    spread = (0.02, 0.2, 1.0)[seed % 3]
    predicted = labels[nearest, 1:] + spread * 10 * torch.randn(len(nearest), 4, generator=random)
    predicted[:, 2:] = predicted[:, 2:].abs() + 1
    if seed % 5 == 0:  # equal predictions: ties in cost and overlap
        predicted = labels[nearest, 1:].clone()
    logits = torch.randn(len(nearest), 4, generator=random) * 3
    ours = assign(labels[:, 1:], labels[:, 0], predicted, logits, at)
    foreground, box, overlap = upstream_assignment(labels[:, 1:], labels[:, 0], predicted, logits, at)
    assert torch.equal(ours.foreground, foreground)
    assert torch.equal(ours.box, box)
    assert torch.equal(ours.overlap, overlap)


def test_a_good_prediction_gives_a_box_many_anchors() -> None:
    at = anchors(SIZES, STRIDES, torch.device("cpu"))
    box = torch.tensor([[80.0, 48.0, 60.0, 40.0]])
    found = assign(box, torch.tensor([2.0]), box.expand(len(at.cells), 4), torch.zeros(len(at.cells), 4), at)
    assert int(found.foreground.sum()) == 10
    assert torch.allclose(found.overlap, torch.ones(10))
    centers = at.centers[found.foreground]
    assert ((centers - box[:, :2]).abs() <= 2.5 * 32).all()


def test_a_box_smaller_than_a_cell_gets_an_anchor() -> None:
    at = anchors(SIZES, STRIDES, torch.device("cpu"))
    box = torch.tensor([[83.0, 51.0, 1.5, 1.5]])
    predicted = torch.tensor([[10.0, 10.0, 5.0, 5.0]]).expand(len(at.cells), 4)
    found = assign(box, torch.tensor([0.0]), predicted, torch.zeros(len(at.cells), 4), at)
    assert int(found.foreground.sum()) == 1


@pytest.mark.parametrize("share", [0.05, 1.0], ids=["some", "all"])
def test_predictions_that_are_not_numbers_end_in_the_loss_not_in_an_error(share: float) -> None:
    """Upstream's cross entropy refuses them, which on a GPU ends the process; here the engine may go back."""
    at = anchors(SIZES, STRIDES, torch.device("cpu"))
    random = torch.Generator().manual_seed(1)
    raw = torch.randn(2, len(at.cells), 8, generator=random)
    raw[torch.rand(2, len(at.cells), generator=random) < share] = torch.nan
    labels = random_labels(2, 9, 3, 96, 160, 4)
    losses = loss_sums(Predictions(raw.requires_grad_(), at), labels, l1=True).weighted(PartWeights())
    assert losses.weight > 0
    assert losses.mean.isnan()
