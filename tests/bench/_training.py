"""A YOLOX and its engine: what the training benchmarks measure on."""

from __future__ import annotations

import contextlib
import itertools
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from vistrain_api.manifest import parse, read_yaml
from vistrain_trainer.data.synthetic import SyntheticOptions, make_synthetic
from vistrain_trainer.detectors import task_for
from vistrain_trainer.engine.assembly import assemble
from vistrain_trainer.engine.checkpointing import Checkpointer
from vistrain_trainer.engine.fence import Fence
from vistrain_trainer.engine.loop import Loop
from vistrain_trainer.engine.options import RunOptions
from vistrain_trainer.engine.plan import Plan
from vistrain_trainer.engine.runfolder import RunFolder
from vistrain_trainer.engine.startup import build_state, prepare
from vistrain_trainer.engine.state import TrainingState
from vistrain_trainer.engine.store import CheckpointStore
from vistrain_trainer.engine.task import Task
from vistrain_trainer.engine.volumes import Volumes
from vistrain_trainer.telemetry.console import LiveLine, configure_logging
from vistrain_trainer.telemetry.metrics import TrainerMetrics
from vistrain_trainer.telemetry.progress import ProgressBoard
from vistrain_trainer.telemetry.tensorboard import TensorBoardMirror

ROOT = Path(__file__).parents[2]
CLASSES = ("car", "truck", "trailer", "bus", "construction_vehicle", "bicycle", "motorcycle")


@dataclass
class Bench:
    """What a run has in its hands when it trains."""

    task: Task
    state: TrainingState
    loop: Loop
    checkpointer: Checkpointer
    batches: Iterator[Any]
    device: torch.device


class _Again:
    """The same few batches for ever, already decoded."""

    def __init__(self, batches: list[Any]) -> None:
        self._cycle = itertools.cycle(batches)

    def __iter__(self) -> _Again:
        return self

    def __next__(self) -> Any:
        return next(self._cycle)

    def batch(self, position: int) -> Any:
        """As the engine asks for it."""
        return next(self._cycle)

    def close(self) -> None:
        """Nothing to end."""


def make_world(folder: Path, height: int, width: int) -> None:
    """A small data set with pictures of a size."""
    options = SyntheticOptions(
        scenes=8, samples=8, cameras=("CAM_FRONT",), height=height, width=width, classes=CLASSES, seed=0
    )
    make_synthetic(options, folder)


@contextlib.contextmanager
def bench(
    variant: str,
    height: int,
    width: int,
    batch: int,
    *,
    world: Path | None = None,
    root: Path | None = None,
    settings: dict[str, dict[str, Any]] | None = None,
) -> Iterator[Bench]:
    """An engine on the best device here.

    Args:
        variant: of YOLOX.
        height: of the input, in pixels.
        width: likewise.
        batch: images in a step.
        world: a data set, whose batches are then read from the disk; without one they are made beforehand.
        root: an existing folder for the run folder, and so for caches; a temporary one when not given.
        settings: fields of the manifest's spec to change, by section.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    manifest = read_yaml((ROOT / "examples" / "quickstart.yaml").read_text())
    spec = manifest["spec"]
    spec["model"] = {"yolox": {"variant": variant, "inputSize": {"height": height, "width": width}}}
    spec["schedule"] |= {"epochs": 100_000, "batchSize": batch, "precision": "auto", "determinism": "fast"}
    spec["checkpoint"]["interval"] = "24h"
    spec["dataset"]["loader"] = {"workers": 0}
    spec["dataset"]["volume"].pop("subPath", None)
    spec["resources"]["cpu"] = torch.get_num_threads()
    for section, values in (settings or {}).items():
        spec.setdefault(section, {}).update(values)
    with contextlib.ExitStack() as stack:
        root = root or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        read = world is not None
        if world is None:
            world = root / "world"
            make_world(world, height, width)
        configure_logging(json_lines=True)
        run = parse(manifest)
        options = RunOptions(
            root / f"run-{os.getpid()}", Volumes({"driving-world": world}, in_pod=False), device=device
        )
        board = ProgressBoard(attempt=1)
        folder = RunFolder(options.output, run)
        folder.open()
        fence = Fence.take(folder.path / "fence", None)
        prepared = prepare(run, options, {}, board, task_for)
        batches: Any
        if read:
            batches = prepared.task.batches(0, 10**6)
            stack.callback(batches.close)
        else:
            with contextlib.closing(prepared.task.batches(0, 4)) as made:
                batches = _Again([one.to(prepared.machine.device) for one in made])
        state = build_state(run, prepared, options)
        tensorboard = TensorBoardMirror(folder.path, fence.token.sequence)
        stack.callback(tensorboard.close)
        store = CheckpointStore(folder.path / "checkpoints")
        store.prepare()
        # An epoch that never ends: evaluation is no part of a step.
        prepared.task.steps_per_epoch = 10**7
        parts = assemble(
            run,
            options,
            prepared,
            Plan.of(run.spec.schedule, prepared.task.steps_per_epoch),
            state,
            batches,
            store,
            folder,
            fence,
            board,
            TrainerMetrics(board.progress),
            tensorboard,
            live=stack.enter_context(LiveLine(1)),
            restored=None,
        )
        stack.callback(parts.checkpointer.close)
        yield Bench(prepared.task, state, parts.loop, parts.checkpointer, batches, prepared.machine.device)


def synchronize(device: torch.device) -> None:
    """Wait for the device's queue."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
