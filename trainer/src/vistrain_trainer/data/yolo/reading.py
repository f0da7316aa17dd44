"""The splits of a YOLO data set, read whole."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from vistrain_trainer.data.coco_file import ImageRecord, StatedBoxes
from vistrain_trainer.data.picture_file import SUFFIXES, Shape, read_shape
from vistrain_trainer.data.progress import Progress, silent
from vistrain_trainer.data.sets.stated import Findings, StatedSplit
from vistrain_trainer.data.yolo.data_file import DataFile, Part
from vistrain_trainer.data.yolo.labels import Fault, Labels, Leniency, label_of, raise_first, read_labels
from vistrain_trainer.errors import BadInput

_NOT_LABELS = ("classes.txt", "obj.names.txt")
"""Text files that annotation tools leave among the labels."""


def read_splits(
    data: DataFile, names: Sequence[str], leniency: Leniency, progress: Progress = silent
) -> dict[str, StatedSplit]:
    """Read the named splits; file names are relative to the folder that all their pictures are under.

    Raises:
        BadInput: a picture or a row is faulty; all label files are read before a row is refused.
    """
    pictures = {name: pictures_of(data, name) for name in names}
    base = common_folder(path for paths in pictures.values() for path in paths)
    faults: list[Fault] = []
    splits = {}
    count = sum(map(len, pictures.values()))
    with progress(f"reading {count} pictures' labels", count) as advance:
        for name, paths in pictures.items():
            shapes, labels, present = [], [], []
            for path in paths:
                shapes.append(_shape(path, data.path, name))
                rows, found = read_labels(label_of(path), len(data.names), leniency, faults)
                labels.append(rows)
                present.append(found)
                advance(1)
            splits[name] = _split(name, paths, base, shapes, labels, present)
    raise_first(faults)
    return splits


def pictures_of(data: DataFile, split: str) -> list[Path]:
    """The pictures of a split, by path.

    Raises:
        BadInput: there is none, a listed one is missing, or two share a label file.
    """
    field = f"{data.path}: {split}"
    if split not in data.splits:
        raise BadInput(
            field=field,
            value=split,
            problem="there is no such split",
            remedy=f"It has {', '.join(data.splits)}",
        )
    found = sorted({path for part in data.splits[split] for path in pictures_in(part, data.root)})
    if not found:
        places = ", ".join(str(part.path) for part in data.splits[split])
        raise BadInput(
            field=field, value=places, problem="there is no picture in it", remedy="Give a folder of pictures"
        )
    labels: dict[Path, Path] = {}
    for path in found:
        other = labels.setdefault(label_of(path), path)
        if other != path:
            raise BadInput(
                field=field,
                value=str(path),
                problem=f"{other.name} beside it has the same label file {label_of(path)}",
                remedy="Rename one of them",
            )
    return found


def pictures_in(part: Part, root: Path) -> list[Path]:
    """The pictures of a folder and of those in it, or of a list.

    Raises:
        BadInput: a list cannot be read, or names a picture that is not there.
    """
    if not part.is_list:
        return [path for path in _files(part.path) if path.suffix.lower() in SUFFIXES]
    try:
        lines = part.path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(
            field=str(part.path),
            value="list of pictures",
            problem=f"cannot be read: {error}",
            remedy="Write it",
        ) from None
    found, missing = [], []
    for number, line in enumerate(lines, start=1):
        if line.strip():
            path = listed(line.strip(), part.path.parent, root)
            (missing.append((number, line.strip())) if path is None else found.append(path))
    if missing:
        number, line = missing[0]
        raise BadInput(
            field=f"{part.path}:{number}",
            value=line,
            problem=f"the picture is not there ({len(missing)} of {len(found) + len(missing)} are not)",
            remedy="Give paths relative to the list's own folder, or absolute ones",
        )
    return found


def listed(line: str, folder: Path, root: Path) -> Path | None:
    """The picture that a line of a list in `folder` means, if it is there.

    A relative one is looked for in the list's folder, then in the data set's root.
    """
    for place in (folder, root):
        path = Path(os.path.normpath(place / line))
        if path.is_file():
            return path
    return None


def find_orphans(data: DataFile, pictures: Iterable[Path]) -> tuple[Path, ...]:
    """Label files that belong to none of the pictures, in the folders where labels are looked for."""
    wanted = {label_of(path) for path in pictures}
    roots = {path.parent for path in wanted}
    for parts in data.splits.values():
        roots |= {label_of(part.path / "x").parent for part in parts if not part.is_list}
    lists = {part.path for parts in data.splits.values() for part in parts if part.is_list}
    found = {path for root in roots for path in _files(root) if path.suffix == ".txt"} - wanted - lists
    return tuple(sorted(path for path in found if path.name not in _NOT_LABELS))


def common_folder(paths: Iterable[Path]) -> Path:
    """The folder that all files are under."""
    return Path(os.path.commonpath({path.parent for path in paths}))


def _files(folder: Path) -> Iterator[Path]:
    for at, folders, names in os.walk(folder, followlinks=True):
        folders[:] = [name for name in folders if not name.startswith(".") and not _leads_back(at, name)]
        for name in names:
            if not name.startswith("."):
                yield Path(at, name)


def _leads_back(folder: str, name: str) -> bool:
    """Whether a link in a folder leads to that folder, or to one that it is in."""
    path = Path(folder, name)
    return path.is_symlink() and Path(folder).resolve().is_relative_to(path.resolve())


def _shape(path: Path, data: Path, split: str) -> Shape:
    try:
        return read_shape(path)
    except (OSError, ValueError) as error:
        raise BadInput(
            field=f"{data}: {split}",
            value=str(path),
            problem=f"the picture cannot be read: {getattr(error, 'strerror', None) or error}",
            remedy="Copy it again, or remove it with its labels",
        ) from None


def _split(
    name: str,
    paths: Sequence[Path],
    base: Path,
    shapes: Sequence[Shape],
    labels: Sequence[Labels],
    present: Sequence[bool],
) -> StatedSplit:
    images = tuple(
        ImageRecord(number, path.relative_to(base).as_posix(), *shape.upright)
        for number, (path, shape) in enumerate(zip(paths, shapes, strict=True), start=1)
    )
    counts = [len(rows.classes) for rows in labels]
    of_image = np.repeat(np.arange(len(paths)), counts)
    shares = np.concatenate([rows.boxes for rows in labels])
    sizes = np.array([shape.upright for shape in shapes], np.float64)[of_image]
    extent = shares[:, 2:] * sizes
    boxes = np.hstack([shares[:, :2] * sizes - extent / 2, extent])
    classes = np.concatenate([rows.classes for rows in labels])
    findings = Findings(
        polygons=sum(rows.polygons for rows in labels),
        duplicates=sum(rows.duplicates for rows in labels),
        missing_labels=present.count(False),
        empty_labels=sum(found and not count for found, count in zip(present, counts, strict=True)),
    )
    return StatedSplit(
        name=name,
        images=images,
        paths=tuple(paths),
        boxes=StatedBoxes(of_image, boxes, classes, np.zeros(len(boxes), bool)),
        findings=findings,
        orientations=np.array([shape.orientation for shape in shapes], np.uint8),
    )
