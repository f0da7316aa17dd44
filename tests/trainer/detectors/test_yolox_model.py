"""The network: upstream's, by name and value."""

from __future__ import annotations

import sys

import pytest
import torch
from torch import nn

from support.upstream_yolox import upstream_model
from vistrain_trainer.detectors.yolox_model import VARIANTS, YoloxModel, part_of


@pytest.mark.parametrize(("variant", "count"), [("nano", 897_924), ("s", 8_940_004), ("l", 54_152_612)])
def test_parameter_counts_with_seven_classes(variant: str, count: int) -> None:
    with torch.device("meta"):
        model = YoloxModel(variant, 7)
    assert sum(parameter.numel() for parameter in model.parameters()) == count


def test_parts_of_yolox_l() -> None:
    with torch.device("meta"):
        model = YoloxModel("l", 7)
    counts = dict.fromkeys(("backbone", "neck", "head"), 0)
    for name, parameter in model.named_parameters():
        counts[part_of(name)] += parameter.numel()
    assert counts["backbone"] + counts["neck"] == 46_599_040
    assert counts["head"] == 7_553_572
    assert round(counts["backbone"] / 1e6, 2) == 27.08
    assert round(counts["neck"] / 1e6, 2) == 19.52


@pytest.mark.parametrize("variant", sorted(VARIANTS))
def test_names_and_shapes_are_upstreams(variant: str) -> None:
    with torch.device("meta"):
        ours = YoloxModel(variant, 7).state_dict()
        theirs = upstream_model(variant, 7).state_dict()
    assert [(name, tensor.shape) for name, tensor in ours.items()] == [
        (name, tensor.shape) for name, tensor in theirs.items()
    ]


def test_fresh_weights_are_upstreams() -> None:
    torch.manual_seed(3)
    ours = YoloxModel("nano", 7)
    torch.manual_seed(3)
    theirs = upstream_model("nano", 7)
    for name, tensor in theirs.state_dict().items():
        assert torch.equal(ours.state_dict()[name], tensor), name
    norms = [module for module in ours.modules() if isinstance(module, nn.BatchNorm2d)]
    assert {(norm.eps, norm.momentum) for norm in norms} == {(1e-3, 0.03)}
    biases = [pred.bias.sigmoid() for pred in (*ours.head.cls_preds, *ours.head.obj_preds)]
    assert torch.allclose(torch.cat(biases), torch.tensor(0.01))


def test_boxes_and_scores_are_upstreams() -> None:
    model, theirs = YoloxModel("nano", 7), upstream_model("nano", 7)
    theirs.load_state_dict(model.state_dict())
    images = torch.randint(0, 256, (2, 3, 96, 160), dtype=torch.uint8)
    model.eval()
    theirs.eval()
    with torch.no_grad():
        found = model(images)
        expected = theirs(images.float().to(memory_format=torch.channels_last))
    torch.testing.assert_close(found.boxes(), expected[..., :4], rtol=1e-5, atol=1e-4)
    torch.testing.assert_close(found.scores(), expected[..., 5:] * expected[..., 4:5], rtol=1e-5, atol=1e-7)


def test_boxes_are_not_rounded_in_low_precision() -> None:
    """Decoded in bfloat16, upstream's boxes beyond x = 1024 lie 8 pixels apart."""
    model, theirs = YoloxModel("nano", 2), upstream_model("nano", 2)
    theirs.load_state_dict(model.state_dict())
    images = torch.randint(0, 256, (1, 3, 32, 1440), dtype=torch.uint8)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        ours = model.eval()(images).boxes()
        upstream = theirs.eval()(images.float())[..., :4]
    assert ours.dtype == torch.float32
    assert upstream.dtype == torch.bfloat16
    far = ours[0, :, 0] > 1024
    assert torch.all(upstream[0, far, 0].float() % 8 == 0)
    assert torch.any(ours[0, far, 0] % 8 != 0)
    with torch.no_grad():
        exact = model(images).boxes()[0, far, 0]
    assert (ours[0, far, 0] - exact).abs().max() < 0.5


def test_the_stand_in_for_thop_is_gone() -> None:
    assert "thop" not in sys.modules
