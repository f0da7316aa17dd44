"""The quick start learns: real data, real command line, real network."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml

from vistrain_api.manifest import parse, read_yaml
from vistrain_trainer.detectors import task_for
from vistrain_trainer.engine.task import TaskContext
from vistrain_trainer.engine.volumes import Volumes

QUICKSTART = Path(__file__).parents[2] / "examples" / "quickstart.yaml"


def vistrain(*arguments: str) -> None:
    """Run the command line, as its users do."""
    command = [str(Path(sys.executable).with_name("vistrain")), *arguments]
    subprocess.run(command, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})


@pytest.fixture(scope="module")
def volume(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The volume `driving-world`, made by the command that the quick start names."""
    root = tmp_path_factory.mktemp("driving-world")
    line = next(text for text in QUICKSTART.read_text().splitlines() if "vistrain prepare" in text)
    vistrain(*line.replace("DIR", str(root)).split()[2:])
    return root


def test_an_untrained_network_finds_nothing(volume: Path) -> None:
    """Even when every detection counts, however unsure."""
    document = read_yaml(QUICKSTART.read_text())
    document["spec"]["evaluation"] = {"confidence": 0}
    context = TaskContext(torch.device("cpu"), Volumes({"driving-world": volume}, in_pod=False), "fp32")
    task = task_for(parse(document), context)
    torch.manual_seed(0)
    found = task.evaluate(task.build(), lambda: False)
    assert found["AP50"] is not None
    assert found["AP50"] < 0.05


def test_the_quick_start_learns(volume: Path, tmp_path: Path) -> None:
    arguments = ("--volume", f"driving-world={volume}", "--output", str(tmp_path / "run"), "--device", "cpu")
    vistrain("run", "-f", str(QUICKSTART), *arguments, "--port", "0")
    status = yaml.safe_load((tmp_path / "run" / "status.yaml").read_text())
    assert status["phase"] == "Succeeded"
    assert status["best"]["metric"] == "AP"
    assert status["results"]["AP50"] >= 0.3
