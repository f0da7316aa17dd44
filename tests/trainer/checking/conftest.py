"""Prepared data sets of the synthetic world, and copies of them with one thing wrong."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.checks import Document, change_manifest, sign
from vistrain_trainer.data.classes import PRESETS
from vistrain_trainer.data.digests import sha256_of
from vistrain_trainer.data.manifest import MANIFEST, digest_of, read
from vistrain_trainer.data.nuscenes.options import PrepareOptions
from vistrain_trainer.data.nuscenes.prepare import prepare_nuscenes
from vistrain_trainer.data.synthetic import SyntheticOptions, make_synthetic
from vistrain_trainer.data.world.release import ReleaseOptions, write_release

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


@pytest.fixture(scope="session")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A nuScenes release of two scenes of six samples, one of them to train on, with all pictures."""
    folder = tmp_path_factory.mktemp("release") / "nuscenes"
    options = ReleaseOptions(
        version="v1.0-mini",
        scenes=2,
        samples=6,
        cameras=("CAM_FRONT", "CAM_BACK"),
        height=45,
        width=80,
        seed=0,
        pictures="all",
        sensors="cameras",
        dropped_sweeps=0.0,
        dropped_keyframes=0.0,
    )
    write_release(options, folder)
    return folder


@pytest.fixture(scope="session")
def prepared(release: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """COCO and MOT of the release, whose pictures stay where they are."""
    out = tmp_path_factory.mktemp("prepared") / "prepared"
    options = PrepareOptions(root=release, cameras=("CAM_FRONT", "CAM_BACK"), formats=("coco", "mot"))
    prepare_nuscenes(options, out)
    return out


@pytest.fixture
def changed_mot(prepared: Path, tmp_path: Path) -> Callable[..., Path]:
    """Copy the MOT data set, change its files, and sign the manifest anew; its counts stay."""

    def make(change: Callable[[Path], object], **manifest: Any) -> Path:
        folder = tmp_path / "changed"
        shutil.copytree(prepared / "mot", folder)
        change(folder)
        files = {name: sha256_of(folder / name) for name in read(folder / MANIFEST).files}
        change_manifest(folder, **{"files": files, "digest": digest_of(files), **manifest})
        return folder

    return make
