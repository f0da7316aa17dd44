"""The optimiser against PyTorch's plain one; autocast, loss scaling."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch import nn

from vistrain_api.schedule import AdamW, Optimizer, Sgd
from vistrain_trainer.engine.optimizer import make_optimizer, set_rates, start_momentum
from vistrain_trainer.engine.precision import Precision, resolve_precision
from vistrain_trainer.engine.task import ParameterGroup

CPU = torch.device("cpu")


def train(optimizer: torch.optim.Optimizer, model: nn.Module) -> None:
    for step in range(5):
        torch.manual_seed(step)
        rate = 0.1 / (step + 1)
        set_rates(optimizer, {"decayed": rate, "free": 2 * rate}.__getitem__)
        model(torch.rand(4, 6)).square().sum().backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)


def model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 5), nn.Linear(5, 2))


@pytest.mark.parametrize("kind", ["sgd", "adamw"])
def test_steps_are_those_of_the_plain_optimizer(kind):
    stated = Optimizer(sgd=Sgd()) if kind == "sgd" else Optimizer(adamw=AdamW())
    ours, plain = model(), model()
    weights = [ParameterGroup("decayed", [ours[0].weight, ours[1].weight], 0.01)]
    biases = [ParameterGroup("free", [ours[0].bias, ours[1].bias], 0.0)]
    groups = [
        {"params": [plain[0].weight, plain[1].weight], "weight_decay": 0.01, "name": "decayed"},
        {"params": [plain[0].bias, plain[1].bias], "weight_decay": 0.0, "name": "free"},
    ]
    slow = {"foreach": False, "fused": False}
    reference = (
        torch.optim.SGD(groups, lr=0, momentum=0.9, nesterov=True, **slow)
        if kind == "sgd"
        else torch.optim.AdamW(groups, lr=0, betas=(0.9, 0.999), **slow)
    )
    train(make_optimizer(stated, weights + biases, CPU), ours)
    train(reference, plain)
    for mine, theirs in zip(ours.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-6)


def test_the_compiler_stays_out():
    """A resumed run would wait a second for it; the first step and a checkpoint's round trip need none."""
    code = """
import sys, torch
from vistrain_api.schedule import AdamW, Optimizer, Sgd
from vistrain_trainer.engine.optimizer import make_optimizer
from vistrain_trainer.engine.randomness import set_determinism
from vistrain_trainer.engine.task import ParameterGroup
set_determinism("strict")
for stated in (Optimizer(sgd=Sgd()), Optimizer(adamw=AdamW())):
    weight = torch.nn.Parameter(torch.ones(3))
    optimizer = make_optimizer(stated, [ParameterGroup("all", [weight], 0.01)], torch.device("cpu"))
    weight.square().sum().backward()
    optimizer.step()
    optimizer.zero_grad()
    optimizer.load_state_dict(optimizer.state_dict())
assert torch.are_deterministic_algorithms_enabled()
sys.exit("torch._dynamo" in sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_stated_precision_is_kept_and_auto_resolved():
    assert [resolve_precision(name, CPU) for name in ("fp32", "bf16", "fp16")] == ["fp32", "bf16", "fp16"]
    fast = torch.cpu._is_avx512_bf16_supported()
    assert resolve_precision("auto", CPU) == ("bf16" if fast else "fp32")


@pytest.mark.parametrize(("name", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16)])
def test_autocast(name, dtype):
    with Precision(name, CPU).autocast():
        assert nn.Linear(2, 2)(torch.ones(1, 2)).dtype == dtype


def test_fp16_skips_a_step_that_overflows_and_tells_when_it_collapsed():
    precision, network = Precision("fp16", CPU), model()
    optimizer = make_optimizer(
        Optimizer(sgd=Sgd()), [ParameterGroup("all", list(network.parameters()), 0)], CPU
    )
    set_rates(optimizer, lambda part: 0.1)
    before = network[0].weight.clone()
    steps = 0
    while not precision.collapsed:
        optimizer.zero_grad()
        precision.backward(network(torch.ones(1, 6)).sum() * torch.inf)
        precision.step(optimizer)
        steps += 1
        assert steps < 100
    assert torch.equal(network[0].weight, before)
    assert steps > 10
    restored = Precision("fp16", CPU)
    restored.restore(precision.state())
    assert restored.collapsed


@pytest.mark.parametrize("kind", ["sgd", "adamw"])
def test_a_skipped_first_step_leaves_no_trace_in_the_next(kind):
    """Fused SGD would add to a momentum that nobody has filled."""
    stated = Optimizer(sgd=Sgd()) if kind == "sgd" else Optimizer(adamw=AdamW())
    trained = []
    for skips in (0, 3):
        torch.full((64,), torch.nan)  # what fresh memory may hold
        precision, network = Precision("fp16", CPU), model()
        optimizer = make_optimizer(stated, [ParameterGroup("all", list(network.parameters()), 0.01)], CPU)
        set_rates(optimizer, lambda part: 0.1)
        start_momentum(optimizer)
        precision._scaler = torch.amp.GradScaler("cpu", init_scale=2.0 ** (8 + skips))  # halved by each
        for number in range(skips + 3):
            loss = network(torch.ones(1, 6)).square().sum()
            precision.backward(loss * torch.inf if number < skips else loss)
            precision.step(optimizer)
            optimizer.zero_grad()
        trained.append([parameter.detach().clone() for parameter in network.parameters()])
    assert all(torch.equal(mine, theirs) for mine, theirs in zip(*trained, strict=True))
