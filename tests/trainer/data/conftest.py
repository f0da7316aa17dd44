"""Fixtures of small datasets on disk."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.coco_dataset import write_dataset


@pytest.fixture(scope="session")
def dataset_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a whole dataset of PNG pictures: annotations/train.json and images/."""
    folder = tmp_path_factory.mktemp("dataset") / "data"
    write_dataset(folder)
    return folder


@pytest.fixture
def edited(tmp_path: Path) -> Callable[..., Path]:
    """Write a dataset, let a function change its document, and give the annotation file."""

    def write(change: Callable[[dict[str, Any]], object]) -> Path:
        path = write_dataset(tmp_path / "edited")
        document = json.loads(path.read_text())
        change(document)
        path.write_text(json.dumps(document))
        return path

    return write
