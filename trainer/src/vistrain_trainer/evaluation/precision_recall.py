"""Precision over recall of each class, with the confidence at which F1 is best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vistrain_trainer.errors import BadInput
from vistrain_trainer.evaluation.coco_metrics import Curves

IOU_THRESHOLDS = tuple(round(0.5 + 0.05 * step, 2) for step in range(10))
"""COCO's: the first axis of the arrays of :class:`Curves`."""
RECALL_LEVELS = tuple(level / 100 for level in range(101))
"""COCO's: the second axis of precision."""


@dataclass(frozen=True)
class OperatingPoint:
    """What a detector does when only detections of at least this confidence are kept.

    Good to one recall level: recall is the last level reached, precision COCO's there (the best at that
    recall or a higher one). Of several curves F1, precision and recall are the means at one confidence for
    all.
    """

    confidence: float
    f1: float
    precision: float
    recall: float


@dataclass(frozen=True)
class Curve:
    """Precision and F1 at each of the recall levels."""

    precision: tuple[float, ...]
    """COCO's: the best at this recall or a higher one; 0 at levels that are not reached."""
    f1: tuple[float, ...]
    """The harmonic mean of that precision and the recall level."""
    confidence: tuple[float | None, ...] | None
    """The score at which each level is reached, None where it is not; None for a mean of several curves,
    which reach a level at different scores."""
    average_precision: float
    """The mean of the precision, as COCO's AP."""
    best: OperatingPoint | None
    """Where F1 is greatest, of equals the most confident; None where no detection is right."""


@dataclass(frozen=True)
class PrecisionRecall:
    """The curves of an evaluation; ``dataclasses.asdict`` makes JSON of it."""

    iou: float | None
    """At which overlap a detection is right; None for the mean over COCO's ten."""
    recall: tuple[float, ...]
    """The recall levels of every curve."""
    pooled: Curve | None
    """The mean over the classes that have ground truth; None where none has."""
    classes: dict[str, Curve | None]
    """By class; None where it has no ground truth."""


def precision_recall(
    curves: Curves, category_ids: Sequence[int], classes: Sequence[str], *, iou: float | None = 0.5
) -> PrecisionRecall:
    """The curves over all areas, at the largest limit of detections.

    Args:
        curves: of an evaluation.
        category_ids: COCO id of each class.
        classes: name of each class, in the same order.
        iou: one of :data:`IOU_THRESHOLDS`; None for the mean over them.

    Raises:
        BadInput: no evaluation is made at this overlap.
    """
    chosen = slice(None) if iou is None else _threshold(iou)
    # (IoU thresholds, recall levels, classes)
    precision, scores = (array[chosen, :, :, 0, -1] for array in (curves.precision, curves.scores))
    place = {category: at for at, category in enumerate(sorted(category_ids))}
    by_class = {
        name: _curve(precision[:, :, [place[category]]], scores[:, :, [place[category]]])
        for category, name in zip(category_ids, classes, strict=True)
    }
    return PrecisionRecall(iou, RECALL_LEVELS, _curve(precision, scores), by_class)


def _threshold(iou: float) -> slice:
    for at, threshold in enumerate(IOU_THRESHOLDS):
        if abs(iou - threshold) < 1e-9:
            return slice(at, at + 1)
    raise BadInput(
        field="iou",
        value=iou,
        problem="no evaluation is made at this overlap",
        remedy=f"give one of {', '.join(map(str, IOU_THRESHOLDS))}, or none for the mean",
    )


def _curve(precision: np.ndarray, scores: np.ndarray) -> Curve | None:
    """The mean of (IoU thresholds, recall levels, classes) curves, leaving out classes without truth."""
    known = (precision > -1).all(axis=(0, 1))
    if not known.any():
        return None
    # (recall levels, curves)
    precision, scores = (
        np.moveaxis(a[:, :, known], 1, 0).reshape(a.shape[1], -1) for a in (precision, scores)
    )
    # A level that is not reached has precision 0. So has recall 0 where no detection is right.
    reached = precision > 0
    mean = precision.mean(axis=1)
    return Curve(
        precision=tuple(mean.tolist()),
        f1=tuple(_f1(mean, np.array(RECALL_LEVELS)).tolist()),
        confidence=(
            tuple(
                score if at else None for score, at in zip(scores[:, 0].tolist(), reached[:, 0], strict=True)
            )
            if precision.shape[1] == 1
            else None
        ),
        average_precision=float(mean.mean()),
        best=_best(precision, scores, reached),
    )


def _best(precision: np.ndarray, scores: np.ndarray, reached: np.ndarray) -> OperatingPoint | None:
    """The confidence with the greatest mean F1 of (recall levels, curves)."""
    candidates = np.unique(scores[reached])[::-1]
    if not candidates.size:
        return None
    f1, kept_precision, kept_recall = (np.zeros(len(candidates)) for _ in range(3))
    for at in range(precision.shape[1]):
        # Scores fall along recall: at a candidate, the levels are reached up to the last with its score.
        rising = scores[reached[:, at], at][::-1]
        levels = len(rising) - np.searchsorted(rising, candidates, side="left")
        of_curve = np.where(levels > 0, precision[levels - 1, at], 0)
        recall = np.where(levels > 0, np.array(RECALL_LEVELS)[levels - 1], 0)
        f1 += _f1(of_curve, recall)
        kept_precision += of_curve
        kept_recall += recall
    best = int(np.argmax(f1))
    count = precision.shape[1]
    return OperatingPoint(
        confidence=float(candidates[best]),
        f1=float(f1[best] / count),
        precision=float(kept_precision[best] / count),
        recall=float(kept_recall[best] / count),
    )


def _f1(precision: np.ndarray, recall: np.ndarray) -> np.ndarray:
    both = precision + recall
    return np.where(both > 0, 2 * precision * recall / np.where(both > 0, both, 1), 0)
