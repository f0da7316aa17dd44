"""COCO evaluation of a detector on one split."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from vistrain_trainer.data.coco import CocoDetection
from vistrain_trainer.data.loader import EvaluationBatch, evaluation_batches
from vistrain_trainer.engine.modes import evaluating
from vistrain_trainer.engine.signals import Interrupted
from vistrain_trainer.evaluation.coco_metrics import GroundTruth, metrics
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


class DetectionEvaluator:
    """Judges models on one split. Uses no randomness and leaves models as they were."""

    def __init__(
        self,
        dataset: CocoDetection,
        thresholds: Thresholds,
        *,
        height: int,
        width: int,
        batch_size: int,
        workers: int,
        device: torch.device,
        pin_memory: bool,
    ) -> None:
        """Keep what is needed; the ground truth is read at the first evaluation.

        Args:
            dataset: the split.
            thresholds: what counts as a detection.
            height: of the network's input, in pixels.
            width: likewise.
            batch_size: images at once.
            workers: processes that read images.
            device: the models'.
            pin_memory: whether images are to lie in pinned memory.
        """
        self._dataset = dataset
        self._thresholds = thresholds
        self._size = (height, width)
        self._batch_size = batch_size
        self._workers = workers
        self._device = device
        self._pin_memory = pin_memory
        self._truth: GroundTruth | None = None

    @torch.no_grad()
    def __call__(
        self, model: nn.Module, predict: Predict, should_stop: Callable[[], bool]
    ) -> dict[str, float | None]:
        """The metrics of a model: COCO's figures, those of each class, and `valLoss`.

        `valLoss` is the loss summed over the split and divided by its summed weight, so that it does not
        depend on the size of batches.

        Raises:
            Interrupted: `should_stop()` was true between two batches.
            BadInput: an image cannot be read.
            LoaderWorkerLost: a worker died.
        """
        rows, losses, weight = [np.zeros((0, 7))], [], 0
        batches = evaluation_batches(
            self._dataset,
            *self._size,
            self._batch_size,
            workers=self._workers,
            pin_memory=self._pin_memory,
        )
        with batches, evaluating(model):
            for batch in batches:
                if should_stop():
                    raise Interrupted("evaluation")
                predicted = predict(
                    batch.images.to(self._device, non_blocking=True),
                    batch.labels.to(self._device, non_blocking=True),
                )
                found = detections(predicted.boxes, predicted.scores, self._thresholds)
                rows += [to_rows(one, batch, place) for place, one in enumerate(found)]
                losses.append(predicted.loss)
                weight += predicted.weight
        if self._truth is None:
            self._truth = GroundTruth(self._dataset.raw, self._dataset.category_ids)
        curves = self._truth.curves(np.concatenate(rows))
        loss = float(torch.stack(losses).double().sum()) / max(weight, 1)
        return {
            **metrics(curves, self._dataset.category_ids, self._dataset.classes),
            "valLoss": loss if np.isfinite(loss) else None,
        }


def to_rows(found: Detections, batch: EvaluationBatch, place: int) -> np.ndarray:
    """(n, 7) float64 image id, x, y, w, h in the image's own pixels, clipped to it, score, class index."""
    height, width = batch.sizes[place]
    corners = found.boxes.double().cpu().numpy() / batch.ratios[place]
    corners = np.clip(corners, 0, [width, height, width, height])
    return np.column_stack(
        (
            np.full(len(corners), batch.image_ids[place], np.float64),
            corners[:, :2],
            corners[:, 2:] - corners[:, :2],
            found.scores.double().cpu().numpy(),
            found.classes.cpu().numpy(),
        )
    )
