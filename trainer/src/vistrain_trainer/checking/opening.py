"""Finding and reading of prepared data sets below a path."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from vistrain_trainer.checking.coco_content import read_coco
from vistrain_trainer.checking.content import Content, Split
from vistrain_trainer.checking.mot_content import read_mot
from vistrain_trainer.checking.yolo_content import read_yolo
from vistrain_trainer.data import manifest as manifests
from vistrain_trainer.data.manifest import MANIFEST, DatasetManifest
from vistrain_trainer.data.progress import Progress, silent
from vistrain_trainer.errors import BadInput

_FORMATS = ("coco", "yolo", "mot")
_REMEDY = "Name a folder that `vistrain prepare` made, or one that holds several of them"


def find(path: Path) -> tuple[Path, ...]:
    """Folders of the data sets at a path: itself, or those directly below it, by name.

    Raises:
        BadInput: there is none.
    """
    path = path.absolute()
    folder = path.parent if path.name == MANIFEST else path
    if not folder.is_dir():
        _refuse(path, "there is no such folder", _REMEDY)
    if _is_prepared(folder):
        return (folder,)
    found = tuple(sorted(below for below in folder.iterdir() if below.is_dir() and _is_prepared(below)))
    checked = tuple(one for one in found if manifests.read(one / MANIFEST).format in _FORMATS)
    if not checked:
        _refuse(folder, f"there is no {MANIFEST} in it, nor in a folder of it", _REMEDY)
    return checked


def read_content(folder: Path, progress: Progress = silent) -> Content:
    """Read a data set.

    Raises:
        BadInput: it is of a layout that is not checked, or one of its files is faulty.
    """
    manifest = manifests.read(folder / MANIFEST)
    if manifest.format not in _FORMATS:
        remedy = "Check what is prepared of it, as one of " + ", ".join(_FORMATS)
        if manifest.format == "nuscenes":
            remedy = f"Prepare it: vistrain prepare nuscenes --root {folder} --out data/prepared"
        _refuse(folder, f"it is of format {manifest.format}, which is not checked", remedy)
    if not manifest.splits:
        _refuse(folder / MANIFEST, "it names no split", "Prepare the data set again")
    readers: dict[str, Callable[[Path, DatasetManifest, Progress], dict[str, Split]]] = {
        "coco": _read_coco,
        "yolo": read_yolo,
        "mot": _read_mot,
    }
    return Content(folder, manifest, readers[manifest.format](folder, manifest, progress))


def _read_coco(folder: Path, manifest: DatasetManifest, progress: Progress) -> dict[str, Split]:
    bins = manifest.source.kind == "nuscenes"
    with progress(f"reading {folder.name}", len(manifest.splits)) as advance:
        splits = {}
        for name in manifest.splits:
            path = folder / "annotations" / f"{name}.json"
            splits[name] = read_coco(path, name, manifest.classes, bins=bins)
            advance(1)
    return splits


def _read_mot(folder: Path, manifest: DatasetManifest, progress: Progress) -> dict[str, Split]:
    total = sum(record.counts.sequences or 0 for record in manifest.splits.values())
    with progress(f"reading the sequences of {folder.name}", total) as advance:
        return {name: read_mot(folder, name, manifest, advance) for name in manifest.splits}


def _is_prepared(folder: Path) -> bool:
    return (folder / MANIFEST).is_file() and manifests.is_ours(folder / MANIFEST)


def _refuse(path: Path, problem: str, remedy: str) -> NoReturn:
    raise BadInput(field="ARTIFACT", value=str(path), problem=problem, remedy=remedy)
