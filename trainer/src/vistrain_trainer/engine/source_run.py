"""Which checkpoint `initialization.run` comes to on this machine: from the folder of that run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vistrain_api import protocol
from vistrain_api.detector import DetectorTraining
from vistrain_api.initialization import CheckpointRef, Initialization, RunRef
from vistrain_api.manifest import ManifestError, load
from vistrain_api.volumes import VolumeRef
from vistrain_trainer.engine.checkpoint import TornCheckpoint, open_checkpoint
from vistrain_trainer.engine.store import INDEX
from vistrain_trainer.errors import BadInput

_FIELD = "spec.initialization.run"


def claim_of(run: str) -> str:
    """The claim that stands for the folder of a run, in the resolved manifest."""
    return f"{run}.run"


def resolve(
    manifest: DetectorTraining, runs: Mapping[str, Path], output: Path | None = None
) -> tuple[DetectorTraining, dict[str, Path]]:
    """The manifest with a checkpoint in the place of `initialization.run`, and the folder of its claim.

    A run folder that was begun keeps the checkpoint that it was begun with, whatever has become of the other
    run since.

    Args:
        manifest: as stated.
        runs: folder by name of run, as `--run` names them.
        output: the run folder.

    Raises:
        BadInput: no folder is named for the run, or it has no such checkpoint.
    """
    reference = manifest.spec.initialization.run
    noted = manifest.metadata.annotations.get(protocol.ANNOTATION_INITIALIZATION_RUN, "")
    name = noted.partition("/")[0] if reference is None else reference.name
    strangers = sorted(set(runs) - {name})
    if strangers:
        raise BadInput(
            field="--run",
            value=strangers[0],
            problem=f"the manifest starts from {f'the run {name}' if name else 'no run'}",
            remedy=f"Say --run {name}=DIR" if name else f"State {_FIELD}, or leave --run out",
        )
    folders = {claim_of(run): folder for run, folder in runs.items()}
    if reference is None:
        return manifest, folders
    stated = f"{reference.name}/{reference.checkpoint}"
    start = _begun_with(output, stated) or _found(reference, runs)
    spec = manifest.spec.model_copy(update={"initialization": Initialization(checkpoint=start)})
    annotations = {**manifest.metadata.annotations, protocol.ANNOTATION_INITIALIZATION_RUN: stated}
    metadata = manifest.metadata.model_copy(update={"annotations": annotations})
    return manifest.model_copy(update={"spec": spec, "metadata": metadata}), folders


def _begun_with(output: Path | None, stated: str) -> CheckpointRef | None:
    """The checkpoint that the run in a folder started from, if it was chosen by the same statement."""
    if output is None or not (output / "manifest.yaml").is_file():
        return None
    try:
        begun = load(output / "manifest.yaml")
    except ManifestError:
        return None  # the run folder's own check tells
    noted = begun.metadata.annotations.get(protocol.ANNOTATION_INITIALIZATION_RUN)
    return begun.spec.initialization.checkpoint if noted == stated else None


def _found(reference: RunRef, runs: Mapping[str, Path]) -> CheckpointRef:
    folder = runs.get(reference.name)
    if folder is None:
        raise BadInput(
            field=f"{_FIELD}.name",
            value=reference.name,
            problem="no folder of this machine is named for the run",
            remedy=f"Say --run {reference.name}=DIR, such as --run {reference.name}=runs/{reference.name}",
        )
    named = _index(folder, reference).get(reference.checkpoint)
    if not named:
        raise BadInput(
            field=f"{_FIELD}.checkpoint",
            value=reference.checkpoint,
            problem=f"the run in {folder} has none yet",
            remedy="Let it go on until it has one, or say checkpoint: last"
            if reference.checkpoint == "best"
            else "Let it go on until it has one",
        )
    try:
        stored = open_checkpoint(folder / named["path"])
    except TornCheckpoint as torn:
        raise BadInput(
            field=f"{_FIELD}.checkpoint",
            value=reference.checkpoint,
            problem=f"{folder / named['path']} is not whole or was let go ({torn})",
            remedy="Say another checkpoint: `vistrain checkpoint verify` tells which are whole, and "
            "checkpoint.keep.best lets the best one stay",
        ) from torn
    return CheckpointRef(
        volume=VolumeRef(claim_name=claim_of(reference.name)),
        path=str(named["path"]),
        sha256=stored.sha256,
        optimizer=reference.optimizer,
    )


def _index(folder: Path, reference: RunRef) -> dict[str, Any]:
    path = folder / "checkpoints" / INDEX
    try:
        index = json.loads(path.read_bytes())
        return {kind: index[kind] and {"path": str(index[kind]["path"])} for kind in ("best", "last")}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInput(
            field=f"{_FIELD}.name",
            value=reference.name,
            problem=f"{folder} is not the folder of a run that has saved ({path}: {error})",
            remedy=f"Say --run {reference.name}=DIR with a run folder such as runs/{reference.name}",
        ) from error
