"""Where and how often a run saves itself."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from vistrain_api.base import Contract, Rule, duration_within
from vistrain_api.quantities import Duration
from vistrain_api.volumes import RelativePath, VolumeRef


class Keep(Contract):
    """Which checkpoints and weights stay."""

    last: Annotated[int, Field(ge=1, le=100)] = 2
    """Newest checkpoints; two or more survive a torn one."""
    best: Annotated[int, Field(ge=0, le=100)] = 1
    """Best weights by the primary metric."""
    every_epochs: Annotated[int, Field(ge=1, le=100_000)] | None = None
    """Also the weights of every N-th epoch."""


class Checkpoint(Contract):
    """Where and how often a run saves itself."""

    volume: VolumeRef
    """Volume of the run folder."""
    path: RelativePath | None = None
    """Run folder inside the volume; `<name>-<first 8 of uid>` when absent."""
    interval: Duration = "10m"
    """Longest time between two checkpoints; there is one at every epoch's end and on SIGTERM besides."""
    keep: Keep = Field(default_factory=Keep)
    """Which checkpoints and weights stay."""

    rules: ClassVar[tuple[Rule, ...]] = (duration_within("interval", "1s", "24h"),)
