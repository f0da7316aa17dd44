"""Fitted images kept in memory that all processes of a run share."""

from __future__ import annotations

import mmap
import multiprocessing
from typing import Any

import numpy as np

from vistrain_trainer.data.fitted import FittedImages


class MemoryStore:
    """Images of one split in anonymous shared memory; an `ImageStore`.

    It must be made before the workers are forked: what one of them has decoded, the others then have. The
    pages are the kernel's shared memory but not part of /dev/shm; they count towards the container's memory
    as they are filled.
    """

    def __init__(self, images: FittedImages[Any], budget: int) -> None:
        """Reserve room for the first images of a split, as many as fit into ``budget`` bytes."""
        self._sizes = [images.size(index) for index in range(len(images))]
        self._ends = np.cumsum(images.lengths())
        self.capacity = int(np.searchsorted(self._ends, budget, side="right"))
        """How many images fit."""
        self.bytes = int(self._ends[self.capacity - 1]) if self.capacity else 0
        """What they take."""
        self._pixels = np.frombuffer(mmap.mmap(-1, max(self.bytes, 1)), np.uint8)
        self._filled = np.frombuffer(mmap.mmap(-1, max(self.capacity, 1)), np.uint8)
        # It also orders memory: who sees the mark under the lock sees the pixels too, on any CPU.
        self._lock = multiprocessing.get_context("fork").Lock()

    def get(self, index: int) -> np.ndarray | None:
        """The image; None where it is not kept."""
        if index >= self.capacity:
            return None
        with self._lock:
            filled = self._filled[index]
        if not filled:
            return None
        image = self._room(index)
        image.flags.writeable = False
        return image

    def put(self, index: int, image: np.ndarray) -> None:
        """Keep an image. Two processes that do so at once write the same bytes."""
        if index >= self.capacity:
            return
        np.copyto(self._room(index), image)
        with self._lock:
            self._filled[index] = 1

    def flush(self) -> None:
        """Nothing to do: all processes see it at once."""

    def _room(self, index: int) -> np.ndarray:
        height, width = self._sizes[index]
        end = int(self._ends[index])
        return self._pixels[end - height * width * 3 : end].reshape(height, width, 3)
