"""Reading of a COCO annotation file, with every fault told by file and id."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from vistrain_trainer.errors import BadInput

MIN_SIDE = 1e-3
"""Boxes with a side of fewer pixels than this, after clipping, have no area worth learning."""


class ImageRecord(NamedTuple):
    """One image as the annotation file states it; sizes in pixels."""

    id: int
    file_name: str
    width: int
    height: int


@dataclass(frozen=True)
class StatedBoxes:
    """The boxes of a split as its files state them, in their order."""

    image: np.ndarray
    """(n,) int64 position of the image in ``images``."""
    boxes: np.ndarray
    """(n, 4) float64 x, y, width, height in pixels; may reach out of the image, or have no area."""
    classes: np.ndarray
    """(n,) int64 class index."""
    crowd: np.ndarray
    """(n,) bool."""


@dataclass(frozen=True)
class Annotations:
    """The boxes of a file as arrays, in the file's order."""

    image: np.ndarray
    """(n,) position of the image in ``images``."""
    boxes: np.ndarray
    """(n, 5) float32 x1, y1, x2, y2, class index; clipped to the image."""
    crowd: np.ndarray
    """(n,) bool."""
    dropped: int
    """Boxes left out because nothing of them lies inside their image."""


def read_document(path: Path, field: str) -> dict[str, Any]:
    """Parse an annotation file, checking only its outermost shape.

    Raises:
        BadInput: missing, unreadable, not JSON, or without images, annotations or categories.
    """
    try:
        document: dict[str, Any] = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise BadInput(
            field=field,
            value=str(path),
            problem="the annotation file does not exist",
            remedy="give its path inside the dataset volume, or prepare the data there first",
        ) from None
    except OSError as error:
        raise BadInput(
            field=field,
            value=str(path),
            problem=f"the annotation file cannot be read: {error.strerror}",
            remedy="check that the path is a file and that the trainer's user may read it",
        ) from None
    except ValueError as error:
        raise BadInput(
            field=field,
            value=str(path),
            problem=f"the annotation file is not whole JSON: {error}",
            remedy="write or copy it again; it looks cut short or is of another format",
        ) from None
    missing = [key for key in ("images", "annotations", "categories") if not _is_list(document, key)]
    if missing:
        raise BadInput(
            field=field,
            value=str(path),
            problem=f"it is not a COCO detection file: no list named {', '.join(missing)}",
            remedy="give a file with images, annotations and categories (info and licenses may be absent)",
        )
    return document


def read_categories(
    document: dict[str, Any], classes: Sequence[str], path: Path, field: str
) -> tuple[int, ...]:
    """The COCO category id of each class, in the order of ``classes``.

    Raises:
        BadInput: the file's categories and the classes differ, or the file names one twice.
    """
    ids: dict[str, int] = {}
    for category in document["categories"]:
        name, category_id = category.get("name"), category.get("id")
        if not isinstance(name, str) or not _is_integer(category_id) or name in ids:
            raise BadInput(
                field=field,
                value=str(path),
                problem=f"category {category!r} has no name or no whole id, or its name comes twice",
                remedy="write the file again with one category for each class",
            )
        ids[name] = category_id
    if len(set(ids.values())) != len(ids) or set(ids) != set(classes):
        raise BadInput(
            field="spec.dataset.classes",
            value=list(classes),
            problem=f"the categories of {path} are {list(ids)} (ids {list(ids.values())})",
            remedy="list exactly these names as classes, in the order that the model is to number them",
        )
    return tuple(ids[name] for name in classes)


def read_images(document: dict[str, Any], path: Path, field: str) -> tuple[ImageRecord, ...]:
    """The images of a file, sorted by id.

    Raises:
        BadInput: an image lacks its file name or size, an id comes twice, or there is none.
    """
    images = []
    for entry in document["images"]:
        try:
            record = ImageRecord(entry["id"], entry["file_name"], entry["width"], entry["height"])
        except (KeyError, TypeError):
            record = None
        if record is None or not isinstance(record.file_name, str) or not _is_size(record):
            raise BadInput(
                field=field,
                value=str(path),
                problem=f"image {entry!r} lacks a whole id, a file_name, or a width and height in pixels",
                remedy="write the annotation file again",
            )
        images.append(record)
    images.sort()
    repeated = next((a.id for a, b in pairwise(images) if a.id == b.id), None)
    if repeated is not None or not images:
        raise BadInput(
            field=field,
            value=str(path),
            problem="it has no images" if repeated is None else f"image id {repeated} comes twice",
            remedy="write the annotation file again",
        )
    return tuple(images)


def read_stated(
    document: dict[str, Any],
    images: Sequence[ImageRecord],
    class_index: dict[int, int],
    path: Path,
    field: str,
) -> StatedBoxes:
    """The boxes of a file as it states them.

    Raises:
        BadInput: an annotation names an unknown image or category, or its box is not four finite numbers.
    """
    position = {image.id: at for at, image in enumerate(images)}
    at_image, boxes, at_class, crowd = [], [], [], []
    for entry in document["annotations"]:
        at, class_at = position.get(entry.get("image_id")), class_index.get(entry.get("category_id"))
        box = entry.get("bbox")
        if at is None or class_at is None or not _is_box(box):
            raise BadInput(
                field=field,
                value=str(path),
                problem=_fault(entry, at, class_at),
                remedy="correct or remove it",
            )
        at_image.append(at)
        boxes.append(box)
        at_class.append(class_at)
        crowd.append(bool(entry.get("iscrowd", 0)))
    return StatedBoxes(
        image=np.array(at_image, np.int64),
        boxes=np.array(boxes, np.float64).reshape(-1, 4),
        classes=np.array(at_class, np.int64),
        crowd=np.array(crowd, bool),
    )


def clip(boxes: np.ndarray, sizes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What of the boxes lies inside their images.

    Args:
        boxes: (n, 4) x, y, width, height in pixels.
        sizes: (n, 2) width and height of the image of each box.

    Returns:
        (n, 4) float64 x1, y1, x2, y2, and (n,) bool, whether that has an area worth learning.
    """
    left_top = np.maximum(0.0, boxes[:, :2]) + 0.0  # never -0.0: equal boxes have equal bytes
    right_bottom = np.minimum(sizes, boxes[:, :2] + boxes[:, 2:])
    return np.hstack([left_top, right_bottom]), (right_bottom - left_top >= MIN_SIDE).all(axis=1)


def sizes_of(images: Sequence[ImageRecord]) -> np.ndarray:
    """(n, 2) float64 width and height of images."""
    return np.array([(image.width, image.height) for image in images], np.float64).reshape(-1, 2)


def read_annotations(
    document: dict[str, Any],
    images: Sequence[ImageRecord],
    class_index: dict[int, int],
    path: Path,
    field: str,
) -> Annotations:
    """The boxes of a file, clipped to their images.

    Raises:
        BadInput: an annotation names an unknown image or category, or its box is not four finite numbers.
    """
    return clipped(read_stated(document, images, class_index, path, field), images)


def clipped(stated: StatedBoxes, images: Sequence[ImageRecord]) -> Annotations:
    """Boxes as training takes them: corners, clipped to their images, without those of no area."""
    corners, kept = clip(stated.boxes, sizes_of(images)[stated.image])
    rows = np.column_stack([corners, stated.classes])[kept].astype(np.float32)
    return Annotations(
        image=stated.image[kept], boxes=rows, crowd=stated.crowd[kept], dropped=int((~kept).sum())
    )


def _fault(entry: dict[str, Any], image: int | None, class_at: int | None) -> str:
    name = f"annotation {entry.get('id')!r}"
    if image is None:
        return f"{name} is for image {entry.get('image_id')!r}, which the file does not list"
    if class_at is None:
        return f"{name} is of category {entry.get('category_id')!r}, which the file does not list"
    return f"{name} has the box {entry.get('bbox')!r}, not four finite numbers x, y, width, height"


def _is_list(document: Any, key: str) -> bool:
    return isinstance(document, dict) and isinstance(document.get(key), list)


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_size(record: ImageRecord) -> bool:
    whole = all(_is_integer(value) for value in (record.id, record.width, record.height))
    return whole and record.width > 0 and record.height > 0


def _is_box(box: object) -> bool:
    return (
        isinstance(box, list)
        and len(box) == 4
        and all(isinstance(value, int | float) and math.isfinite(value) for value in box)
    )
