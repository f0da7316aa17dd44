"""SimOTA gives what upstream's gives."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from support.upstream_yolox import random_labels
from vistrain_trainer.detectors import yolox_loss
from vistrain_trainer.detectors.anchors import Anchors, anchors
from vistrain_trainer.detectors.assignment import Assignment, assign_at_once, assign_one_by_one
from vistrain_trainer.detectors.yolox_head import Predictions
from vistrain_trainer.detectors.yolox_loss import PartWeights, loss_sums
from vistrain_trainer.detectors.yolox_package import YOLOXHead


class TopK(NamedTuple):
    values: Tensor
    indices: Tensor


SIZES, STRIDES = [(12, 20), (6, 10), (3, 5)], [8, 16, 32]


def first_of_equals(values: Tensor, k: int, dim: int = -1, largest: bool = True) -> TopK:
    """torch.topk, whose choice among equal values depends on device and size, as one that takes the first."""
    ordered = values.sort(dim=dim, descending=largest, stable=True)
    return TopK(ordered.values.narrow(dim, 0, k), ordered.indices.narrow(dim, 0, k))


def upstream_assignment(
    boxes: Tensor, classes: Tensor, predicted: Tensor, logits: Tensor, at: Anchors
) -> tuple[Tensor, Tensor, Tensor]:
    """Upstream's, with ties broken by the order of the anchors."""
    head = YOLOXHead(logits.shape[1] - 1)
    with warnings.catch_warnings(), pytest.MonkeyPatch.context() as patch:
        warnings.simplefilter("ignore", FutureWarning)
        patch.setattr(torch, "topk", first_of_equals)
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


def near(labels: Tensor, at: Anchors, spread: float, seed: int) -> tuple[Tensor, Tensor]:
    """Predictions and logits: each anchor's box is about its nearest label."""
    random = torch.Generator().manual_seed(seed)
    boxes = labels if len(labels) else torch.tensor([[0.0, 80.0, 48.0, 30.0, 20.0]])
    nearest = (at.centers[:, None] - boxes[None, :, 1:3]).square().sum(2).argmin(1)
    predicted = boxes[nearest, 1:] + spread * torch.randn(len(nearest), 4, generator=random)
    predicted[:, 2:] = predicted[:, 2:].abs() + 1
    return predicted, torch.randn(len(nearest), 4, generator=random) * 3


def batch(size: int, most: int, spread: float, seed: int) -> tuple[Tensor, Tensor, Tensor, Anchors]:
    """Labels, predictions and logits of a batch; images have 0 to `most` boxes."""
    at = anchors(SIZES, STRIDES, torch.device("cpu"))
    labels = random_labels(size, most, 3, 96, 160, seed)
    made = [near(one[one.sum(1) > 0], at, spread, seed * 100 + image) for image, one in enumerate(labels)]
    return labels, torch.stack([box for box, _ in made]), torch.stack([logit for _, logit in made]), at


def assert_equal(found: Assignment, expected: Assignment) -> None:
    for name, one, other in zip(Assignment._fields, found, expected, strict=True):
        assert one.dtype == other.dtype, name
        assert torch.equal(one, other), name


@pytest.mark.parametrize("way", [assign_one_by_one, assign_at_once])
@pytest.mark.parametrize("seed", range(60))
def test_equals_upstream(seed: int, way: Callable[..., Assignment]) -> None:
    """With predictions near the boxes, so that boxes take up to ten anchors and contend for them."""
    at = anchors(SIZES, STRIDES, torch.device("cpu"))
    labels = random_labels(1, 14, 3, 96, 160, seed)[0]
    labels = labels[labels.sum(1) > 0]
    if len(labels) == 0:
        labels = torch.tensor([[1.0, 80.0, 48.0, 30.0, 20.0]])
    # No spread: equal predictions, and so ties in overlap.
    predicted, logits = near(labels, at, 0.0 if seed % 5 == 0 else (0.2, 2.0, 10.0)[seed % 3], seed)
    ours = way(labels[None], predicted[None], logits[None], at)
    foreground, box, overlap = upstream_assignment(labels[:, 1:], labels[:, 0], predicted, logits, at)
    assert torch.equal(ours.foreground[0], foreground)
    assert torch.equal(ours.anchor, foreground.nonzero()[:, 0])
    assert torch.equal(ours.box, box)
    assert torch.equal(ours.overlap, overlap)


@pytest.mark.parametrize("most", [1, 6, 60])
@pytest.mark.parametrize("seed", range(25))
def test_all_at_once_equals_one_by_one(seed: int, most: int) -> None:
    """Also with images without boxes and others with more than there is room for."""
    made = batch(5, most, (0.0, 0.2, 2.0, 10.0, 60.0)[seed % 5], seed)
    found, expected = assign_at_once(*made), assign_one_by_one(*made)
    assert_equal(found, expected)
    assert (found.image * len(made[3].cells) + found.anchor).diff().gt(0).all()
    assert torch.equal(found.foreground.nonzero(), torch.stack((found.image, found.anchor), 1))


@pytest.mark.parametrize("way", [assign_one_by_one, assign_at_once])
def test_of_equal_costs_the_first_anchor_is_taken(way: Callable[..., Assignment]) -> None:
    """Predictions that are all the same: every candidate costs as much, and two equal boxes contend."""
    at = anchors(SIZES, STRIDES, torch.device("cpu"))
    label = torch.tensor([0.0, 80.0, 48.0, 40.0, 40.0])
    labels = torch.stack((label, label))[None]
    predicted = torch.tensor([80.0, 48.0, 30.0, 30.0]).expand(1, len(at.cells), 4)
    logits = torch.zeros(1, len(at.cells), 4)
    found = way(labels, predicted, logits, at)
    low, high = label[1:3] - 20, label[1:3] + 20
    near_both = ((at.centers > low) & (at.centers < high)).all(1)
    near_both &= ((at.centers - label[1:3]).abs() < 2.5 * at.strides[:, None]).all(1)
    count = int(10 * (30 * 30) / (40 * 40))
    assert found.anchor.tolist() == near_both.nonzero()[:count, 0].tolist()
    assert found.box.tolist() == [0] * count


@pytest.mark.parametrize("way", [assign_one_by_one, assign_at_once])
def test_no_box_or_none_in_the_picture_is_no_foreground(way: Callable[..., Assignment]) -> None:
    _, predicted, logits, at = batch(3, 2, 1.0, 0)
    labels = torch.zeros(3, 2, 5)
    assert len(way(labels, predicted, logits, at).anchor) == 0
    labels[1, 0] = torch.tensor([1.0, 5000.0, 5000.0, 4.0, 4.0])
    found = way(labels, predicted, logits, at)
    assert len(found.anchor) == 0
    assert not found.foreground.any()
    assert found.objects == 1


@pytest.mark.parametrize("way", [assign_one_by_one, assign_at_once])
def test_a_good_prediction_gives_a_box_many_anchors(way: Callable[..., Assignment]) -> None:
    at = anchors(SIZES, STRIDES, torch.device("cpu"))
    label = torch.tensor([[[2.0, 80.0, 48.0, 60.0, 40.0]]])
    found = way(label, label[..., 1:].expand(1, len(at.cells), 4), torch.zeros(1, len(at.cells), 4), at)
    assert len(found.anchor) == 10
    assert torch.allclose(found.overlap, torch.ones(10))
    assert ((at.centers[found.anchor] - label[0, 0, 1:3]).abs() <= 2.5 * 32).all()


@pytest.mark.parametrize("way", [assign_one_by_one, assign_at_once])
def test_a_box_smaller_than_a_cell_gets_an_anchor(way: Callable[..., Assignment]) -> None:
    at = anchors(SIZES, STRIDES, torch.device("cpu"))
    label = torch.tensor([[[0.0, 83.0, 51.0, 1.5, 1.5]]])
    predicted = torch.tensor([10.0, 10.0, 5.0, 5.0]).expand(1, len(at.cells), 4)
    assert len(way(label, predicted, torch.zeros(1, len(at.cells), 4), at).anchor) == 1


@pytest.mark.parametrize("way", [assign_one_by_one, assign_at_once])
@pytest.mark.parametrize("share", [0.05, 1.0], ids=["some", "all"])
def test_predictions_that_are_not_numbers_end_in_the_loss_not_in_an_error(
    share: float, way: Callable[..., Assignment], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Upstream's cross entropy refuses them, which on a GPU ends the process; here the engine may go back."""
    monkeypatch.setattr(yolox_loss, "assign", way)
    at = anchors(SIZES, STRIDES, torch.device("cpu"))
    random = torch.Generator().manual_seed(1)
    raw = torch.randn(2, len(at.cells), 8, generator=random)
    raw[torch.rand(2, len(at.cells), generator=random) < share] = torch.nan
    labels = random_labels(2, 9, 3, 96, 160, 4)
    losses = loss_sums(Predictions(raw.requires_grad_(), at), labels, l1=True).weighted(PartWeights())
    assert losses.weight > 0
    assert losses.mean.isnan()
