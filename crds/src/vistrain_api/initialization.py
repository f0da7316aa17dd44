"""What a run starts from: always stated, so that no run starts from random weights by accident."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from vistrain_api.base import Contract, Rule, exactly_one
from vistrain_api.volumes import DnsName, RelativePath, Sha256, VolumeRef

Share = Annotated[float, Field(ge=0, le=1)]


class WeightsFile(Contract):
    """A file of weights on a volume."""

    volume: VolumeRef
    """Volume that holds the file."""
    path: RelativePath
    """File inside the volume."""
    sha256: Sha256 | None = None
    """Digest the file must have, in hexadecimal."""


class Weights(WeightsFile):
    """Pretrained weights; keys that do not fit (the class head) stay as initialised, down to a floor."""

    min_matched: Share = 0.95
    """Least share of the model's tensors, besides a head of another class count, that the file supplies."""
    fallbacks: Annotated[list[WeightsFile], Field(max_length=4)] = Field(default_factory=list)
    """Files tried in this order when the one before does not exist."""


class Scratch(Contract):
    """Random weights, from the run's seed."""


Kept = Literal["fresh", "keep"]


class RunRef(Contract):
    """The checkpoint of another run in the same namespace; which one is settled at the first start."""

    name: DnsName
    """Name of the run."""
    checkpoint: Literal["best", "last"] = "best"
    """Which of its checkpoints; that run must have ended, so that the choice is final."""
    optimizer: Kept = "fresh"
    """fresh: its weights and average start a new run. keep: its optimiser goes on too, as when a run is
    extended; model and classes must then be the same."""


class CheckpointRef(Contract):
    """A Vistrain run folder's checkpoint on a volume: its weights and average start a new run."""

    volume: VolumeRef
    """Volume that holds the checkpoint."""
    path: RelativePath
    """Checkpoint folder inside the volume, such as runs/a/checkpoints/step-000000120."""
    sha256: Sha256 | None = None
    """Digest that its state file must have, in hexadecimal: `vistrain checkpoint list` shows it."""
    optimizer: Kept = "fresh"
    """fresh: a new optimiser. keep: the checkpoint's goes on, as when a run is extended; model and classes
    must then be the same."""


class Initialization(Contract):
    """Exactly one of weights, scratch, run, checkpoint."""

    weights: Weights | None = None
    """Start from a file of weights."""
    scratch: Scratch | None = None
    """Start from random weights."""
    run: RunRef | None = None
    """Start from another run's checkpoint."""
    checkpoint: CheckpointRef | None = None
    """Start from a checkpoint folder."""

    rules: ClassVar[tuple[Rule, ...]] = (exactly_one("weights", "scratch", "run", "checkpoint"),)
