"""A prepared data set of the synthetic world, and copies of it with one thing wrong."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.checks import Document, change_manifest, sign
from vistrain_trainer.data.synthetic import SyntheticOptions, make_synthetic
from vistrain_trainer.data.world.catalogue import PRESETS

Change = Callable[[dict[str, Document]], object]


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """COCO of five scenes with two samples of two cameras each: four to train on, one to validate."""
    folder = tmp_path_factory.mktemp("world") / "world"
    options = SyntheticOptions(
        scenes=5,
        samples=2,
        cameras=("CAM_FRONT", "CAM_BACK"),
        height=128,
        width=224,
        classes=PRESETS["nuscenes-tracking"],
        seed=0,
    )
    make_synthetic(options, folder)
    return folder


@pytest.fixture
def spoilt(world: Path, tmp_path: Path) -> Callable[..., Path]:
    """Copy the world, change its documents by split, and sign the manifest anew, with counts that fit.

    `manifest` changes members of the manifest after that; without `signed` it stays as it was.
    """

    def make(change: Change, *, signed: bool = True, **manifest: Any) -> Path:
        folder = tmp_path / "spoilt"
        shutil.copytree(world, folder)
        paths = {path.stem: path for path in (folder / "annotations").glob("*.json")}
        documents = {name: json.loads(path.read_text()) for name, path in paths.items()}
        before = copy.deepcopy(documents)
        change(documents)
        for name, path in paths.items():
            if documents[name] != before[name]:
                path.write_text(json.dumps(documents[name]))
        if signed:
            sign(folder, documents)
            change_manifest(folder, **manifest)
        return folder

    return make
