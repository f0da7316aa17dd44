"""Checks of the weights that a run starts from, of its folder and of the room for its checkpoints."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from vistrain_api.dataset import DetectionSplit
from vistrain_api.digest import deciding
from vistrain_api.initialization import CheckpointRef, Weights, WeightsFile
from vistrain_api.manifest import ManifestError, load
from vistrain_api.mutability import differences
from vistrain_trainer.doctor.finding import Check, Finding
from vistrain_trainer.doctor.manifest_case import ManifestCase
from vistrain_trainer.doctor.yolox_size import footprint, gigabytes
from vistrain_trainer.engine.checkpoint import TornCheckpoint, open_checkpoint

_START = "spec.initialization"


def _initial_weights(case: ManifestCase) -> Iterator[Finding]:
    weights = case.manifest.spec.initialization.weights
    if weights is not None:
        yield from _weights_file(case, weights)
    checkpoint = case.initial_checkpoint
    if checkpoint is not None:
        yield from _checkpoint(case, checkpoint)


def stated_files(case: ManifestCase, weights: Weights) -> Iterator[tuple[str, Path, WeightsFile]]:
    """Field, path and entry of each file of weights, in the order in which they are tried."""
    field = f"{_START}.weights"
    stated: list[tuple[str, WeightsFile]] = [(field, weights)]
    stated += [(f"{field}.fallbacks[{number}]", entry) for number, entry in enumerate(weights.fallbacks)]
    for at, entry in stated:
        yield at, case.claim(entry.volume.claim_name, f"{at}.volume.claimName") / entry.path, entry


def _weights_file(case: ManifestCase, weights: Weights) -> Iterator[Finding]:
    field = f"{_START}.weights"
    looked_at = []
    for at, path, entry in stated_files(case, weights):
        looked_at.append(str(path))
        if not path.is_file():
            continue
        if entry.sha256 is not None and (found := _sha256(path)) != entry.sha256:
            yield Finding(
                severity="error",
                field=f"{at}.sha256",
                symptom="The run is refused at its start: the weights are not those stated",
                cause=f"{path} has the digest {found}, not {entry.sha256}",
                remedy="Copy the file again if it was cut short, or state this digest if it is meant",
            )
        return
    yield Finding(
        severity="error",
        field=f"{field}.path",
        symptom="The run is refused at its start: the weights are not there",
        cause=f"there is no file {' and no '.join(looked_at)}",
        remedy=f"Copy the weights there or correct {field}.path; `scratch: {{}}` starts from random ones",
    )


def _checkpoint(case: ManifestCase, reference: CheckpointRef) -> Iterator[Finding]:
    field, folder = f"{_START}.checkpoint", case.initial_folder(reference)
    try:
        stored = open_checkpoint(folder)
        if reference.sha256 is not None and stored.sha256 != reference.sha256:
            yield Finding(
                severity="error",
                field=f"{field}.sha256",
                symptom="The run is refused at its start: the checkpoint is not the one stated",
                cause=f"{folder} has the digest {stored.sha256}, not {reference.sha256}",
                remedy="Name the checkpoint that is meant, or state this digest",
            )
            return
        stored.verify()
    except TornCheckpoint as torn:
        yield Finding(
            severity="error",
            field=f"{field}.path",
            symptom="The run is refused at its start: the checkpoint is not whole",
            cause=f"{folder}: {torn}",
            remedy="Name another one: `vistrain checkpoint verify` tells which are whole",
        )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _disk(case: ManifestCase) -> Iterator[Finding]:
    needs = footprint(case.manifest.spec)
    folder = case.run_folder
    if needs is None:
        return
    spec = case.manifest.spec
    keep, epochs = spec.checkpoint.keep, spec.schedule.epochs
    checkpoints = keep.last + keep.best + 1  # one is written before another goes
    exports = (epochs // keep.every_epochs if keep.every_epochs else 0) + min(1, keep.best) + 1
    total = checkpoints * needs.checkpoint + (exports + 1) * needs.weights
    there = _bytes_under(folder / "checkpoints") + _bytes_under(folder / "weights")
    existing = next(path for path in (folder, *folder.parents) if path.is_dir())
    free = shutil.disk_usage(existing).free
    if total - there > free:
        yield Finding(
            severity="error",
            field="spec.checkpoint.keep",
            symptom="The run ends with exit code 74 when the volume is full",
            cause=f"{checkpoints} checkpoints of {gigabytes(needs.checkpoint)} and {exports} files of "
            f"weights of {gigabytes(needs.weights)} take {gigabytes(total)}; {existing} has "
            f"{gigabytes(free)} free" + (f" and {gigabytes(there)} of it already" if there else ""),
            remedy="Make room, give the claim a larger volume, or lower spec.checkpoint.keep.last"
            + (f" or raise keep.everyEpochs from {keep.every_epochs}" if keep.every_epochs else ""),
        )


def _bytes_under(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _resume(case: ManifestCase) -> Iterator[Finding]:
    folder = case.run_folder
    begun_with = folder / "manifest.yaml"
    if folder == case.folder or not begun_with.is_file():
        return
    try:
        old = load(begun_with).spec
    except ManifestError as error:
        yield Finding(
            severity="error",
            field="spec.checkpoint.path",
            symptom=f"Nobody can tell whether {folder} belongs to this manifest",
            cause=f"{begun_with} is no manifest that this version reads: {error}",
            remedy="Name another spec.checkpoint.path, or restore the file",
        )
        return
    new = case.manifest.spec
    changed = [path for path in differences(old, new) if path.split(".")[0] in deciding(new)]
    if not changed:
        return
    was = (old.dataset.train, old.dataset.validation)
    present = (new.dataset.train, new.dataset.validation)
    swapped = None not in was and _annotations(present) == _annotations(was[::-1]) != _annotations(was)
    yield Finding(
        severity="error",
        field="spec.dataset.train.annotations" if swapped else f"spec.{changed[0]}",
        symptom=f"Going on with the run in {folder} is refused with exit code 64",
        cause="The annotations of train and validation have changed places since it began"
        if swapped
        else f"It began with other values of {', '.join(f'spec.{path}' for path in changed[:5])}",
        remedy="Restore what changed, or begin a new run under another spec.checkpoint.path or --output",
    )


def _annotations(splits: tuple[DetectionSplit | None, ...]) -> list[str | None]:
    return [None if split is None else split.annotations for split in splits]


CHECKS = (
    Check(
        "initial-weights",
        "the file or checkpoint that the run starts from, with `--volume`",
        "weights that are missing or not those stated; a checkpoint that is not whole",
        _initial_weights,
    ),
    Check(
        "disk",
        "free space of the checkpoint volume, with `--volume`",
        "a disk too small for the checkpoints and weights to be kept",
        _disk,
    ),
    Check(
        "resume",
        "the run folder that the manifest would go on with, with `--volume`",
        "a run begun with other settings, such as train and validation annotations swapped",
        _resume,
    ),
)
