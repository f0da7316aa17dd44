"""The loss equals upstream's, with its gradients, and stays in float32."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from support.upstream_yolox import random_labels, upstream_loss, upstream_model
from vistrain_trainer.detectors import assignment
from vistrain_trainer.detectors.anchors import anchors
from vistrain_trainer.detectors.yolox_head import Predictions
from vistrain_trainer.detectors.yolox_loss import LossSums, PartWeights, loss_sums
from vistrain_trainer.detectors.yolox_model import YoloxModel

HEIGHT, WIDTH, CLASSES = 96, 160, 7
WEIGHTS = PartWeights()


def mean_parts(sums: LossSums) -> dict[str, Tensor]:
    """The loss and its addends, each divided by the foreground count."""
    losses = sums.weighted(WEIGHTS)
    return losses.figures() | {"total": losses.mean}


@pytest.mark.parametrize("l1", [False, True], ids=["without-l1", "with-l1"])
@pytest.mark.parametrize("seed", range(5))
def test_equals_upstream_with_gradients(seed: int, l1: bool) -> None:
    """Heads on the same features: through the backbone, rounding grows beyond what is compared here."""
    ours, theirs = YoloxModel("nano", CLASSES), upstream_model("nano", CLASSES)
    torch.manual_seed(seed)
    with torch.no_grad():  # weights wider than fresh ones, so that predictions differ from anchor to anchor
        for pred in (*ours.head.reg_preds, *ours.head.obj_preds, *ours.head.cls_preds):
            pred.weight.normal_(std=0.5)
    theirs.load_state_dict(ours.state_dict())
    sizes = [(64, 12, 20), (128, 6, 10), (256, 3, 5)]
    features = [torch.randn(3, *size).requires_grad_() for size in sizes]
    copies = [feature.detach().clone().requires_grad_() for feature in features]
    labels = random_labels(3, 9, CLASSES, HEIGHT, WIDTH, seed)
    expected = upstream_loss(theirs, copies, labels, l1=l1)
    found = mean_parts(loss_sums(ours.head.train()(features), labels, l1=l1))
    for name, value in expected.items():
        assert found[name].item() == pytest.approx(value.item(), rel=1e-5, abs=1e-5), name
    expected["total"].backward()
    found["total"].backward()
    gradients = [(mine.grad, copy.grad) for mine, copy in zip(features, copies, strict=True)]
    named = dict(theirs.head.named_parameters())
    gradients += [(mine.grad, named[name].grad) for name, mine in ours.head.named_parameters()]
    for mine, upstreams in gradients:
        assert (mine - upstreams).abs().max() <= 1e-5 * upstreams.abs().max()


def predictions(batch: int, seed: int = 0) -> Predictions:
    at = anchors([(12, 20), (6, 10), (3, 5)], [8, 16, 32], torch.device("cpu"))
    random = torch.Generator().manual_seed(seed)
    raw = torch.randn(batch, len(at.cells), 5 + CLASSES, generator=random)
    return Predictions(raw.requires_grad_(), at)


def test_is_divided_by_the_foreground_of_the_whole_batch() -> None:
    labels = random_labels(4, 9, CLASSES, HEIGHT, WIDTH, 1)
    made = predictions(4)
    whole = loss_sums(made, labels, l1=True)
    halves = [
        loss_sums(Predictions(made.raw[part], made.anchors), labels[part], l1=True)
        for part in (slice(0, 2), slice(2, 4))
    ]
    assert whole.foreground == sum(half.foreground for half in halves) > 0
    assert whole.objects == sum(half.objects for half in halves)
    total = (
        sum((half.weighted(WEIGHTS).total.detach() for half in halves), torch.zeros(())) / whole.foreground
    )
    torch.testing.assert_close(mean_parts(whole)["total"].detach(), total)


def test_a_batch_without_boxes_teaches_objectness_only() -> None:
    made = predictions(2)
    parts = mean_parts(loss_sums(made, torch.zeros(2, 5, 5), l1=True))
    parts["total"].backward()
    assert parts["obj"] > 0
    assert [parts[name].item() for name in ("iou", "cls", "l1", "num_fg")] == [0, 0, 0, 0]
    gradient = made.raw.grad
    assert gradient is not None
    assert gradient[..., 4].abs().min() > 0
    assert gradient[..., 5:].abs().max() == 0


def test_only_the_total_has_a_gradient() -> None:
    parts = mean_parts(loss_sums(predictions(1), random_labels(1, 5, CLASSES, HEIGHT, WIDTH, 3), l1=True))
    assert list(parts) == ["total", "iou", "obj", "cls", "l1", "num_fg"]
    assert [name for name, part in parts.items() if part.requires_grad] == ["total"]
    added = sum((parts[name] for name in ("iou", "obj", "cls", "l1")), torch.zeros(()))
    torch.testing.assert_close(added, parts["total"].detach())


def test_is_float32_inside_autocast() -> None:
    labels = random_labels(2, 9, CLASSES, HEIGHT, WIDTH, 2)
    outside = mean_parts(loss_sums(predictions(2), labels, l1=True))
    with torch.autocast("cpu", torch.bfloat16):
        inside = mean_parts(loss_sums(predictions(2), labels, l1=True))
    for name, part in inside.items():
        assert part.dtype == torch.float32
        assert torch.equal(part, outside[name])


def test_running_out_of_device_memory_is_not_swallowed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Upstream's head catches it in the assignment and goes on; the engine must see it."""

    def out_of_memory(*_: Tensor) -> Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    monkeypatch.setattr(assignment, "pairwise_iou", out_of_memory)
    with pytest.raises(torch.OutOfMemoryError, match=r"CUDA out of memory\. Tried"):
        loss_sums(predictions(1), random_labels(1, 5, CLASSES, HEIGHT, WIDTH, 3), l1=False)
