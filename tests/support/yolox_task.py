"""A small manifest for detector tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from support.coco_dataset import CLASSES
from vistrain_api.detector import DetectorTraining
from vistrain_api.manifest import parse
from vistrain_trainer.detectors.yolox import YoloxTask


def make_manifest(**spec: Any) -> DetectorTraining:
    """A small YOLOX-nano run; keyword arguments replace whole fields of its spec."""
    split = {"annotations": "annotations/train.json", "images": "images"}
    base: dict[str, Any] = {
        "model": {"yolox": {"variant": "nano", "inputSize": {"height": 64, "width": 96}}},
        "initialization": {"scratch": {}},
        "dataset": {
            "volume": {"claimName": "data"},
            "train": split,
            "validation": split,
            "classes": list(CLASSES),
            "loader": {"workers": 0},
        },
        "schedule": {
            "epochs": 4,
            "batchSize": 4,
            "learningRate": {"peak": 0.01},
            "warmupEpochs": 1,
            "noAugEpochs": 1,
        },
        "checkpoint": {"volume": {"claimName": "checkpoints"}},
        "resources": {"accelerator": {"cpu": {}}, "cpu": 1, "memory": "4Gi", "sharedMemory": "1Gi"},
    }
    document = {
        "apiVersion": "vistrain.dev/v1alpha1",
        "kind": "DetectorTraining",
        "metadata": {"name": "small"},
        "spec": base | spec,
    }
    return parse(document)


MakeTask = Callable[..., YoloxTask]
