"""Early stopping: whether the primary metric has stood still for too long."""

from __future__ import annotations

from vistrain_trainer.engine.state import Waited


def waited(before: Waited, value: float | None, epoch: int, mode: str) -> Waited:
    """What early stopping knows after an evaluation.

    Args:
        before: what it knew before.
        value: of the primary metric; none is no improvement.
        epoch: epochs done.
        mode: max or min, whichever is better.
    """
    if value is None:
        return before
    better = before.best is None or (value > before.best if mode == "max" else value < before.best)
    return Waited(value, epoch) if better else before


def is_over(state: Waited, epoch: int, patience: int) -> bool:
    """Whether `patience` epochs have passed since the last improvement."""
    return epoch - state.epoch >= patience
