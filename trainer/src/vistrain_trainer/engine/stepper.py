"""One optimiser step: forward and backward passes over micro-batches, and a second try with smaller ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from vistrain_trainer.engine.losses import Losses, added
from vistrain_trainer.engine.state import TrainingState
from vistrain_trainer.engine.task import Batch, Task
from vistrain_trainer.errors import OutOfGpuMemory


class Stepper:
    """Does steps. When the device's memory runs out it may do a step again with smaller micro-batches.

    Such a step begins anew from where it began: gradients are dropped, and buffers (batch norm statistics)
    and generators are put back. Parameters need no copy: memory runs out before the optimiser writes to any,
    since it allocates its own state first.
    """

    def __init__(
        self,
        task: Task,
        state: TrainingState,
        device: torch.device,
        *,
        gradient_clip: float | None,
        may_shrink: bool,
        on_shrink: Callable[[int, int], None],
    ) -> None:
        """Keep what steps need.

        Args:
            task: gives the losses.
            state: is changed by steps; its `micro_batch` is the number of images on the device at once.
            device: batches go there.
            gradient_clip: largest norm of the gradient.
            may_shrink: whether memory that runs out leads to smaller micro-batches.
            on_shrink: told the size before and the new one.
        """
        self._task = task
        self._state = state
        self._device = device
        self._clip = gradient_clip
        self._on_shrink = on_shrink
        self._before = _StepStart(state, device) if may_shrink else None

    def step(self, batch: Batch, position: int) -> dict[str, Tensor]:
        """Do the step of a position; its losses as scalars on the device.

        Raises:
            OutOfGpuMemory: memory does not suffice, and the micro-batch may not or cannot be smaller.
        """
        if self._before is not None:
            self._before.remember()
        while True:
            try:
                return self._try(batch, position)
            except torch.OutOfMemoryError as error:
                text = str(error).partition("\n")[0]
            # Out of the handler the frames of the failed try are gone, and what they held is free.
            self._state.optimizer.zero_grad(set_to_none=True)
            self._state.precision.abandon_step()
            self._shrink(batch.images_count, text)

    def _try(self, batch: Batch, position: int) -> dict[str, Tensor]:
        state = self._state
        if state.micro_batch >= batch.images_count:
            losses = self._losses(batch, position)
            state.precision.backward(losses.mean)
            figures, factor = losses.figures(), None
        else:
            figures, factor = self._accumulate(batch, position)
        state.precision.step(state.optimizer, factor=factor, clip=self._clip)
        state.optimizer.zero_grad(set_to_none=True)
        return figures

    def _accumulate(self, batch: Batch, position: int) -> tuple[dict[str, Tensor], Tensor]:
        """Add up the gradients of micro-batches; the figures, and what the gradients are to be multiplied by.

        The whole batch's weight is known only at the end. Until then the sums are divided by a guess of it,
        which keeps half-precision gradients in the range that those of an unsplit batch have.
        """
        done: list[Losses] = []
        guess: Tensor | None = None
        micro_batches = batch.split(self._state.micro_batch)
        for part in micro_batches:
            losses = self._losses(part, position)
            if guess is None:
                guess = (losses.weight * len(micro_batches)).clamp(min=1)
            self._state.precision.backward(losses.total / guess)
            done.append(replace(losses, total=losses.total.detach()))  # without its graph
        assert guess is not None
        whole = added(done)
        return whole.figures(), guess / whole.weight.clamp(min=1)

    def _losses(self, batch: Batch, position: int) -> Losses:
        on_device = batch.to(self._device)
        with self._state.precision.autocast():
            return self._task.losses(self._state.model, on_device, position)

    def _shrink(self, batch_size: int, text: str) -> None:
        before = min(self._state.micro_batch, batch_size)
        if self._before is None:
            raise OutOfGpuMemory(
                f"GPU memory does not suffice for {before} images at once: {text}. Say "
                "spec.resilience.onGpuOutOfMemory: shrinkMicroBatch, a smaller spec.schedule.microBatchSize, "
                "or take a larger slice"
            )
        if before == 1:
            raise OutOfGpuMemory(
                f"GPU memory does not suffice for one image: {text}. Take a larger slice, or a smaller "
                "spec.model input size or variant"
            )
        self._before.return_to()
        if self._device.type == "cuda":
            torch.cuda.empty_cache()
        self._state.micro_batch = smaller(batch_size, before)
        self._on_shrink(before, self._state.micro_batch)


def smaller(batch_size: int, micro_batch: int) -> int:
    """The largest divisor of the batch that is at most half of the micro-batch."""
    return max(size for size in range(1, micro_batch // 2 + 1) if batch_size % size == 0)


class _StepStart:
    """What a forward pass changes, as it was when the step began."""

    def __init__(self, state: TrainingState, device: torch.device) -> None:
        # By type: copied together they are a few launches on a GPU, mixed they would be one each.
        by_type: dict[torch.dtype, list[Tensor]] = {}
        for buffer in state.model.buffers():
            by_type.setdefault(buffer.dtype, []).append(buffer)
        self._buffers = [(buffers, [one.clone() for one in buffers]) for buffers in by_type.values()]
        self._device = device
        self._generators: tuple[Tensor, Tensor | None] | None = None

    @torch.no_grad()
    def remember(self) -> None:
        for buffers, copies in self._buffers:
            torch._foreach_copy_(copies, buffers)
        cuda = torch.cuda.get_rng_state(self._device) if self._device.type == "cuda" else None
        self._generators = (torch.get_rng_state(), cuda)

    @torch.no_grad()
    def return_to(self) -> None:
        assert self._generators is not None
        for buffers, copies in self._buffers:
            torch._foreach_copy_(buffers, copies)
        torch.set_rng_state(self._generators[0])
        if self._generators[1] is not None:
            torch.cuda.set_rng_state(self._generators[1], self._device)
