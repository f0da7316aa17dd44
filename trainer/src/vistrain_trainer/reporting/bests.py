"""The best epochs of a run by several measures, with the files that are left of them."""

from __future__ import annotations

from dataclasses import dataclass

from vistrain_trainer.engine.checkpoint import TornCheckpoint, open_checkpoint
from vistrain_trainer.engine.store import CheckpointStore
from vistrain_trainer.reporting.gap import VALIDATION
from vistrain_trainer.reporting.history import History
from vistrain_trainer.reporting.stability import TOTAL


@dataclass(frozen=True)
class BestEpoch:
    """Where one curve was best."""

    measure: str
    """Column of metrics.csv."""
    value: float
    epoch: int
    step: int | None
    """None where the length of an epoch is unknown."""
    checkpoint: str
    """Folder in the run folder; empty when it is not kept."""
    weights: str
    """File of weights in the run folder; empty when there is none."""


@dataclass(frozen=True)
class KeptCheckpoint:
    """A checkpoint that is there."""

    step: int
    epoch: int
    saved_at: str
    sha256: str
    """Of its state."""
    path: str
    """Relative to the run folder."""


def best_epochs(history: History) -> tuple[BestEpoch, ...]:
    """By training loss, validation loss, and the primary metric; those that have a value."""
    ends = dict(history.over_epochs("step").points)
    kept = {one.step: one.path for one in kept_checkpoints(history)}
    best = history.over_epochs(history.primary).best(history.mode(history.primary))
    found = []
    for name in dict.fromkeys((history.primary, VALIDATION, TOTAL)):
        point = history.over_epochs(name).best(history.mode(name))
        if point is None:
            continue
        step = int(ends[point.at]) if point.at in ends else None
        names = [f"epoch-{point.at}.pth"]
        if best is not None and point.at == best.at:
            names.insert(0, "best.pth")
        if point.at == history.trained_epochs and history.outcome is not None:
            names.append("last.pth")
        files = [f"weights/{one}" for one in names if (history.folder / "weights" / one).is_file()]
        found.append(
            BestEpoch(name, point.value, point.at, step, kept.get(step or 0, ""), next(iter(files), ""))
        )
    return tuple(found)


def kept_checkpoints(history: History) -> tuple[KeptCheckpoint, ...]:
    """The checkpoints in the run folder, oldest first; their states are not read, torn ones left out."""
    store = CheckpointStore(history.folder / "checkpoints")
    found = []
    for step in store.steps():
        try:
            one = open_checkpoint(store.path(step))
            reference = one.reference()
            kept = KeptCheckpoint(
                step, int(one.meta["epoch"]), reference.saved_at, one.sha256, reference.path
            )
        except (TornCheckpoint, OSError, KeyError, ValueError):
            continue
        found.append(kept)
    return tuple(found)
