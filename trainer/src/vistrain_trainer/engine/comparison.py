"""Whether two runs are identical to the bit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vistrain_trainer.engine.checkpoint import STATE, StoredCheckpoint, TornCheckpoint, open_checkpoint
from vistrain_trainer.engine.store import CheckpointStore
from vistrain_trainer.errors import BadInput


@dataclass(frozen=True)
class PartDifference:
    """How one part of two states differs."""

    name: str
    tensors: int
    identical: bool
    differing: int = 0
    """Entries (tensors or plain values) that differ."""
    largest: float = 0.0
    """Largest absolute difference of an element."""
    where: str = ""
    """Entry that it is in, or that one side lacks."""

    def summary(self) -> str:
        """One line for a person."""
        if self.identical:
            return f"identical ({self.tensors} tensors)"
        return f"{self.differing} entries differ, by at most {self.largest:.3g} ({self.where})"


def compare(a: Path, b: Path) -> list[PartDifference]:
    """Differences by part of the newest checkpoints of two run folders (or of two checkpoint folders).

    Parts: step, model, ema, optimizer, scaler, random, judged (best values, patience, steps left out),
    policies (micro-batch, roll-backs), and weights/{best,last}.pth where a run folder has them.

    Raises:
        BadInput: there is no whole checkpoint.
    """
    first, second = _load(a), _load(b)
    parts = [
        _compare(name, first.get(name), second.get(name))
        for name in ("step", "model", "ema", "optimizer", "scaler", "random", "judged", "policies")
    ]
    for name in ("best", "last"):
        files = [run / "weights" / f"{name}.pth" for run in (a, b)]
        if any(file.is_file() for file in files):
            parts.append(_compare(f"weights/{name}.pth", *(_read(file) for file in files)))
    return parts


def _load(path: Path) -> dict[str, Any]:
    checkpoint: StoredCheckpoint | None
    problem = "there is no whole checkpoint in it"
    if (path / STATE).is_file():
        try:
            checkpoint = open_checkpoint(path)
            checkpoint.verify()
        except TornCheckpoint as torn:
            checkpoint, problem = None, str(torn)
    else:
        checkpoint = CheckpointStore(path / "checkpoints").newest_whole(lambda step, why: None)
    if checkpoint is None:
        raise BadInput(
            field="checkpoint diff",
            value=path,
            problem=problem,
            remedy="Name a run folder or a checkpoint folder",
        )
    state = checkpoint.load()
    evaluation = checkpoint.evaluation()
    if evaluation is not None:
        state["judged"] = evaluation
    state["policies"] = {name: state[name] for name in ("micro_batch", "rate_factor", "roll_backs")}
    return state


def _read(file: Path) -> Any:
    return torch.load(file, map_location="cpu", weights_only=True) if file.is_file() else None


def _compare(name: str, first: Any, second: Any) -> PartDifference:
    mine, theirs = dict(_entries(first)), dict(_entries(second))
    differing, largest, where = 0, 0.0, ""
    for key in [*mine, *(key for key in theirs if key not in mine)]:
        if key not in mine or key not in theirs:
            differing, where = differing + 1, where or f"{key} is on one side only"
            continue
        distance = _distance(mine[key], theirs[key])
        if distance is not None:
            differing += 1
            if distance > largest or not where:
                largest, where = distance, key
    tensors = sum(isinstance(value, Tensor) for value in mine.values())
    return PartDifference(name, tensors, differing == 0, differing, largest, where)


def _entries(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _entries(item, f"{path}.{key}" if path else str(key))
    elif isinstance(value, (list, tuple)):
        for number, item in enumerate(value):
            yield from _entries(item, f"{path}.{number}")
    else:
        yield path, value


def _distance(first: Any, second: Any) -> float | None:
    """None when equal to the bit; otherwise the largest difference, infinite where there is no measure."""
    if not (isinstance(first, Tensor) and isinstance(second, Tensor)):
        if type(first) is type(second) and repr(first) == repr(second):
            return None
        both = isinstance(first, (int, float)) and isinstance(second, (int, float))
        return abs(first - second) if both else float("inf")
    if first.shape != second.shape or first.dtype != second.dtype:
        return float("inf")
    if first.contiguous().flatten().view(torch.uint8).equal(second.contiguous().flatten().view(torch.uint8)):
        return None
    gap = (first.double() - second.double()).abs().nan_to_num(nan=float("inf"))
    return float(gap.max())
