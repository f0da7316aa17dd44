"""What the engine asks of a task: the model, the data and the metrics of what is trained.

A task is made by `vistrain_trainer.detectors.task_for(manifest, context) -> Task`, which reads the
annotations and checks them (BadInput), builds no model and starts no worker. The engine then calls, in this
order:

1. `steps_per_epoch`, `identity()`, and at the first start `preparations()`: what the run folder is compared
   with, and records;
2. `batches(first, end)`: early, since workers are forked there, and again where the run leaves the plan's
   order (a phase stopped early, a roll-back);
3. `build()`, while the workers make their first batches;
4. `load(...)` when the run starts from another run's checkpoint;
5. `parts` at every phase, per step `losses`, per evaluation `evaluate`, at the end `export` and `examine`.

Positions are 0-based steps of the plan (engine.plan): the steps done, and those that early stopping left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self

import torch
from torch import Tensor, nn

from vistrain_trainer.engine.losses import Losses
from vistrain_trainer.engine.volumes import Volumes
from vistrain_trainer.evaluation.source import WeightsSource


@dataclass(frozen=True)
class TaskContext:
    """What a task needs to know of the machine."""

    device: torch.device
    """Resolved device."""
    volumes: Volumes
    """Where claims are: `volumes.folder(claim, field, sub_path)`."""
    precision: str
    """Resolved precision: fp32, bf16 or fp16; the engine opens the autocast region."""
    pin_memory: bool = False
    """Whether batches are to lie in pinned memory."""
    cache_folder: Path | None = None
    """Folder for what runs of the same data may share, beside the run folders; None for none."""
    note: Callable[[str], None] = lambda _: None
    """Tells a person something worth knowing about the run."""
    begun: bool = False
    """Whether the run was begun before, so that `identity()` is compared with what it was begun with."""


@dataclass(frozen=True)
class ParameterGroup:
    """Parameters that share a learning rate and a weight decay."""

    name: str
    """The part of the model they belong to: phases and metrics speak of it."""
    parameters: list[nn.Parameter]
    weight_decay: float


class Batch(Protocol):
    """One optimiser step's input."""

    @property
    def images_count(self) -> int:
        """Images in the batch."""
        ...

    def to(self, device: torch.device) -> Self:
        """The batch on a device (pinned memory is copied without blocking)."""
        ...

    def split(self, images: int) -> Sequence[Self]:
        """Micro-batches of that many images, in order."""
        ...


class Batches(Protocol):
    """An iterator over batches that owns worker processes."""

    def __iter__(self) -> Iterator[Batch]: ...

    def __next__(self) -> Batch: ...

    def close(self) -> None:
        """End the workers."""
        ...


class Task(Protocol):
    """A thing that is trained. The engine owns optimiser, schedule, EMA, precision, files and signals."""

    steps_per_epoch: int
    """Optimiser steps in an epoch, at least 1."""

    def identity(self) -> Mapping[str, Any]:
        """JSON values recorded with the run and refused when they change: data digest, classes."""
        ...

    def preparations(self) -> Sequence[Mapping[str, Any]]:
        """JSON values that tell how the data were prepared: recorded at the first start, never compared."""
        ...

    def batches(self, first: int, end: int) -> Batches:
        """Batches of the positions [first, end), a function of (seed, position) only."""
        ...

    def build(self, *, initialize: bool = True) -> nn.Module:
        """The model with its initial weights on the context's device, in train mode.

        Reads the stated initialisation; random weights come from torch's generator, which the engine seeds
        right before. With `initialization.checkpoint` it builds as for scratch, and the engine calls `load`.
        Without `initialize` nothing is read: a checkpoint of the run itself is restored next.
        """
        ...

    def load(
        self, model: nn.Module, state: Mapping[str, Tensor], source: str, identity: Mapping[str, Any]
    ) -> list[str]:
        """Load another run's weights (keys as in `model.state_dict()`) by name and shape; notes on what was
        loaded.

        `identity` is that of the other run's task: a head of other classes, or of the same in another order,
        stays as built. Raises BadInput naming spec.initialization.checkpoint when too little fits.
        """
        ...

    def initialization_notes(self) -> list[str]:
        """What was loaded, such as `294 of 300 tensors from yolox_l.pth (98 %)`."""
        ...

    def parameter_groups(self, model: nn.Module) -> list[ParameterGroup]:
        """Groups of all parameters; norm layers and biases get no weight decay."""
        ...

    def parts(self, model: nn.Module) -> Mapping[str, Sequence[nn.Module]]:
        """Modules by the name of the part that they make up; every parameter is in one part."""
        ...

    def losses(self, model: nn.Module, batch: Batch, position: int) -> Losses:
        """Forward pass of a batch, or of a micro-batch of it, at a position of the plan.

        Called inside the engine's autocast region; the task leaves it for decoding and losses. Every step
        gives the same keys, in the same order. Consumes no randomness but torch's own generators.
        """
        ...

    def evaluate_in(self, images: int) -> None:
        """From now on evaluations have that many images on the device at once."""
        ...

    def evaluate(self, model: nn.Module, should_stop: Callable[[], bool]) -> dict[str, float | None]:
        """Metrics of `model` (the EMA where there is one, in eval mode) on the validation split, by name.

        Called under no_grad and inside the engine's autocast region. Consumes no randomness, leaves the model
        as it was. `should_stop()` is asked between batches; when true, raises `signals.Interrupted`, and the
        evaluation is done again after the resume. Holds `valLoss` and every name of
        vistrain_api.evaluation.DetectorMetric; per-class values as `AP/<class>`.
        """
        ...

    def examine(
        self, model: nn.Module, folder: Path, source: WeightsSource, should_stop: Callable[[], bool]
    ) -> dict[str, float | None]:
        """Judge a model in full, once, at the end of a run; otherwise as `evaluate`.

        Writes into `folder`, which is empty, a folder `validation` and, where there is such a split, `test`;
        equal inputs give equal files. The engine gives them their place once all are whole. `source` says
        what `model` was loaded from.

        Returns the metrics on the test split, prefixed `test/`; empty where there is none.
        """
        ...

    def export(self, state: Mapping[str, Tensor]) -> dict[str, Any]:
        """A file of weights with upstream's key names, for use elsewhere; `state` as `model.state_dict()`."""
        ...
