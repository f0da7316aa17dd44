"""The optimiser that a manifest states."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from vistrain_api.schedule import Optimizer
from vistrain_trainer.engine.eager import eager
from vistrain_trainer.engine.task import ParameterGroup

# Fused kernels exist and are deterministic there; elsewhere the tensors are updated as lists.
_FUSED = {"cpu", "cuda"}


def make_optimizer(
    stated: Optimizer, groups: Sequence[ParameterGroup], device: torch.device
) -> torch.optim.Optimizer:
    """SGD or AdamW over the groups; the rate is set before every step."""
    parameters = [
        {"params": group.parameters, "weight_decay": group.weight_decay, "name": group.name}
        for group in groups
    ]
    kernel = {"fused": True} if device.type in _FUSED else {"foreach": True}
    if stated.sgd is not None:
        return eager(torch.optim.SGD)(
            parameters, lr=0.0, momentum=stated.sgd.momentum, nesterov=stated.sgd.nesterov, **kernel
        )
    assert stated.adamw is not None  # the contract: exactly one
    first, second = stated.adamw.betas
    return eager(torch.optim.AdamW)(parameters, lr=0.0, betas=(first, second), **kernel)


def set_rates(optimizer: torch.optim.Optimizer, rate_of: Callable[[str], float]) -> None:
    """Set the rate of every group to that of the part of the model that it is named after."""
    for group in optimizer.param_groups:
        group["lr"] = rate_of(group["name"])


def start_momentum(optimizer: torch.optim.Optimizer) -> None:
    """Give every trainable parameter of SGD that has none yet a momentum of zero, which is that of no step.

    PyTorch's fused SGD makes the buffer at the first step without filling it. A loss scaler that skips that
    step leaves it so, and the next one adds to what happened to lie in memory (seen with PyTorch 2.15).
    """
    for group in optimizer.param_groups:
        for parameter in group["params"] if group.get("momentum", 0) else ():
            if parameter.requires_grad and "momentum_buffer" not in optimizer.state[parameter]:
                optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
