"""The batches of a run in the order of its plan."""

from __future__ import annotations

from collections.abc import Callable

from vistrain_trainer.engine.task import Batch, Batches, Task


class Feed:
    """Gives the batch of each position, and opens the task's loader anew where the run leaves the order.

    It runs on over phases: only a phase that stopped early, or a roll-back, costs a new start of the workers.
    """

    def __init__(
        self, task: Task, first: int, end: int, on_first: Callable[[Batch], None] = lambda batch: None
    ) -> None:
        """Open the loader at a position; its workers are forked in the call.

        `on_first` is given the first batch, before it is trained on.
        """
        self._task = task
        self._end = end
        self._next = first
        self._on_first: Callable[[Batch], None] | None = on_first
        self._batches: Batches = task.batches(first, end)

    def batch(self, position: int) -> Batch:
        """The batch of a position."""
        if position != self._next:
            self._batches.close()
            self._batches = self._task.batches(position, self._end)
        self._next = position + 1
        batch = next(self._batches)
        if self._on_first is not None:
            on_first, self._on_first = self._on_first, None
            on_first(batch)
        return batch

    def close(self) -> None:
        """End the workers."""
        self._batches.close()
