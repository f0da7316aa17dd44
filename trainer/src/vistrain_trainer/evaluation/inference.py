"""What a detector finds in the images of a split or of a folder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from vistrain_trainer.data.fitted import FittedImages
from vistrain_trainer.data.loader import EvaluationBatch, evaluation_batches
from vistrain_trainer.data.source import StoredImages
from vistrain_trainer.engine.modes import evaluating
from vistrain_trainer.engine.signals import Interrupted
from vistrain_trainer.evaluation.postprocess import Detections, detections
from vistrain_trainer.evaluation.thresholds import Thresholds


class Predicted(NamedTuple):
    """What a detector says of a batch."""

    boxes: Tensor
    """(B, A, 4) cx, cy, w, h in input pixels."""
    scores: Tensor
    """(B, A, classes)."""
    loss: Tensor
    """Scalar: the loss summed over the batch."""
    weight: int
    """What the loss is to be divided by, once summed over the split."""


Predict = Callable[[Tensor, Tensor], Predicted]
"""From (B, 3, H, W) uint8 images and (B, n, 5) labels, on the device, to what the detector says."""


@dataclass(frozen=True)
class InferenceOptions:
    """How images come to the network."""

    height: int
    """Of the network's input, in pixels."""
    width: int
    batch_size: int
    """Images at once."""
    workers: int
    """Processes that read images."""
    device: torch.device
    """The model's."""
    pin_memory: bool
    """Whether images are to lie in pinned memory."""


@dataclass(frozen=True)
class Inferred:
    """What was found."""

    rows: np.ndarray
    """(n, 7) float64 image id, x, y, w, h in the image's own pixels, score, class index; in the order of the
    images, in each the best first."""
    loss: float | None
    """Summed over the images and divided by its summed weight, so that it does not depend on the size of
    batches; None where it is not finite, and of several detectors."""


@torch.no_grad()
def infer(
    source: StoredImages | FittedImages[Any],
    model: nn.Module,
    predict: Predict,
    thresholds: Thresholds,
    options: InferenceOptions,
    should_stop: Callable[[], bool],
    advance: Callable[[int], None] = lambda images: None,
) -> Inferred:
    """Run a model over images. Uses no randomness and leaves the model as it was.

    Args:
        source: the images, and their labels where there are any, fitted already or not.
        model: put into eval mode for the while.
        predict: what `model` says of a batch.
        thresholds: what counts as a detection.
        options: how images come to the network.
        should_stop: asked before each batch.
        advance: told after each batch how many images it had.

    Raises:
        Interrupted: `should_stop()` was true between two batches.
        BadInput: an image cannot be read.
        LoaderWorkerLost: a worker died.
    """
    rows, losses, weight = [np.zeros((0, 7))], [], 0
    images = (
        source if isinstance(source, FittedImages) else FittedImages(source, options.height, options.width)
    )
    batches = evaluation_batches(
        images,
        options.batch_size,
        workers=options.workers,
        pin_memory=options.pin_memory,
    )
    with batches, evaluating(model):
        for batch in batches:
            if should_stop():
                raise Interrupted("evaluation")
            predicted = predict(
                batch.images.to(options.device, non_blocking=True),
                batch.labels.to(options.device, non_blocking=True),
            )
            found = detections(predicted.boxes, predicted.scores, thresholds)
            rows += [to_rows(one, batch, place) for place, one in enumerate(found)]
            losses.append(predicted.loss)
            weight += predicted.weight
            advance(len(batch.image_ids))
    loss = float(torch.stack(losses).cpu().double().sum()) / max(weight, 1)
    return Inferred(np.concatenate(rows), loss if np.isfinite(loss) else None)


def to_rows(found: Detections, batch: EvaluationBatch, place: int) -> np.ndarray:
    """(n, 7) float64 image id, x, y, w, h in the image's own pixels, clipped to it, score, class index."""
    height, width = batch.sizes[place]
    corners = np.clip(found.boxes.astype(np.float64) / batch.ratios[place], 0, [width, height, width, height])
    return np.column_stack(
        (
            np.full(len(corners), batch.image_ids[place], np.float64),
            corners[:, :2],
            corners[:, 2:] - corners[:, :2],
            found.scores.astype(np.float64),
            found.classes,
        )
    )
