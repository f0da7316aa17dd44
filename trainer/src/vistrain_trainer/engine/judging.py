"""An evaluation under way: the state left alone, memory that runs out, stop requests, signs of life."""

from __future__ import annotations

import math
from collections.abc import Callable

import structlog
import torch
from torch import nn

from vistrain_trainer.engine.modes import evaluating
from vistrain_trainer.engine.randomness import unchanged_randomness
from vistrain_trainer.engine.signals import request
from vistrain_trainer.engine.stages import stage
from vistrain_trainer.engine.state import TrainingState
from vistrain_trainer.engine.task import Task
from vistrain_trainer.errors import OutOfGpuMemory

log = structlog.get_logger()

Judge = Callable[[nn.Module, Callable[[], bool]], dict[str, float | None]]
"""From a model, and what to ask between batches, to its metrics."""


@torch.no_grad()
def judged(
    task: Task, state: TrainingState, judge: Judge, alive: Callable[[int], None]
) -> dict[str, float | None]:
    """What `judge(model, should_stop)` says of the evaluated model; generators and modes stay as they are.

    An evaluation has no more images on the device than a training step has. When memory runs out all the
    same, it is done again with half as many, which the state remembers.

    Args:
        task: is told how many images at once.
        state: its evaluated model is judged.
        judge: see above.
        alive: told before each batch how many were asked for so far.

    Raises:
        OutOfGpuMemory: memory does not suffice for one image.
        Interrupted: a stop request came between two batches.
    """
    asked = 0

    def should_stop() -> bool:
        nonlocal asked
        asked += 1
        alive(asked)
        stage("evaluate.batch")
        return request()

    model = state.evaluated_model
    state.evaluation_batch = min(state.evaluation_batch, state.micro_batch)
    while True:
        task.evaluate_in(state.evaluation_batch)
        try:
            with unchanged_randomness(), state.precision.autocast(), evaluating(model):
                results = judge(model, should_stop)
            return {name: _finite(value) for name, value in results.items()}
        except torch.OutOfMemoryError as error:
            text = str(error).partition("\n")[0]
        if state.evaluation_batch == 1:
            raise OutOfGpuMemory(
                f"GPU memory does not suffice to evaluate one image: {text}. Take a larger slice"
            )
        state.evaluation_batch //= 2
        log.warning("GPU memory ran out in the evaluation", images_at_once=state.evaluation_batch)
        if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
            torch.cuda.empty_cache()


def _finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)
