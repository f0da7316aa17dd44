"""The moving average of the weights."""

from __future__ import annotations

import math

import torch
from torch import nn

from vistrain_trainer.engine.ema import WeightAverage


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))


def shift(model: nn.Module, seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for value in model.state_dict().values():
            if value.is_floating_point():
                value.add_(torch.rand(value.shape, generator=random))
            else:
                value.add_(1)


def test_every_floating_point_entry_follows_the_formula():
    model = network()
    average = WeightAverage(model, 0.9998, 2000)
    expected = {name: value.double().clone() for name, value in model.state_dict().items()}
    for update in range(1, 6):
        shift(model, update)
        average.update()
        decay = 0.9998 * (1 - math.exp(-update / 2000))
        for name, value in model.state_dict().items():
            expected[name] = decay * expected[name] + (1 - decay) * value.double()
    for name, value in average.model.state_dict().items():
        if value.is_floating_point():
            torch.testing.assert_close(value.double(), expected[name], rtol=1e-5, atol=1e-7)


def test_counters_are_copied():
    model = network()
    average = WeightAverage(model, 0.9, 10)
    shift(model, 1)
    average.update()
    assert average.model.state_dict()["1.num_batches_tracked"] == 1


def test_entries_that_do_not_change_stay_equal_to_the_bit():
    model = network()
    average = WeightAverage(model, 0.9998, 2000)
    frozen = model[0].weight
    for update in range(200):
        with torch.no_grad():
            model[1].weight.add_(0.01 * update)
        average.update()
    assert torch.equal(average.model[0].weight, frozen)
    assert not torch.equal(average.model[1].weight, model[1].weight)
