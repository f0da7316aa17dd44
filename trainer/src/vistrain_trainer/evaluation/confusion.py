"""The confusion matrix of a detector: which class is taken for which, and what is missed or made up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vistrain_trainer.errors import BadInput
from vistrain_trainer.evaluation.boxes import (
    NOTHING,
    ImageTruth,
    overlaps,
    rows_by_image,
    truth_by_image,
)

BACKGROUND = "background"
"""Label of what is no object: its row holds false detections, its column misses."""


@dataclass(frozen=True)
class ConfusionMatrix:
    """Counts of boxes; ``dataclasses.asdict`` makes JSON of it."""

    confidence: float
    """The least score of the detections that are counted."""
    iou: float
    """The least overlap of a match."""
    labels: tuple[str, ...]
    """Of rows as of columns: the classes, then the background."""
    counts: tuple[tuple[int, ...], ...]
    """A row for what is there, a column for what is detected: a class's row adds up to its ground truth,
    its column to its detections without those in crowds."""
    in_crowds: int
    """Detections that match nothing but lie in a crowd; they are counted nowhere else."""


def confusion_matrix(
    document: Mapping[str, Any],
    category_ids: Sequence[int],
    classes: Sequence[str],
    rows: np.ndarray,
    *,
    confidence: float,
    iou: float = 0.5,
) -> ConfusionMatrix:
    """Match detections and ground truth one to one, whatever their classes.

    In each image the detections of at least `confidence` choose by falling score, of equals the earlier row
    first. Each takes the ground truth it overlaps most, at least by `iou`, of those not yet taken; of equal
    overlaps one of its own class, then the later, as in COCO. Within one class this is COCO's matching.
    Crowds are never taken nor missed; a detection that takes nothing is left out if at least the share `iou`
    of it lies in a crowd of any class, else it is false.

    Args:
        document: of COCO's form; annotations of other categories do not count.
        category_ids: COCO id of each class.
        classes: name of each class, in the same order.
        rows: (n, 7) float64 image id, x, y, w, h, score, class index.
        confidence: between 0 and 1.
        iou: above 0, at most 1.

    Raises:
        BadInput: a threshold out of its bounds, or a detection in an image that the document does not list.
    """
    check_matching(confidence, iou, document, rows)
    detected = rows_by_image(rows, confidence)
    truth = truth_by_image(document, category_ids)
    counts = np.zeros((len(classes) + 1, len(classes) + 1), np.int64)
    in_crowds = 0
    for image in truth.keys() | detected.keys():
        in_crowds += _count(counts, truth.get(image, NOTHING), detected.get(image, rows[:0]), iou)
    return ConfusionMatrix(
        confidence, iou, (*classes, BACKGROUND), tuple(tuple(row) for row in counts.tolist()), in_crowds
    )


def _count(counts: np.ndarray, truth: ImageTruth, detected: np.ndarray, iou: float) -> int:
    """Add one image to the counts; the number of detections left out for crowds."""
    background = len(counts) - 1
    free = ~truth.crowd
    in_crowds = 0
    shares = overlaps(detected, truth)
    for overlap, class_index in zip(shares, detected[:, 6].astype(np.int64).tolist(), strict=True):
        enough = overlap >= min(iou, 1 - 1e-10)  # as in COCO: equal boxes match at an IoU of 1
        best = _best(np.where(enough & free, overlap, 0), truth.classes == class_index)
        if best is not None:
            free[best] = False
            counts[truth.classes[best], class_index] += 1
        elif (enough & truth.crowd).any():
            in_crowds += 1
        else:
            counts[background, class_index] += 1
    np.add.at(counts, (truth.classes[free], background), 1)
    return in_crowds


def _best(overlap: np.ndarray, same_class: np.ndarray) -> int | None:
    if not overlap.size or overlap.max() == 0:
        return None
    most = overlap == overlap.max()
    return int(np.flatnonzero(most & same_class if (most & same_class).any() else most)[-1])


def check_matching(confidence: float, iou: float, document: Mapping[str, Any], rows: np.ndarray) -> None:
    """Raise BadInput for thresholds out of their bounds, or a detection in an image that is not listed."""
    if not 0 <= confidence <= 1:
        raise BadInput(
            field="confidence", value=confidence, problem="it is no share", remedy="give one from 0 to 1"
        )
    if not 0 < iou <= 1:
        raise BadInput(
            field="iou", value=iou, problem="it is no overlap", remedy="give one above 0, at most 1"
        )
    foreign = np.setdiff1d(rows[:, 0], [image["id"] for image in document["images"]])
    if foreign.size:
        raise BadInput(
            field="detections",
            value=f"image {int(foreign[0])}",
            problem="the ground truth does not list it",
            remedy="give detections and ground truth of the same split",
        )
