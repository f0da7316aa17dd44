"""Splits before and after images change theirs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from vistrain_trainer.data.coco_file import StatedBoxes
from vistrain_trainer.data.rebalance.journal import ClassCounts, SplitCounts
from vistrain_trainer.data.sets.stated import StatedSplit, split_digest


def count_split(split: StatedSplit, classes: Sequence[str]) -> SplitCounts:
    """A split in numbers."""
    per_class = {}
    for at, name in enumerate(classes):
        boxes = split.per_image(at)
        per_class[name] = ClassCounts(instances=int(boxes.sum()), images=int((boxes > 0).sum()))
    return SplitCounts(
        images=len(split.images),
        annotations=len(split.boxes.classes),
        per_class=per_class,
        digest=split_digest(split),
    )


def apart(split: StatedSplit, chosen: np.ndarray) -> tuple[StatedSplit, StatedSplit]:
    """A split without the images at some positions, and those alone."""
    is_chosen = np.zeros(len(split.images), bool)
    is_chosen[chosen] = True
    return _only(split, np.flatnonzero(~is_chosen)), _only(split, np.flatnonzero(is_chosen))


def together(split: StatedSplit, others: StatedSplit, names: Sequence[str]) -> StatedSplit:
    """A split and the images of another, which bear other names there."""
    boxes, more = split.boxes, others.boxes
    renamed = (image._replace(file_name=name) for image, name in zip(others.images, names, strict=True))
    return replace(
        split,
        images=(*split.images, *renamed),
        paths=(*split.paths, *others.paths),
        boxes=StatedBoxes(
            np.concatenate([boxes.image, more.image + len(split.images)]),
            np.concatenate([boxes.boxes, more.boxes]),
            np.concatenate([boxes.classes, more.classes]),
            np.concatenate([boxes.crowd, more.crowd]),
        ),
        orientations=np.concatenate([split.orientations, others.orientations]),
        scenes=(*split.scenes, *others.scenes),
    )


def _only(split: StatedSplit, kept: np.ndarray) -> StatedSplit:
    """The images at some ascending positions, and their boxes."""
    place = np.full(len(split.images), -1)
    place[kept] = np.arange(len(kept))
    boxes = split.boxes
    rows = place[boxes.image] >= 0

    def chosen(values: tuple) -> tuple:  # type: ignore[type-arg]
        return tuple(values[at] for at in kept) if values else ()

    return replace(
        split,
        images=chosen(split.images),
        paths=chosen(split.paths),
        boxes=StatedBoxes(
            place[boxes.image[rows]], boxes.boxes[rows], boxes.classes[rows], boxes.crowd[rows]
        ),
        orientations=split.orientations[kept],
        scenes=chosen(split.scenes),
    )
