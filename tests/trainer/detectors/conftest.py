"""Tasks and data sets for detector tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from support.coco_dataset import write_dataset
from support.yolox_task import MakeTask, make_manifest
from vistrain_trainer.detectors.yolox import YoloxTask
from vistrain_trainer.engine.task import TaskContext
from vistrain_trainer.engine.volumes import Volumes


@pytest.fixture(scope="session")
def data_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of 12 pictures."""
    folder = tmp_path_factory.mktemp("detectors") / "data"
    write_dataset(folder)
    return folder


@pytest.fixture
def weights_folder(tmp_path: Path) -> Path:
    """An empty folder that the claim `weights` stands for."""
    folder = tmp_path / "weights"
    folder.mkdir()
    return folder


@pytest.fixture
def make_task(data_folder: Path, weights_folder: Path) -> MakeTask:
    """Make the task of `make_manifest(**spec)`."""

    def make(**spec: Any) -> YoloxTask:
        manifest = make_manifest(**spec)
        volumes = Volumes({"data": data_folder, "weights": weights_folder}, in_pod=False)
        yolox = manifest.spec.model.yolox
        assert yolox is not None
        return YoloxTask(manifest, yolox, TaskContext(torch.device("cpu"), volumes, "fp32"))

    return make
