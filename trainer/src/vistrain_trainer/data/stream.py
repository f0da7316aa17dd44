"""The sample stream: which image is at which position of training."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from vistrain_trainer.data.randomness import Purpose, generator


@dataclass(frozen=True, slots=True)
class SampleKey:
    """Everything a worker needs to make one training sample.

    The sample is a function of its key, the seed and the settings. Whether it is augmented and its input size
    (pixels) travel with it, so that a worker that runs ahead never asks for the state of the main process.
    """

    index: int
    """Index of the image in the dataset."""
    position: int
    """Place in the stream over the whole training, 0-based."""
    epoch: int
    augment: bool
    """False in the no-aug tail: mosaic, mixup and affine are off."""
    height: int
    width: int


STRIDE = 32
"""Input sizes are multiples of the network's coarsest stride."""


@dataclass(frozen=True)
class Heights:
    """Input heights that are drawn in training: multiples of 32 from ``least`` to ``most``, both included."""

    least: int
    most: int
    every_steps: int
    """Steps that one height lasts."""

    def at(self, seed: int, step: int) -> int:
        """The height at a step; it depends on the seed and on ``step // every_steps`` only."""
        random = generator(seed, Purpose.SIZE, step // self.every_steps)
        return STRIDE * int(random.integers(-(-self.least // STRIDE), self.most // STRIDE + 1))


@dataclass(frozen=True)
class SampleStream:
    """The keys of a whole training, with random access by step.

    Each epoch is its own permutation of the images, cut to whole batches; an epoch of fewer images than one
    batch is one batch that goes round the permutation. The last ``no_aug_epochs`` epochs are not augmented.
    Heights, where they are drawn, are so in all epochs; the width follows by the aspect of the base size, in
    multiples of 32 (YOLOX).
    """

    images: int
    batch_size: int
    seed: int
    epochs: int
    no_aug_epochs: int
    height: int
    """Of the base input size; likewise `width`."""
    width: int
    heights: Heights | None = None
    """None: every batch has the base size."""

    def __post_init__(self) -> None:
        if (
            min(self.images, self.batch_size, self.epochs, self.height, self.width) < 1
            or self.no_aug_epochs < 0
        ):
            raise ValueError(f"sizes must be positive: {self}")

    @property
    def steps_per_epoch(self) -> int:
        """Optimiser steps in one epoch, at least 1."""
        return max(1, self.images // self.batch_size)

    @property
    def total_steps(self) -> int:
        """Optimiser steps in all epochs."""
        return self.steps_per_epoch * self.epochs

    def epoch_of(self, step: int) -> int:
        """The epoch (0-based) that a global step belongs to."""
        return step // self.steps_per_epoch

    def size_at(self, step: int) -> tuple[int, int]:
        """(height, width) of the batch of one global step, in pixels."""
        if self.heights is None:
            return self.height, self.width
        height = self.heights.at(self.seed, step)
        return height, max(STRIDE, STRIDE * int(height // STRIDE * (self.width / self.height)))

    def keys_for_step(self, step: int) -> list[SampleKey]:
        """The batch of one global step, 0-based; it depends on nothing that ran before.

        Raises:
            IndexError: the step is outside the training.
        """
        if not 0 <= step < self.total_steps:
            raise IndexError(f"step {step} is outside 0..{self.total_steps - 1}")
        epoch = self.epoch_of(step)
        order = _order(self.images, self.seed, epoch)
        first = (step - epoch * self.steps_per_epoch) * self.batch_size
        height, width = self.size_at(step)
        augment = epoch < self.epochs - self.no_aug_epochs
        return [
            SampleKey(
                index=int(order[(first + offset) % self.images]),
                position=step * self.batch_size + offset,
                epoch=epoch,
                augment=augment,
                height=height,
                width=width,
            )
            for offset in range(self.batch_size)
        ]


@lru_cache(maxsize=2)
def _order(images: int, seed: int, epoch: int) -> np.ndarray:
    return generator(seed, Purpose.ORDER, epoch).permutation(images)
