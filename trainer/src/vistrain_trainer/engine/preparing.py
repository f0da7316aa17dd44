"""Making the data set that a manifest's dataset.prepare names, by however many processes at once.

Each process works in a folder of its own and gives it the data set's name at the end. Whoever comes first
wins: the others have made the same. So nobody ever reads half of one, and a pod on a lost node does no harm.
"""

from __future__ import annotations

import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from vistrain_api.dataset import DetectionDataset
from vistrain_api.preparation import SPLITS_FILES, Camera, NuScenesPreparation
from vistrain_trainer.data.digests import sha256_of
from vistrain_trainer.data.manifest import MANIFEST, DatasetManifest, read
from vistrain_trainer.data.progress import Progress, silent
from vistrain_trainer.engine import prepared
from vistrain_trainer.engine.files import rename_over, storage_faults, sync_folder, volume_failure
from vistrain_trainer.engine.volumes import Volumes
from vistrain_trainer.errors import BadInput, StorageFault

_STATED = "spec.dataset.prepare.nuscenes"
_FIELDS = {
    "--root": "spec.dataset.volume",
    "--version": f"{_STATED}.version",
    "--cameras": f"{_STATED}.cameras",
    "--classes": "spec.dataset.classes",
    "--splits": f"{_STATED}.splits",
    "--visibility": f"{_STATED}.visibility",
}
"""Fields of a manifest by the option that they stand for."""


@dataclass(frozen=True)
class Made:
    """A data set that is whole."""

    folder: Path
    manifest: DatasetManifest
    before: bool
    """Whether it was there already."""

    def sentence(self) -> str:
        """What it holds, such as `train: 12 images, 30 boxes; val: 4 images, 9 boxes`."""
        counts = {name: split.counts for name, split in self.manifest.splits.items()}
        told = [f"{name}: {each.images} images, {each.annotations} boxes" for name, each in counts.items()]
        dropped = sum(self.manifest.dropped.values())
        return "; ".join(told) + (f"; {dropped} boxes left out" if dropped else "")


def make(dataset: DetectionDataset, volumes: Volumes, progress: Progress = silent) -> Made:
    """Make the data set, unless it is there and whole.

    Args:
        dataset: a manifest's, with a `prepare`.
        volumes: where its claim is, and where runs keep what they share.
        progress: told how far it is; what it raises ends the work.

    Raises:
        BadInput: the raw data, or what is asked of them, are not as they must be.
        StorageFault: the checkpoint volume is full or failed.
    """
    volume = dataset.volume
    root = volumes.folder(volume.claim_name, "spec.dataset.volume.claimName", volume.sub_path)
    target = prepared.folder_of(dataset, volumes.shared)
    found = _whole(target)
    if found is not None:
        return Made(target, found, before=True)
    with storage_faults(f"preparing {target}"):
        target.parent.mkdir(parents=True, exist_ok=True)
        work = target.with_name(f".{target.name}.{secrets.token_hex(4)}.partial")
        try:
            _prepare(dataset, root, work, progress)
            _place(work, target)
        except Exception:
            if _whole(target) is None:
                raise
            # Another process was quicker, and has swept this one's folder away.
        finally:
            shutil.rmtree(work, ignore_errors=True)
        _sweep(target)
    made = _whole(target)
    if made is None:
        raise RuntimeError(f"{target} is not whole right after it was made")
    return Made(target, made, before=False)


def _whole(folder: Path) -> DatasetManifest | None:
    """The manifest of the data set in a folder; None where it is not there, or a file is not as it says."""
    path = folder / "coco" / MANIFEST
    if not path.is_file():
        return None
    try:
        manifest = read(path)
        same = all(sha256_of(path.parent / name) == digest for name, digest in manifest.files.items())
    except BadInput:  # it is torn, or lacks a file
        return None
    return manifest if same else None


def _prepare(dataset: DetectionDataset, root: Path, work: Path, progress: Progress) -> None:
    from vistrain_trainer.data.nuscenes.options import PrepareOptions
    from vistrain_trainer.data.nuscenes.prepare import prepare_nuscenes

    assert dataset.prepare is not None
    stated = dataset.prepare.nuscenes
    try:
        options = PrepareOptions(
            root=root,
            version=stated.version,
            cameras=tuple(camera for camera in get_args(Camera) if camera in stated.cameras),
            classes=tuple(dataset.classes),
            splits=str(root / stated.splits) if stated.splits.endswith(SPLITS_FILES) else stated.splits,
            formats=("coco",),
            sweeps=stated.sweeps,
            visibility=tuple(stated.visibility),
            projection=stated.projection,
            pictures="none",
        )
        made = prepare_nuscenes(options, work, progress)["coco"]
        _require_splits(stated, made)
    except BadInput as error:
        _raise_fault(error, root)
        if error.field not in _FIELDS:
            raise
        raise BadInput(
            field=_FIELDS[error.field], value=error.value, problem=error.problem, remedy=error.remedy
        ) from error


def _raise_fault(error: BadInput, root: Path) -> None:
    """Raise StorageFault where a volume failed: trying again may help, correcting the data does not."""
    behind = volume_failure(error)
    if behind is not None:
        raise StorageFault(
            f"reading {behind.filename or root}: {behind.strerror}. Nothing is known of the raw data yet: "
            "look at the volume"
        ) from error


def _require_splits(stated: NuScenesPreparation, made: DatasetManifest) -> None:
    """See that there is something to train on, and something to judge by."""
    missing = [name for name in ("train", "val") if name not in made.splits]
    if missing:
        raise BadInput(
            field=f"{_STATED}.splits",
            value=stated.splits,
            problem=f"the release has no scene of {' and none of '.join(missing)}",
            remedy="Complete the release, or name a file of splits with scenes that are there",
        )


def _place(work: Path, target: Path) -> None:
    try:
        work.rename(target)  # refused where a folder is that holds something
    except OSError:
        if _whole(target) is not None:  # another process was quicker
            return
        rename_over(work, target)
    sync_folder(target.parent)


def _sweep(target: Path) -> None:
    """Remove what killed processes left. One that still works finds its folder gone, and the data whole."""
    for left in target.parent.glob(f".{target.name}.*.partial"):
        shutil.rmtree(left, ignore_errors=True)
