"""The exponential moving average of the weights, which evaluation and export use."""

from __future__ import annotations

import copy
import math

import torch
from torch import Tensor, nn


class WeightAverage:
    """An average of every floating-point entry of a model's state; other entries (counters) are copied.

    After n updates the decay is decay × (1 − exp(−n / tau)). The mean is taken by interpolation from the
    average towards the model, so that entries that equal the model's (frozen ones) stay equal to the bit.
    """

    def __init__(self, model: nn.Module, decay: float, tau: int) -> None:
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        self.updates = 0
        self._decay = decay
        self._tau = tau
        # State dicts share storage with their model, and the engine never replaces a parameter's storage.
        mine, theirs = self.model.state_dict(), model.state_dict()
        self._average: list[Tensor] = [value for value in mine.values() if value.is_floating_point()]
        self._source: list[Tensor] = [
            theirs[name] for name, value in mine.items() if value.is_floating_point()
        ]
        counters = [name for name, value in mine.items() if not value.is_floating_point()]
        self._counters = [mine[name] for name in counters]
        self._their_counters = [theirs[name] for name in counters]

    def decay_at(self, updates: int) -> float:
        """The decay of the update number `updates`, from 1."""
        return self._decay * (1 - math.exp(-updates / self._tau))

    @torch.no_grad()
    def update(self) -> None:
        """Take the model's present state into the average; once per optimiser step."""
        self.updates += 1
        torch._foreach_lerp_(self._average, self._source, 1 - self.decay_at(self.updates))
        if self._counters:
            torch._foreach_copy_(self._counters, self._their_counters)
