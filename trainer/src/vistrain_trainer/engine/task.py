"""What the engine asks of a task: the model, the data and the metrics of what is trained."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class ParameterGroup:
    """Parameters that share a learning rate and a weight decay. `name` labels metrics."""

    name: str
    parameters: list[nn.Parameter]
    weight_decay: float


class Batch(Protocol):
    """One optimiser step's input."""

    @property
    def images_count(self) -> int:
        """Images in the batch."""
        ...

    def to(self, device: torch.device) -> Batch:
        """The batch on a device (pinned memory is copied without blocking)."""
        ...


class Task(Protocol):
    """A thing that is trained. The engine owns optimiser, schedule, EMA, precision, files and signals."""

    steps_per_epoch: int
    """Optimiser steps in an epoch, at least 1."""

    def identity(self) -> Mapping[str, Any]:
        """JSON values recorded with the run and refused when they change: data digest, classes."""
        ...

    def build(self, device: torch.device) -> nn.Module:
        """The model with its initial weights on `device`, in train mode; reads the stated initialisation."""
        ...

    def initialization_notes(self) -> list[str]:
        """What was loaded, such as `294 of 300 tensors from yolox_l.pth (98 %)`."""
        ...

    def parameter_groups(self, model: nn.Module) -> list[ParameterGroup]:
        """Groups of the trainable parameters; norm layers and biases get no weight decay."""
        ...

    def batches(self, from_step: int, to_step: int) -> Iterator[Batch]:
        """Batches of the steps [from_step, to_step), a function of (seed, step) only."""
        ...

    def losses(self, model: nn.Module, batch: Batch, step: int) -> dict[str, Tensor]:
        """Forward pass under the engine's autocast: `total` (differentiable, fp32), detached parts."""
        ...

    def evaluate(self, model: nn.Module, should_stop: Any) -> dict[str, float | None]:
        """Metrics of `model` (EMA where there is one, eval mode) on the validation split, by name.

        Consumes no randomness. `should_stop()` is asked between batches; when true, raises
        `vistrain_trainer.engine.signals.Interrupted`, and the evaluation is done again after the resume.
        """
        ...

    def test(self, model: nn.Module, should_stop: Any) -> dict[str, float | None]:
        """Metrics on the test split, prefixed `test/`; empty where there is none."""
        ...

    def export(self, state: Mapping[str, Tensor]) -> dict[str, Any]:
        """A file of weights with upstream's key names, for use elsewhere."""
        ...
