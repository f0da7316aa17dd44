"""Run folders: really trained ones, and hand-made ones for the odd cases."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from support.artifacts import examine_made_up
from support.coco_dataset import CLASSES, write_dataset
from support.yolox_task import make_manifest
from vistrain_trainer.engine import signals
from vistrain_trainer.engine.options import RunOptions
from vistrain_trainer.engine.run import run
from vistrain_trainer.engine.signals import request
from vistrain_trainer.engine.volumes import Volumes


@pytest.fixture(scope="session")
def interrupted(tiny: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 3 epochs of 4 steps: stopped after step 5, killed after step 7, then finished."""
    folder = tmp_path_factory.mktemp("runs") / "interrupted"

    class Stopping(tiny.TinyTask):  # type: ignore[name-defined, misc]
        def losses(self, model: Any, batch: Any, step: int) -> Any:
            if step == 4:
                request.requested_at, request.signal_name = 1.0, "SIGTERM"
            return super().losses(model, batch, step)

    assert run(tiny.tiny_manifest(), tiny.tiny_options(folder), Stopping) == 75
    signals.request.__init__()  # type: ignore[misc]
    killed = subprocess.run(  # before the row of step 8 and the save of epoch 2
        [sys.executable, str(tiny.__file__), str(folder)],
        env={**os.environ, "OMP_NUM_THREADS": "1", "VISTRAIN_TEST_SIGNALS": "step@8=KILL"},
        capture_output=True,
        check=False,
    )
    assert killed.returncode == -9, killed.stderr
    assert run(tiny.tiny_manifest(), tiny.tiny_options(folder), tiny.TinyTask) == 0
    return folder


@pytest.fixture(scope="session")
def untouched(tiny: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same for 4 epochs with another seed, begun once, best in epoch 2, evaluated on a test split too."""
    folder = tmp_path_factory.mktemp("runs") / "untouched"
    split = {"annotations": "test.json", "images": "images"}
    manifest = tiny.tiny_manifest(schedule__epochs=4, schedule__seed=1, dataset__test=split)

    def make(*arguments: Any) -> Any:
        return tiny.TinyTask(*arguments, values={1: 0.2, 2: 0.5, 3: 0.5, 4: 0.3, 5: 0.45})

    assert run(manifest, tiny.tiny_options(folder), make) == 0
    return folder


@pytest.fixture(scope="session")
def yolox(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A YOLOX-nano trained for 2 epochs of 3 steps; it has judged itself and written its own report."""
    data = tmp_path_factory.mktemp("data")
    write_dataset(data / "world")
    folder = tmp_path_factory.mktemp("runs") / "yolox"
    schedule = {"epochs": 2, "batchSize": 4, "learningRate": {"peak": 0.01}, "precision": "fp32"}
    manifest = make_manifest(schedule=schedule | {"warmupEpochs": 1, "noAugEpochs": 1})
    volumes = Volumes({"data": data / "world"}, in_pod=False)
    assert run(manifest, RunOptions(folder, volumes, device="cpu", log_every=1, port=0)) == 0
    return folder


@pytest.fixture(scope="session")
def judged(interrupted: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interrupted run, with the evaluation of a detector that finds something."""
    data = tmp_path_factory.mktemp("data") / "world"
    annotations = write_dataset(data)
    folder = tmp_path_factory.mktemp("runs") / "judged"
    shutil.copytree(interrupted, folder)
    examine_made_up(annotations, data / "images", CLASSES).write(folder / "evaluation" / "validation")
    return folder


@pytest.fixture
def copy(interrupted: Path, tmp_path: Path) -> Path:
    """A copy of the interrupted run, to be damaged."""
    target = tmp_path / "copy"
    shutil.copytree(interrupted, target, ignore=shutil.ignore_patterns("checkpoints", "weights"))
    return target


@pytest.fixture
def made(tiny: ModuleType, tmp_path: Path) -> Callable[..., Path]:
    """Makes a run folder of given rows; settings as those of `tiny_manifest`."""

    def make(
        rows: Sequence[Mapping[str, object]] = (),
        attempts: Sequence[Mapping[str, object]] = (),
        name: str = "made",
        **settings: Any,
    ) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        values = tiny.tiny_manifest(**settings).model_dump(mode="json", by_alias=True, exclude_none=True)
        values["metadata"]["name"] = name
        (folder / "manifest.yaml").write_text(json.dumps(values))
        if rows:
            with (folder / "metrics.csv").open("w", newline="") as file:
                table = csv.DictWriter(file, list(dict.fromkeys(key for row in rows for key in row)))
                table.writeheader()
                table.writerows(rows)
        text = "".join(json.dumps(row) + "\n" for row in attempts)
        (folder / "attempts.jsonl").write_text(text)
        return folder

    return make


@pytest.fixture
def told() -> Callable[..., dict[str, object]]:
    """A row of attempts.jsonl, at a second of the day."""

    def row(attempt: int, event: str, second: int, **values: object) -> dict[str, object]:
        time = f"2026-01-01T{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}.000Z"
        return {"attempt": attempt, "token": attempt, "node": "a", "event": event, "time": time, **values}

    return row
