"""A YOLOX whose device runs out of memory goes on in the same process, with fewer images at once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from support.coco_dataset import write_dataset
from support.yolox_task import make_manifest
from vistrain_api.detector import DetectorTraining
from vistrain_trainer.engine.options import RunOptions
from vistrain_trainer.engine.run import run
from vistrain_trainer.engine.volumes import Volumes


class SmallDevice(TorchDispatchMode):
    """A device whose allocator has no room for a convolution's result beyond some bytes."""

    def __init__(self, room: int) -> None:
        super().__init__()
        self.room = room
        self.largest = 0
        """Bytes of the largest result that was asked for."""
        self.refused: list[bool] = []
        """For each refusal whether it was in training."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if func is torch.ops.aten.convolution.default:
            self.largest = max(self.largest, result.nbytes)
            if result.nbytes > self.room:
                self.refused.append(torch.is_grad_enabled())
                raise torch.OutOfMemoryError(f"CUDA out of memory. Tried to allocate {result.nbytes} bytes.")
        return result


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("memory") / "data"
    write_dataset(folder)
    return folder


def manifest(**schedule: Any) -> DetectorTraining:
    stated = make_manifest().spec.schedule.model_dump(mode="json", by_alias=True, exclude_none=True)
    reduced = {"epochs": 2, "warmupEpochs": 0, "noAugEpochs": 1, "precision": "fp32"}
    return make_manifest(schedule=stated | reduced | schedule)


def options(folder: Path, data: Path) -> RunOptions:
    volumes = Volumes({"data": data}, in_pod=False)
    return RunOptions(folder, volumes, device="cpu", port=0, report=False)


def last_weights(folder: Path) -> dict[str, torch.Tensor]:
    weights: dict[str, torch.Tensor] = torch.load(folder / "weights" / "last.pth", weights_only=True)["model"]
    return weights


def test_goes_on_as_if_the_smaller_size_had_been_stated(data: Path, tmp_path: Path) -> None:
    whole = SmallDevice(room=2**62)
    with whole:
        assert run(manifest(), options(tmp_path / "whole", data)) == 0
    small = SmallDevice(room=whole.largest // 2)
    with small:
        assert run(manifest(), options(tmp_path / "shrunk", data)) == 0
    assert small.refused == [True]  # an evaluation does not try what training found too large
    (event,) = [json.loads(line) for line in (tmp_path / "shrunk" / "events.jsonl").read_text().splitlines()]
    assert (event["event"], event["step"], event["before"], event["after"]) == ("microBatch", 0, 4, 2)

    with SmallDevice(room=2**62):  # in which PyTorch takes other kernels than without
        assert run(manifest(microBatchSize=2), options(tmp_path / "stated", data)) == 0
    expected = last_weights(tmp_path / "stated")
    assert all(
        torch.equal(value, expected[name]) for name, value in last_weights(tmp_path / "shrunk").items()
    )


def test_an_evaluation_is_done_again_with_fewer_images(data: Path, tmp_path: Path) -> None:
    """Training has room for two at once, the evaluation for one only."""

    class Crowded(SmallDevice):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            self.room = 2**62 if torch.is_grad_enabled() else room
            return super().__torch_dispatch__(func, types, args, kwargs)

    room = 2**62
    whole = Crowded(room=room)
    with whole:
        assert run(manifest(microBatchSize=2), options(tmp_path / "whole", data)) == 0
    room = whole.largest // 2
    small = Crowded(room=room)
    with small:
        assert run(manifest(microBatchSize=2), options(tmp_path / "small", data)) == 0
    assert small.refused == [False]  # remembered: once in two epochs and the final evaluation
    expected = last_weights(tmp_path / "whole")
    assert all(torch.equal(value, expected[name]) for name, value in last_weights(tmp_path / "small").items())
