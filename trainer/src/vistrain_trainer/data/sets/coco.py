"""The splits of a COCO data set, read whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vistrain_trainer.data import coco_file
from vistrain_trainer.data.coco_file import ImageRecord, StatedBoxes
from vistrain_trainer.data.progress import Progress, silent
from vistrain_trainer.data.sets.stated import CocoFile, Findings, StatedSplit

_SCENE = ("scene_token", "scene")
"""Keys of an image that tell its drive."""


def read_splits(
    files: Mapping[str, Path],
    folders: Mapping[str, Sequence[Path]],
    classes: Sequence[str] | None,
    progress: Progress = silent,
) -> tuple[tuple[str, ...], dict[str, StatedSplit], dict[str, CocoFile]]:
    """Read annotation files by split: classes, splits, and what they were read of.

    Args:
        folders: where the pictures of each split may be; the first that has the first picture counts.
        classes: the order of the classes; that of the category ids of the first file when none.

    Raises:
        BadInput: a file is faulty, or two have other categories.
    """
    splits, sources = {}, {}
    with progress(f"reading {len(files)} annotation files", len(files)) as advance:
        for name, path in files.items():
            document = coco_file.read_document(path, name)
            classes = _names(document) if classes is None else classes
            splits[name] = _split(document, name, path, classes, folders[name])
            sources[name] = CocoFile(path, _pictures(splits[name].images, folders[name]))
            advance(1)
    assert classes is not None
    return tuple(classes), splits, sources


def home_of(path: Path) -> Path:
    """The folder of the data set that an annotation file belongs to."""
    return path.parent.parent if path.parent.name == "annotations" else path.parent


def _split(
    document: dict[str, Any], name: str, path: Path, classes: Sequence[str], folders: Sequence[Path]
) -> StatedSplit:
    ids = coco_file.read_categories(document, classes, path, name)
    images = coco_file.read_images(document, path, name)
    index = {category: at for at, category in enumerate(ids)}
    boxes = coco_file.read_stated(document, images, index, path, name)
    folder = _pictures(images, folders)
    polygons = sum(bool(_is_polygon(entry.get("segmentation"))) for entry in document["annotations"])
    return StatedSplit(
        name=name,
        images=images,
        paths=() if folder is None else tuple(folder / image.file_name for image in images),
        boxes=boxes,
        findings=Findings(polygons=polygons, duplicates=_duplicates(boxes)),
        orientations=np.ones(len(images), np.uint8),
        scenes=_scenes(document),
    )


def _pictures(images: Sequence[ImageRecord], folders: Sequence[Path]) -> Path | None:
    first = images[0].file_name
    return next((folder for folder in folders if (folder / first).is_file()), None)


def _names(document: dict[str, Any]) -> list[str]:
    """In the order of their ids; what is no category is told by whoever reads them."""
    found = [entry for entry in document["categories"] if isinstance(entry.get("id"), int)]
    return [str(entry.get("name")) for entry in sorted(found, key=lambda entry: entry["id"])]


def _scenes(document: dict[str, Any]) -> tuple[str, ...]:
    entries = sorted(document["images"], key=lambda entry: entry["id"])
    for key in _SCENE:
        if all(isinstance(entry.get(key), str) for entry in entries):
            return tuple(entry[key] for entry in entries)
    return ()


def _is_polygon(segmentation: object) -> bool:
    return isinstance(segmentation, list) and bool(segmentation)


def _duplicates(boxes: StatedBoxes) -> int:
    rows = np.column_stack([boxes.image, boxes.classes, boxes.crowd, boxes.boxes])
    return len(rows) - len(np.unique(rows, axis=0)) if len(rows) else 0
