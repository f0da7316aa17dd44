"""YOLOX as the engine's task."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vistrain_api.detector import DetectorTraining
from vistrain_api.initialization import Weights
from vistrain_api.model import Yolox
from vistrain_api.schedule import LossWeights
from vistrain_trainer.data.coco import CocoDetection
from vistrain_trainer.data.fitted import FittedImages
from vistrain_trainer.detectors import weights_file, yolox_weights
from vistrain_trainer.detectors.detection_data import DetectionBatch, DetectionBatches, DetectionData
from vistrain_trainer.detectors.parameter_groups import split_by_decay
from vistrain_trainer.detectors.weights_file import NamedWeights
from vistrain_trainer.detectors.yolox_loss import PartWeights, loss_sums
from vistrain_trainer.detectors.yolox_model import YoloxModel, part_of, parts
from vistrain_trainer.engine.losses import Losses
from vistrain_trainer.engine.task import Batch, ParameterGroup, TaskContext
from vistrain_trainer.evaluation.detection import DetectionEvaluator
from vistrain_trainer.evaluation.inference import InferenceOptions, Predict, Predicted
from vistrain_trainer.evaluation.source import WeightsSource
from vistrain_trainer.evaluation.thresholds import Thresholds


class YoloxTask:
    """Training of a YOLOX on COCO data; implements `vistrain_trainer.engine.task.Task`."""

    def __init__(self, manifest: DetectorTraining, yolox: Yolox, context: TaskContext) -> None:
        """Read and check the data.

        Raises:
            BadInput: the data is not as stated.
        """
        self._spec = manifest.spec
        self._yolox = yolox
        self._context = context
        self._classes = tuple(self._spec.dataset.classes)
        self._data = DetectionData(self._spec, yolox.input_size, context)
        self.steps_per_epoch = self._data.stream.steps_per_epoch
        schedule = self._spec.schedule
        self._l1_from = self.steps_per_epoch * (schedule.epochs - schedule.no_aug_epochs)
        self._part_weights = part_weights(schedule.loss_weights)
        self._notes: list[str] = []
        self._evaluate_validation = self._evaluator(self._data.validation)
        self._evaluate_test = None if self._data.test is None else self._evaluator(self._data.test)

    def identity(self) -> Mapping[str, Any]:
        """Digests of the splits' annotations, and the classes in order."""
        return {"data": self._data.digests(), "classes": list(self._classes)}

    def preparations(self) -> Sequence[Mapping[str, Any]]:
        """How the splits were prepared, as far as manifests on the volume tell."""
        return self._data.preparations()

    def batches(self, first: int, end: int) -> DetectionBatches:
        """Batches of the positions [first, end); workers are forked in the call."""
        return self._data.training_batches(first, end, pin_memory=self._context.pin_memory)

    def build(self, *, initialize: bool = True) -> YoloxModel:
        """The model with the stated initial weights, or any where those are not asked for, in train mode.

        Fresh weights are drawn on the CPU, so that a seed gives the same ones on every device.

        Raises:
            BadInput: the weights are missing, not those stated, or do not fit.
        """
        model = YoloxModel(self._yolox.variant, len(self._classes))
        initialization = self._spec.initialization
        if not initialize:
            self._notes = []
        elif initialization.weights is not None:
            self._notes = self._start_from(model, initialization.weights)
        elif initialization.scratch is not None:
            self._notes = [f"random weights of seed {self._spec.schedule.seed}"]
        model.to(memory_format=torch.channels_last)
        return model.to(self._context.device).train()

    def load(
        self, model: nn.Module, state: Mapping[str, Tensor], source: str, identity: Mapping[str, Any]
    ) -> list[str]:
        """Load the weights of a run with this identity by name and shape; say what was loaded.

        Raises:
            BadInput: too little fits.
        """
        return yolox_weights.load_weights(
            model,
            NamedWeights(dict(state), source, tuple(identity["classes"])),
            variant=self._yolox.variant,
            classes=self._classes,
            floor=Weights.model_fields["min_matched"].default,
            field="spec.initialization.checkpoint",
        )

    def initialization_notes(self) -> list[str]:
        """What `build` loaded."""
        return list(self._notes)

    def parameter_groups(self, model: nn.Module) -> list[ParameterGroup]:
        """For backbone, neck and head each: convolutions with decay, norm weights and all biases without."""
        optimizer = self._spec.schedule.optimizer
        stated = optimizer.sgd or optimizer.adamw
        decay = 0.0 if stated is None else stated.weight_decay
        return split_by_decay(model, part_of, decay)

    def parts(self, model: nn.Module) -> Mapping[str, Sequence[nn.Module]]:
        """Backbone, neck and head."""
        assert isinstance(model, YoloxModel)
        return parts(model)

    def losses(self, model: nn.Module, batch: Batch, position: int) -> Losses:
        """The loss of images and boxes.

        L1 is on in the no-aug epochs. The position alone tells, so that a resumed run has it where an
        untouched one does.
        """
        assert isinstance(batch, DetectionBatch)
        predictions = model(batch.images)
        sums = loss_sums(predictions, batch.labels, l1=position >= self._l1_from)
        return sums.weighted(self._part_weights)

    def evaluate_in(self, images: int) -> None:
        """From now on evaluations have that many images on the device at once."""
        for evaluator in filter(None, (self._evaluate_validation, self._evaluate_test)):
            evaluator.options = replace(evaluator.options, batch_size=images)

    def evaluate(self, model: nn.Module, should_stop: Callable[[], bool]) -> dict[str, float | None]:
        """COCO's figures on the validation split, each class's, and `valLoss` (without the L1 term)."""
        return self._evaluate_validation(model, self._predictor(model), should_stop)

    def examine(
        self, model: nn.Module, folder: Path, source: WeightsSource, should_stop: Callable[[], bool]
    ) -> dict[str, float | None]:
        """Judge a model in full on validation and test split; the metrics of the latter, prefixed `test/`."""
        from vistrain_trainer.evaluation.examination import examine_model

        on_test: dict[str, float | None] = {}
        for split, evaluator in (("validation", self._evaluate_validation), ("test", self._evaluate_test)):
            if evaluator is None:
                continue
            examined = examine_model(
                evaluator, model, self._predictor(model), should_stop, split, source, self._context.precision
            )
            examined.write(folder / split)
            if split == "test":
                on_test = {f"test/{name}": value for name, value in examined.artifact.metrics.items()}
        return on_test

    def export(self, state: Mapping[str, Tensor]) -> dict[str, Any]:
        """A checkpoint in upstream's form."""
        size = self._yolox.input_size
        return yolox_weights.export(
            state,
            variant=self._yolox.variant,
            classes=self._classes,
            input_size=(size.height, size.width),
        )

    def _start_from(self, model: nn.Module, weights: Weights) -> list[str]:
        path, field, entry = weights_file.find(weights, self._context.volumes)
        named = weights_file.read(path, field, entry.sha256)
        return yolox_weights.load_weights(
            model,
            named,
            variant=self._yolox.variant,
            classes=self._classes,
            floor=weights.min_matched,
            field=f"{field}.path",
        )

    def _evaluator(self, images: FittedImages[CocoDetection]) -> DetectionEvaluator:
        evaluation = self._spec.evaluation
        return DetectionEvaluator(
            images.dataset,
            Thresholds(evaluation.confidence, evaluation.nms_iou, evaluation.max_detections),
            InferenceOptions(
                height=self._yolox.input_size.height,
                width=self._yolox.input_size.width,
                batch_size=self._spec.schedule.batch_size,
                workers=self._spec.dataset.loader.workers,
                device=self._context.device,
                pin_memory=self._context.pin_memory,
            ),
            images,
        )

    def _predictor(self, model: nn.Module) -> Predict:
        return predictor(model, self._part_weights)


def predictor(model: nn.Module, weights: PartWeights) -> Predict:
    """What a YoloxModel says of images: boxes, scores, and its loss without the L1 term."""

    def predict(images: Tensor, labels: Tensor) -> Predicted:
        predictions = model(images)
        losses = loss_sums(predictions, labels, l1=False).weighted(weights)
        with torch.autocast(images.device.type, enabled=False):
            return Predicted(predictions.boxes(), predictions.scores(), losses.total, int(losses.weight))

    return predict


def part_weights(stated: LossWeights | None) -> PartWeights:
    """What the manifest says the parts of the loss weigh."""
    given = {} if stated is None else stated.model_dump(exclude_none=True)
    return PartWeights(**given)
