"""The doctor's counts, against the network itself."""

from __future__ import annotations

import pytest
import torch

from vistrain_trainer.detectors.yolox_model import VARIANTS, YoloxModel
from vistrain_trainer.doctor.yolox_size import SIZES, gigabytes


def test_every_variant_has_a_size():
    assert SIZES.keys() == VARIANTS.keys()


@pytest.mark.parametrize("variant", SIZES)
@pytest.mark.parametrize("classes", [1, 7])
def test_parameters(variant, classes):
    with torch.device("meta"):
        model = YoloxModel(variant, classes)
    counted = sum(parameter.numel() for parameter in model.parameters())
    assert SIZES[variant].all_parameters(classes) == counted


@pytest.mark.parametrize("variant", SIZES)
@pytest.mark.parametrize("half", [False, True])
def test_what_the_backward_pass_keeps_of_a_pixel(variant, half):
    model = YoloxModel(variant, 7).train()
    one, four = kept_bytes(model, 64, half), kept_bytes(model, 128, half)
    size = SIZES[variant]
    assert (four - one) / (128**2 - 64**2) == pytest.approx(size.half if half else size.full, rel=0.01)


def kept_bytes(model, side, half):
    """Bytes of the tensors that autograd keeps of one image, each storage once, weights aside."""
    weights = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    kept = {}

    def keep(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = (storage.nbytes(), tensor)  # held, so that no address comes twice
        return tensor

    with (
        torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor),
        torch.autocast("cpu", torch.bfloat16, enabled=half),
    ):
        model(torch.zeros((1, 3, side, side), dtype=torch.uint8))
    return sum(count for count, _ in kept.values())


def test_sizes_in_words():
    assert gigabytes(13_412_000_000) == "13.4 GB"
    assert gigabytes(36_000_000) == "36.0 MB"
