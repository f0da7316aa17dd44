"""A stated split as a COCO document."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from vistrain_trainer.data.picture_file import turn_boxes_back
from vistrain_trainer.data.sets.stated import StatedSplit

DECIMALS = 10
"""Of pixels in what is written."""


def coco_document(
    split: StatedSplit,
    classes: Sequence[str],
    *,
    file_names: Sequence[str] | None = None,
    first_image: int = 1,
    first_annotation: int = 1,
    as_stored: bool = False,
) -> dict[str, Any]:
    """Images, annotations and categories; ids count on from those given, category ids from 1.

    Args:
        file_names: of each image, in place of the split's own.
        as_stored: sizes and boxes in the picture as stored, which COCO's readers take, not as it is shown.
    """
    names = [image.file_name for image in split.images] if file_names is None else file_names
    sizes = [(image.width, image.height) for image in split.images]
    boxes = split.boxes.boxes
    if as_stored:
        shapes = split.shapes()
        sizes = [(shape.width, shape.height) for shape in shapes]
        boxes = boxes.copy()
        for at in np.flatnonzero(split.orientations != 1):
            rows = split.boxes.image == at
            boxes[rows] = turn_boxes_back(boxes[rows], shapes[at])
    boxes = np.round(boxes, DECIMALS) + 0.0  # no -0.0
    return {
        "info": {},
        "images": [
            {"id": first_image + at, "file_name": name, "width": width, "height": height}
            for at, (name, (width, height)) in enumerate(zip(names, sizes, strict=True))
        ],
        "annotations": [
            {
                "id": first_annotation + at,
                "image_id": first_image + image,
                "category_id": index + 1,
                "bbox": box,
                "area": box[2] * box[3],
                "iscrowd": int(crowd),
            }
            for at, (image, index, box, crowd) in enumerate(
                zip(
                    split.boxes.image.tolist(),
                    split.boxes.classes.tolist(),
                    boxes.tolist(),
                    split.boxes.crowd.tolist(),
                    strict=True,
                )
            )
        ],
        "categories": [{"id": number, "name": name} for number, name in enumerate(classes, start=1)],
    }
