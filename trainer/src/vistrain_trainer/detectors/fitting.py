"""Whether initial weights fit a run's model, which is laid out on the meta device and takes no memory."""

from __future__ import annotations

from pathlib import Path

import torch

from vistrain_api.detector import DetectorTrainingSpec
from vistrain_api.initialization import Weights
from vistrain_trainer.detectors import weights_file, yolox_weights
from vistrain_trainer.detectors.weights_file import NamedWeights
from vistrain_trainer.detectors.yolox_model import YoloxModel
from vistrain_trainer.engine.checkpoint import StoredCheckpoint


def check_weights(spec: DetectorTrainingSpec, path: Path, field: str) -> None:
    """See that enough of a file of weights fits. Its digest is not looked at.

    Raises:
        BadInput: it holds no weights, or fewer than `initialization.weights.minMatched` fit.
    """
    stated = spec.initialization.weights
    floor = Weights.model_fields["min_matched"].default if stated is None else stated.min_matched
    _check(spec, weights_file.read(path, field), floor, f"{field}.path")


def check_checkpoint(spec: DetectorTrainingSpec, stored: StoredCheckpoint, field: str) -> None:
    """See that enough of another run's checkpoint fits. Raises BadInput."""
    classes = tuple(stored.meta["task"]["classes"])
    weights = NamedWeights(dict(stored.load()["model"]), str(stored.folder), classes)
    _check(spec, weights, Weights.model_fields["min_matched"].default, field)


def _check(spec: DetectorTrainingSpec, weights: NamedWeights, floor: float, field: str) -> None:
    yolox = spec.model.yolox
    if yolox is None:
        return
    with torch.device("meta"):
        model = YoloxModel(yolox.variant, len(spec.dataset.classes))
    yolox_weights.load_weights(
        model, weights, variant=yolox.variant, classes=spec.dataset.classes, floor=floor, field=field
    )
