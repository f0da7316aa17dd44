"""COCO evaluation of a detector on one split."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from vistrain_trainer.data.coco import CocoDetection
from vistrain_trainer.data.fitted import FittedImages
from vistrain_trainer.evaluation.coco_metrics import GroundTruth, metrics
from vistrain_trainer.evaluation.inference import InferenceOptions, Predict, infer
from vistrain_trainer.evaluation.thresholds import Thresholds


class DetectionEvaluator:
    """Judges models on one split. Uses no randomness and leaves models as they were."""

    def __init__(
        self,
        dataset: CocoDetection,
        thresholds: Thresholds,
        options: InferenceOptions,
        images: FittedImages[CocoDetection] | None = None,
    ) -> None:
        """Keep what is needed; the ground truth is read at the first evaluation.

        Args:
            dataset: the split.
            thresholds: what counts as a detection.
            options: how images come to the network.
            images: the split at the network's input size where it is kept in a cache.
        """
        self.dataset = dataset
        self.thresholds = thresholds
        self.options = options
        self.images = images or FittedImages(dataset, options.height, options.width)
        self._truth: GroundTruth | None = None

    def __call__(
        self, model: nn.Module, predict: Predict, should_stop: Callable[[], bool]
    ) -> dict[str, float | None]:
        """The metrics of a model: COCO's figures, those of each class, and `valLoss`.

        Raises:
            Interrupted: `should_stop()` was true between two batches.
            BadInput: an image cannot be read.
            LoaderWorkerLost: a worker died.
        """
        found = infer(self.images, model, predict, self.thresholds, self.options, should_stop)
        if self._truth is None:
            self._truth = GroundTruth(self.dataset.raw, self.dataset.category_ids)
        curves = self._truth.curves(found.rows)
        return {**metrics(curves, self.dataset.category_ids, self.dataset.classes), "valLoss": found.loss}
