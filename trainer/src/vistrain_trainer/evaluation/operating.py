"""Precision, recall and F1 of a detector that keeps the detections of at least one confidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from vistrain_trainer.evaluation.confusion import confusion_matrix

Choice = Literal["stated", "best F1"]


@dataclass(frozen=True)
class Counted:
    """Boxes of ground truth and detections, matched within a class."""

    right: int
    """Detections that match a box."""
    false: int
    """Detections that match none and lie in no crowd."""
    missed: int
    """Boxes without a detection."""
    precision: float | None
    """None where nothing is detected."""
    recall: float | None
    f1: float | None
    """2 · right / (2 · right + false + missed)."""


@dataclass(frozen=True)
class Operating:
    """Counts at one confidence; ``dataclasses.asdict`` makes JSON of it."""

    chosen: Choice
    """Why this confidence: it was stated, or it is where the mean F1 of the classes is greatest."""
    confidence: float
    """The least score of the detections that are counted."""
    iou: float
    """The least overlap of a match."""
    pooled: Counted
    """Over all boxes of the classes that have ground truth."""
    classes: dict[str, Counted | None]
    """By class; None where it has no ground truth."""


def operating(
    document: Mapping[str, Any],
    category_ids: Sequence[int],
    classes: Sequence[str],
    rows: np.ndarray,
    *,
    chosen: Choice,
    confidence: float,
    iou: float = 0.5,
) -> Operating:
    """Count class by class, each matched by COCO's rule as if there were no other.

    Args:
        document: of COCO's form; annotations of other categories do not count.
        category_ids: COCO id of each class.
        classes: name of each class, in the same order.
        rows: (n, 7) float64 image id, x, y, w, h, score, class index.
        chosen: why this confidence.
        confidence: between 0 and 1.
        iou: above 0, at most 1.

    Raises:
        BadInput: a threshold out of its bounds, or a detection in an image that the document does not list.
    """
    by_class: dict[str, Counted | None] = {}
    for index, (category, name) in enumerate(zip(category_ids, classes, strict=True)):
        alone = rows[rows[:, 6] == index].copy()
        alone[:, 6] = 0
        counts = confusion_matrix(document, [category], [name], alone, confidence=confidence, iou=iou).counts
        right, missed, false = counts[0][0], counts[0][1], counts[1][0]
        by_class[name] = _counted(right, false, missed) if right + missed > 0 else None
    known = [one for one in by_class.values() if one is not None]
    pooled = _counted(*(sum(getattr(one, name) for one in known) for name in ("right", "false", "missed")))
    return Operating(chosen, confidence, iou, pooled, by_class)


def _counted(right: int, false: int, missed: int) -> Counted:
    return Counted(
        right=right,
        false=false,
        missed=missed,
        precision=_ratio(right, right + false),
        recall=_ratio(right, right + missed),
        f1=_ratio(2 * right, 2 * right + false + missed),
    )


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None
