"""Which weights were judged."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class WeightsSource:
    """A checkpoint of a run, or a file of weights."""

    path: str
    """Of a checkpoint inside its run folder, such as `checkpoints/step-000000120`; of a file its name."""
    sha256: str
    """Of the checkpoint's state file, or of the file of weights."""
    run: str | None = None
    """Name of the run, where there is one."""
    step: int | None = None
    """Optimiser steps behind the weights; None for a file, which does not tell."""
    epoch: int | None = None
    """Epochs completed; likewise."""
