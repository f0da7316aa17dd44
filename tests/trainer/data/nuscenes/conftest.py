"""A small synthetic release, as its tables stand, as we read it and as the devkit does."""

from __future__ import annotations

from pathlib import Path

import pytest
from nuscenes.nuscenes import NuScenes

from vistrain_trainer.data.nuscenes.reader import read_release
from vistrain_trainer.data.nuscenes.release import Release
from vistrain_trainer.data.world.cameras import RIG
from vistrain_trainer.data.world.release import ReleaseOptions, write_release

OPTIONS = ReleaseOptions(
    version="v1.0-mini",
    scenes=3,
    samples=8,
    cameras=tuple(RIG),
    height=900,
    width=1600,
    seed=5,
    pictures="none",
    dropped_sweeps=0.05,
    dropped_keyframes=0.1,
    dropped_annotations=0.1,
)


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The release's folder; not to be written to."""
    folder = tmp_path_factory.mktemp("release") / "nuscenes"
    write_release(OPTIONS, folder)
    return folder


@pytest.fixture(scope="session")
def release(root: Path) -> Release:
    """All cameras, sweeps too."""
    return read_release(root, None, (), sweeps=True)


@pytest.fixture(scope="session")
def devkit(root: Path) -> NuScenes:
    """The devkit's own reading."""
    return NuScenes("v1.0-mini", str(root), verbose=False)
