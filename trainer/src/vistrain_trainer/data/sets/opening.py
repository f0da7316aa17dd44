"""Finding of a data set: what a path, or several, are meant to be."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from vistrain_trainer.data import manifest as manifests
from vistrain_trainer.data.manifest import MANIFEST, DatasetManifest
from vistrain_trainer.data.progress import Progress, silent
from vistrain_trainer.data.rebalance.journal import require_settled
from vistrain_trainer.data.sets import coco
from vistrain_trainer.data.sets.stated import DetectionSet
from vistrain_trainer.data.yolo import reading
from vistrain_trainer.data.yolo.data_file import DATA_FILES, SPLITS, read_data_file
from vistrain_trainer.data.yolo.labels import STRICT, Leniency
from vistrain_trainer.errors import BadInput

_YAML = (".yaml", ".yml")


def open_set(
    data: Sequence[str],
    images: Sequence[str] = (),
    *,
    leniency: Leniency = STRICT,
    field: str = "DATA",
    progress: Progress = silent,
) -> DetectionSet:
    """Read all of a data set.

    Args:
        data: a data.yaml, a prepared folder, or COCO annotation files, as `SPLIT=FILE` or named for theirs.
        images: of COCO: the folder of the pictures, or `SPLIT=FOLDER`.
        field: what names the data, for messages.

    Raises:
        BadInput: there is no data set, it is faulty, or a change of it was interrupted.
    """
    files = _resolve(data, field)
    if isinstance(files, Path):
        return _open_yolo(files, leniency, progress)
    return _open_coco(files, images, field, progress)


def home_of(data: Sequence[str], field: str = "DATA") -> Path:
    """The folder that the manifest of a data set, and the journal of its changes, are in.

    Raises:
        BadInput: there is no data set.
    """
    files = _resolve(data, field)
    if isinstance(files, Path):
        return files.parent
    return Path(os.path.commonpath([coco.home_of(path) for path in files.values()]))


def _open_yolo(path: Path, leniency: Leniency, progress: Progress) -> DetectionSet:
    require_settled(path.parent)
    source = read_data_file(path)
    manifest = _manifest(path.parent)
    if manifest is not None and manifest.classes != source.names:
        raise _other_classes(path, source.names, manifest)
    splits = reading.read_splits(source, list(source.splits), leniency, progress)
    pictures = (path for split in splits.values() for path in split.paths)
    orphans = reading.find_orphans(source, pictures)
    return DetectionSet(path.parent, source.names, splits, source, manifest, orphans)


def _open_coco(files: dict[str, Path], images: Sequence[str], field: str, progress: Progress) -> DetectionSet:
    home = home_of([f"{name}={path}" for name, path in files.items()], field)
    require_settled(home)
    manifest = _manifest(home)
    folders = _folders(files, images, home, manifest)
    classes = None if manifest is None else manifest.classes
    names, splits, sources = coco.read_splits(files, folders, classes, progress)
    return DetectionSet(home, names, splits, sources, manifest)


def _resolve(data: Sequence[str], field: str) -> Path | dict[str, Path]:
    """The data.yaml, or the annotation files by split."""
    entries = [_entry(text, field) for text in data]
    if len(entries) == 1 and not entries[0][0]:
        path = entries[0][1]
        if path.is_dir():
            return _inside(path, field)
        if path.name == MANIFEST:
            return _inside(path.parent, field)
        if path.suffix.lower() in _YAML:
            return path
    files: dict[str, Path] = {}
    for name, path in entries:
        if path.is_dir() or path.suffix.lower() in _YAML:
            raise BadInput(
                field=field,
                value=str(path),
                problem="is not an annotation file, and stands among several",
                remedy="Name one data.yaml or one folder, or the annotation file of each split",
            )
        split = name or _split_of(path, field)
        if split in files:
            raise BadInput(
                field=field,
                value=str(path),
                problem=f"{files[split]} is for {split} too",
                remedy="Say which split each is for, such as train=FILE",
            )
        files[split] = path
    return files


def _entry(text: str, field: str) -> tuple[str, Path]:
    name, separator, path = text.partition("=")
    if not separator or "/" in name or Path(text).exists():
        name, path = "", text
    found = Path(path).absolute()
    if not found.exists():
        raise BadInput(
            field=field,
            value=path,
            problem="it does not exist",
            remedy="Name a data.yaml, a prepared folder, or COCO annotation files",
        )
    return name, found


def _inside(folder: Path, field: str) -> Path | dict[str, Path]:
    for name in DATA_FILES:
        if (folder / name).is_file():
            return folder / name
    files = {path.stem: path for path in (folder / "annotations").glob("*.json")}
    if files:
        return {name: files[name] for name in sorted(files, key=_place)}
    manifest = _manifest(folder)
    raise BadInput(
        field=field,
        value=str(folder),
        problem="there is neither data.yaml nor annotations/*.json in it"
        + (f": it is prepared as {manifest.format}" if manifest is not None else ""),
        remedy="Name a YOLO or COCO data set",
    )


def _split_of(path: Path, field: str) -> str:
    """train of train.json or instances_train2017.json."""
    found = [split for split in SPLITS if split in path.stem.lower()]
    if len(found) == 1:
        return found[0]
    raise BadInput(
        field=field,
        value=str(path),
        problem="its name does not tell its split",
        remedy=f"Say it, such as train={path.name}",
    )


def _place(split: str) -> tuple[int, str]:
    """Train first, as everyone lists them."""
    return SPLITS.index(split) if split in SPLITS else len(SPLITS), split


def _manifest(home: Path) -> DatasetManifest | None:
    path = home / MANIFEST
    return manifests.read(path) if path.is_file() and manifests.is_ours(path) else None


def _folders(
    files: dict[str, Path], images: Sequence[str], home: Path, manifest: DatasetManifest | None
) -> dict[str, list[Path]]:
    """Where the pictures of each split may be, likeliest first."""
    stated: dict[str, list[Path]] = {name: [] for name in files}
    for text in images:
        name, separator, folder = text.partition("=")
        if not separator or name not in files:
            name, folder = "", text
        if not Path(folder).is_dir():
            raise BadInput(
                field="--images", value=text, problem="is no folder", remedy="Give the folder of the pictures"
            )
        for split in [name] if name else files:
            stated[split].append(Path(folder).absolute())
    if images:
        return stated
    root = [] if manifest is None else [home / manifest.pictures.root]
    return {
        name: [*root, *(home / "images" / folder for folder in ("", name, path.stem)), home / name, home]
        for name, path in files.items()
    }


def _other_classes(path: Path, names: tuple[str, ...], manifest: DatasetManifest) -> BadInput:
    return BadInput(
        field=f"{path}: names",
        value=list(names),
        problem=f"the manifest beside it says {list(manifest.classes)}",
        remedy="Prepare the data set again: its order of classes is part of what it is",
    )
