"""Tools of the doctor's tests: healthy data, manifests for it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from support.coco_dataset import CLASSES, write_dataset
from vistrain_api.manifest import parse
from vistrain_trainer.doctor.examine import Diagnosis, examine
from vistrain_trainer.doctor.finding import Finding


@pytest.fixture
def volumes(tmp_path: Path) -> dict[str, Path]:
    """A data set of 12 images to train on and 6 to judge by, and an empty checkpoint volume."""
    write_dataset(tmp_path / "data" / "train", images=12, suffix=".png", info={})
    write_dataset(tmp_path / "data" / "val", images=6, suffix=".jpg", info={})
    (tmp_path / "checkpoints").mkdir()
    return {"data": tmp_path / "data", "checkpoints": tmp_path / "checkpoints"}


def healthy() -> dict[str, Any]:
    """The values of a manifest that nothing is wrong with."""
    return {
        "apiVersion": "vistrain.dev/v1alpha1",
        "kind": "DetectorTraining",
        "metadata": {"name": "small"},
        "spec": {
            "model": {"yolox": {"variant": "nano", "inputSize": {"height": 64, "width": 96}}},
            "initialization": {"scratch": {}},
            "dataset": {
                "volume": {"claimName": "data"},
                "train": {"annotations": "train/annotations/train.json", "images": "train/images"},
                "validation": {"annotations": "val/annotations/train.json", "images": "val/images"},
                "classes": list(CLASSES),
                "loader": {"workers": 0},
            },
            "schedule": {"epochs": 12, "batchSize": 4, "learningRate": {"peak": 0.01}},
            "checkpoint": {"volume": {"claimName": "checkpoints"}},
            "resources": {"accelerator": {"cpu": {}}, "cpu": 1, "memory": "4Gi", "sharedMemory": "1Gi"},
        },
    }


@pytest.fixture(scope="session")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that has trained the healthy manifest's model for two epochs: steps 3 and 6."""
    from vistrain_trainer.engine.options import RunOptions
    from vistrain_trainer.engine.run import run
    from vistrain_trainer.engine.volumes import Volumes

    folder = tmp_path_factory.mktemp("earlier")
    write_dataset(folder / "data" / "train", images=12)
    write_dataset(folder / "data" / "val", images=2)
    values = changed(
        {
            "schedule.epochs": 2,
            "schedule.warmupEpochs": 0,
            "schedule.noAugEpochs": 0,
            "evaluation.primaryMetric": {"name": "valLoss", "mode": "min"},  # there is a best in any case
        }
    )
    options = RunOptions(folder / "run", Volumes({"data": folder / "data"}, in_pod=False), port=0)
    assert run(parse(values), options) == 0
    return folder / "run"


@pytest.fixture
def weights(volumes: Mapping[str, Path], earlier: Path) -> Path:
    """Its last weights, as `weights.pth` beside the data."""
    path = volumes["data"] / "weights.pth"
    path.write_bytes((earlier / "weights" / "last.pth").read_bytes())
    return path


Diagnose = Callable[..., Diagnosis]


@pytest.fixture
def diagnose(tmp_path: Path, volumes: Mapping[str, Path]) -> Diagnose:
    """Examines the healthy manifest with settings such as `{"schedule.epochs": 5}`; None removes a field."""

    def go(settings: Mapping[str, Any] | None = None, **folders: Path) -> Diagnosis:
        path = tmp_path / "manifest.yaml"
        path.write_text(json.dumps(changed(settings or {})))
        return examine(path, {**volumes, **folders})

    return go


def changed(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The healthy values with fields of the spec replaced; None removes a field."""
    values = healthy()
    for place, value in settings.items():
        *parents, last = place.split(".")
        target = values["spec"]
        for key in parents:
            target = target.setdefault(key, {})
        if value is None:
            del target[last]
        else:
            target[last] = value
    return values


Only = Callable[[Diagnosis], Finding]


@pytest.fixture
def only() -> Only:
    """The one finding of a diagnosis."""

    def go(diagnosis: Diagnosis) -> Finding:
        assert len(diagnosis.findings) == 1, diagnosis.findings
        return diagnosis.findings[0]

    return go


@pytest.fixture
def values_with() -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    """`changed`, for tests."""
    return changed
