"""What of a data set another layout can hold."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np

from vistrain_trainer.data.coco_file import ImageRecord, StatedBoxes, clip, sizes_of
from vistrain_trainer.data.picture_file import Shape, read_shape, turn_boxes
from vistrain_trainer.data.progress import Advance
from vistrain_trainer.data.sets.stated import StatedSplit
from vistrain_trainer.errors import BadInput

CLIPPED = "clipped"
_ROUNDING = 1e-10
"""Of shares that went through pixels."""


def fit(
    split: StatedSplit,
    to: Literal["coco", "yolo"],
    duplicates: Literal["refuse", "drop"],
    dropped: Counter[str],
) -> StatedSplit:
    """The split without what the layout cannot hold, or training would not use; the reasons are counted.

    Boxes stay as they are stated. YOLO has no crowds, and no shares beyond 0 and 1: a box that needs them is
    clipped to its picture, and counted as CLIPPED.

    Raises:
        BadInput: boxes come twice, which is refused.
    """
    boxes = split.boxes
    kept = np.ones(len(boxes.classes), bool)

    def drop(which: np.ndarray, reason: str) -> None:
        dropped[reason] += int((kept & which).sum())
        kept[which] = False

    if to == "yolo":
        drop(boxes.crowd, "crowd")
    sizes = sizes_of(split.images)[boxes.image]
    corners, has_area = clip(boxes.boxes, sizes)
    drop(~has_area, "withoutArea")
    repeated = _repeated(boxes) & kept
    if repeated.any() and duplicates == "refuse":
        image = split.images[boxes.image[np.flatnonzero(repeated)[0]]]
        raise BadInput(
            field=split.name,
            value=image.file_name,
            problem=f"{repeated.sum()} boxes of the split repeat another of the same picture and class; "
            "the first is of this picture",
            remedy="Remove them, or say --duplicates drop",
        )
    drop(repeated, "duplicate")
    fitted = boxes.boxes
    if to == "yolo":
        wide = ~_holds(boxes.boxes, sizes)
        dropped[CLIPPED] += int((wide & kept).sum())
        clipped = np.hstack([corners[:, :2], corners[:, 2:] - corners[:, :2]])
        fitted = np.where(wide[:, None], clipped, boxes.boxes)
    chosen = StatedBoxes(boxes.image[kept], fitted[kept], boxes.classes[kept], boxes.crowd[kept])
    return replace(split, boxes=chosen)


def upright(split: StatedSplit, advance: Advance) -> StatedSplit:
    """A split of COCO as viewers show its pictures, whose heads are read.

    Raises:
        BadInput: a picture is missing, broken, or not of the size stated.
    """
    boxes = split.boxes.boxes.copy()
    images, orientations = [], []
    ends = np.searchsorted(np.sort(split.boxes.image), np.arange(len(split.images) + 1))
    order = np.argsort(split.boxes.image, kind="stable")
    for at, (image, path) in enumerate(zip(split.images, split.paths, strict=True)):
        shape = _shape(path, split.name, image)
        orientations.append(shape.orientation)
        images.append(image._replace(width=shape.upright[0], height=shape.upright[1]))
        if shape.orientation != 1:
            rows = order[ends[at] : ends[at + 1]]
            boxes[rows] = turn_boxes(boxes[rows], shape)
        advance(1)
    return replace(
        split,
        images=tuple(images),
        boxes=replace(split.boxes, boxes=boxes),
        orientations=np.array(orientations, np.uint8),
    )


def shares(boxes: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """(n, 4) cx, cy, w, h in shares of the picture, of x, y, width, height in pixels."""
    return np.hstack([(boxes[:, :2] + boxes[:, 2:] / 2) / sizes, boxes[:, 2:] / sizes])


def _shape(path: Path, split: str, image: ImageRecord) -> Shape:
    try:
        shape = read_shape(path)
    except (OSError, ValueError) as error:
        problem = f"image {image.id} cannot be read: {getattr(error, 'strerror', None) or error}"
    else:
        if (shape.width, shape.height) == (image.width, image.height):
            return shape
        problem = f"image {image.id} is {shape.width}×{shape.height} pixels, its record says "
        problem += f"{image.width}×{image.height}"
    raise BadInput(
        field=split,
        value=str(path),
        problem=problem,
        remedy="Name the folder of the pictures with --images, or remove the record",
    )


def _holds(boxes: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    found = shares(boxes, sizes)
    return np.asarray(((found >= -_ROUNDING) & (found <= 1 + _ROUNDING)).all(axis=1))


def _repeated(boxes: StatedBoxes) -> np.ndarray:
    """(n,) bool: whether an earlier box is the same."""
    rows = np.column_stack([boxes.image, boxes.classes, boxes.crowd, boxes.boxes])
    repeated = np.ones(len(rows), bool)
    if len(rows):
        repeated[np.unique(rows, axis=0, return_index=True)[1]] = False
    return repeated
