"""A copy of the training state that later steps cannot touch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


class Snapshotter:
    """Copies nested states into host memory that is allocated once and used again.

    On a CPU the copy is complete when `take` returns. On CUDA the copies are queued into pinned memory before
    any later work on the stream, so that no later step can change what they read; `Snapshot.wait` waits for
    them. Only one snapshot is alive at a time: the next `take` writes over it.
    """

    def __init__(self) -> None:
        self._buffers: dict[tuple[str, ...], Tensor] = {}

    def take(self, state: Any) -> Snapshot:
        """Copy all tensors of a nested state (dict, list, tuple); other values are kept as they are."""
        on_cuda = False

        def copy(value: Any, path: tuple[str, ...]) -> Any:
            nonlocal on_cuda
            if isinstance(value, Tensor):
                on_cuda = on_cuda or value.is_cuda
                buffer = self._buffer(path, value)
                buffer.copy_(value.detach(), non_blocking=value.is_cuda)
                return buffer
            if isinstance(value, dict):
                return {key: copy(item, (*path, str(key))) for key, item in value.items()}
            if isinstance(value, (list, tuple)):
                items = [copy(item, (*path, str(number))) for number, item in enumerate(value)]
                return items if isinstance(value, list) else tuple(items)
            return value

        copied = copy(state, ())
        if not on_cuda:
            return Snapshot(copied, lambda: None)
        event = torch.cuda.Event()  # type: ignore[no-untyped-call]
        event.record()
        return Snapshot(copied, event.synchronize)

    def _buffer(self, path: tuple[str, ...], value: Tensor) -> Tensor:
        buffer = self._buffers.get(path)
        if buffer is None or buffer.shape != value.shape or buffer.stride() != value.stride():
            buffer = torch.empty_like(value, device="cpu", pin_memory=value.is_cuda, requires_grad=False)
            self._buffers[path] = buffer
        return buffer


class Snapshot:
    """A state in host memory, complete once `wait` has returned."""

    def __init__(self, state: Any, wait: Callable[[], object]) -> None:
        self.state = state
        self._wait = wait

    def wait(self) -> Any:
        """Wait for the copies; the state."""
        self._wait()
        return self.state
