"""Precision, recall and F1 of a detector that keeps the detections of at least one confidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from vistrain_trainer.evaluation.matches import ImageMatches

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
    matches: Mapping[int, ImageMatches],
    classes: Sequence[str],
    *,
    chosen: Choice,
    confidence: float,
    iou: float = 0.5,
) -> Operating:
    """Count what was matched at one confidence and overlap.

    Args:
        matches: of every image, made with this confidence and overlap.
        classes: name of each class, in the order of the class index.
        chosen: why this confidence.
        confidence: as of the matches.
        iou: as of the matches.
    """
    right, false, missed = (np.zeros(len(classes), np.int64) for _ in range(3))
    for one in matches.values():
        _count(missed, one.truth.classes[one.missed])
        _count(right, one.truth.classes[~one.missed & ~one.truth.crowd])
        _count(false, one.detected[one.false, 6])
    known = right + missed > 0
    by_class = {
        name: _counted(right[at], false[at], missed[at]) if known[at] else None
        for at, name in enumerate(classes)
    }
    pooled = _counted(*(counts[known].sum() for counts in (right, false, missed)))
    return Operating(chosen, confidence, iou, pooled, by_class)


def _count(counts: np.ndarray, class_indices: np.ndarray) -> None:
    np.add.at(counts, class_indices.astype(np.int64), 1)


def _counted(right: np.int64, false: np.int64, missed: np.int64) -> Counted:
    return Counted(
        right=int(right),
        false=int(false),
        missed=int(missed),
        precision=_ratio(right, right + false),
        recall=_ratio(right, right + missed),
        f1=_ratio(2 * right, 2 * right + false + missed),
    )


def _ratio(part: np.int64, whole: np.int64) -> float | None:
    return float(part / whole) if whole else None
