"""The first samples of a start as the network sees them, for TensorBoard."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from vistrain_trainer.engine.task import Batch
from vistrain_trainer.telemetry.event_file import Image
from vistrain_trainer.telemetry.tensorboard import TensorBoardMirror

if TYPE_CHECKING:
    import numpy as np

SAMPLES = 4


@runtime_checkable
class Previewable(Protocol):
    """A batch that can show its images."""

    def preview(self, count: int) -> Callable[[], list[np.ndarray]]:
        """Draws the first images, later: (H, W, 3) uint8, BGR."""
        ...


def first_samples(tensorboard: TensorBoardMirror, step: int) -> Callable[[Batch], None]:
    """Takes the batch of a start that has done so many steps; a few of its samples go to TensorBoard."""

    def take(batch: Batch) -> None:
        if isinstance(batch, Previewable):
            draw = batch.preview(SAMPLES)
            tensorboard.samples(step + 1, lambda: [_jpeg(one) for one in draw()])

    return take


def _jpeg(picture: np.ndarray) -> Image:
    import simplejpeg

    content = simplejpeg.encode_jpeg(picture, quality=85, colorspace="BGR")
    return Image(content, picture.shape[0], picture.shape[1])
