"""Memory for pictures that live for a moment."""

from __future__ import annotations

import numpy as np


class Scratch:
    """Buffers that are used again for every sample of a process.

    A fresh array of some megabytes costs more in page faults than most of what is done with it. Not for
    several threads at once.
    """

    def __init__(self) -> None:
        self._buffers: dict[str, np.ndarray] = {}

    def image(self, name: str, height: int, width: int) -> np.ndarray:
        """A contiguous (height, width, 3) uint8 array with arbitrary content.

        It shares its memory with the arrays given for the same name before.
        """
        size = height * width * 3
        buffer = self._buffers.get(name)
        if buffer is None or len(buffer) < size:
            buffer = self._buffers[name] = np.empty(size, np.uint8)
        return buffer[:size].reshape(height, width, 3)
