"""The batches of a run in the order of its plan."""

from __future__ import annotations

from vistrain_trainer.engine.task import Batch, Batches, Task


class Feed:
    """Gives the batch of each position, and opens the task's loader anew where the run leaves the order.

    It runs on over phases: only a phase that stopped early, or a roll-back, costs a new start of the workers.
    """

    def __init__(self, task: Task, first: int, end: int) -> None:
        """Open the loader at a position; its workers are forked in the call."""
        self._task = task
        self._end = end
        self._next = first
        self._batches: Batches = task.batches(first, end)

    def batch(self, position: int) -> Batch:
        """The batch of a position."""
        if position != self._next:
            self._batches.close()
            self._batches = self._task.batches(position, self._end)
        self._next = position + 1
        return next(self._batches)

    def close(self) -> None:
        """End the workers."""
        self._batches.close()
