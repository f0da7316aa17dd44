"""Starting a run from the checkpoint of another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vistrain_api.detector import DetectorTraining
from vistrain_api.initialization import CheckpointRef
from vistrain_trainer.engine.checkpoint import StoredCheckpoint, TornCheckpoint, open_checkpoint
from vistrain_trainer.engine.state import TrainingState
from vistrain_trainer.engine.task import Task
from vistrain_trainer.engine.volumes import Volumes
from vistrain_trainer.errors import BadInput

FIELD = "spec.initialization.checkpoint"
_ENTRIES = {"SGD": ("momentum_buffer",), "AdamW": ("exp_avg", "exp_avg_sq", "step")}


def start_from_checkpoint(
    manifest: DetectorTraining, task: Task, volumes: Volumes, state: TrainingState
) -> list[str]:
    """Give a state at step 0 the weights of the checkpoint that the manifest names; notes on what was loaded.

    With `optimizer: keep` the optimiser, the loss scaler and the age of the average go on too. Nothing is
    done where the manifest names no checkpoint.

    Raises:
        BadInput: it is not whole, not the one that is meant, or does not fit.
    """
    if manifest.spec.initialization.run is not None:  # whoever calls the engine resolves it first
        raise BadInput(
            field="spec.initialization.run",
            value=manifest.spec.initialization.run.name,
            problem="it was not resolved to a checkpoint, and the run would start from random weights",
            remedy="Say --run NAME=DIR, or state spec.initialization.checkpoint",
        )
    reference = manifest.spec.initialization.checkpoint
    if reference is None:
        return []
    found = _open(reference, volumes)
    stored, source = found.load(), str(found.folder)
    identity = found.meta["task"]
    notes = task.load(state.model, stored["model"], source, identity)
    if state.average is not None:
        weights = stored["model"] if stored["ema"] is None else stored["ema"]["weights"]
        task.load(state.average.model, weights, source, identity)
    if reference.optimizer == "keep":
        notes += _keep_optimizer(task, state, found, stored)
    return notes


def _open(reference: CheckpointRef, volumes: Volumes) -> StoredCheckpoint:
    folder = volumes.folder(reference.volume.claim_name, f"{FIELD}.volume.claimName") / reference.path
    try:
        found = open_checkpoint(folder)
        if reference.sha256 not in (None, found.sha256):
            raise BadInput(
                field=f"{FIELD}.sha256",
                value=reference.sha256,
                problem=f"{folder} has the digest {found.sha256}",
                remedy="Name the checkpoint that is meant, or state this digest",
            )
        found.verify()
    except (TornCheckpoint, OSError) as error:
        raise BadInput(
            field=f"{FIELD}.path",
            value=reference.path,
            problem=f"{folder} is not a whole checkpoint ({error})",
            remedy="Name a folder such as runs/a/checkpoints/step-000000120: see `vistrain checkpoint list`",
        ) from error
    return found


def _keep_optimizer(
    task: Task, state: TrainingState, found: StoredCheckpoint, stored: Mapping[str, Any]
) -> list[str]:
    problem = _misfit(task, state, found, stored)
    if problem is not None:
        raise BadInput(
            field=f"{FIELD}.optimizer",
            value="keep",
            problem=f"{found.folder} {problem}",
            remedy="Say optimizer: fresh, or train what that run trained with the same optimiser",
        )
    # Its settings (decay, momentum) are those of this run's manifest.
    state.restore_optimizer({**state.optimizer.state_dict(), "state": stored["optimizer"]["state"]})
    notes = [f"the optimiser goes on as it was at step {found.step}"]
    if state.average is not None and stored["ema"] is not None:
        state.average.updates = stored["ema"]["updates"]
    if stored["scaler"] and found.meta["precision"] == state.precision.name:
        state.precision.restore(dict(stored["scaler"]))
    return notes


def _misfit(
    task: Task, state: TrainingState, found: StoredCheckpoint, stored: Mapping[str, Any]
) -> str | None:
    """Why the stored optimiser cannot go on with this model."""
    ours, theirs = task.identity().get("classes"), found.meta["task"].get("classes")
    if ours != theirs:
        return f"has the classes {theirs}, this run {ours}"
    own = state.model.state_dict()
    for name, value in stored["model"].items():
        if name not in own or own[name].shape != value.shape:
            return f"is of another model ({name} does not fit)"
    kept = {tuple(sorted(entry)) for entry in stored["optimizer"]["state"].values()}
    kind = type(state.optimizer).__name__
    if kept - {_ENTRIES[kind]}:
        return f"has another optimiser than {kind}"
    return None
