"""Merging of the boxes of several detectors: weighted boxes fusion, or suppression over their union.

Weighted boxes fusion: Solovyev, Wang, Gabruseva, "Weighted boxes fusion: Ensembling boxes from different
object detection models", Image and Vision Computing 107 (2021), 104117; every detector has the same weight.
Both ways take the detectors' own limit of overlap, above which two detections of a class are of one object.
What differs from the paper: two detections of one detector are never merged, since its own suppression has
found them to be of two objects. So a detector merged with itself stays as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from vistrain_trainer.errors import BadInput
from vistrain_trainer.evaluation.thresholds import Thresholds

Method = Literal["wbf", "nms"]
_SCORE, _CLASS, _RANK, _MEMBER = range(5, 9)


def merge(members: Sequence[np.ndarray], thresholds: Thresholds, method: Method) -> np.ndarray:
    """The detections of an ensemble. Merging a detector with itself gives its detections.

    Args:
        members: of each detector (n, 7) float64 rows image id, x, y, w, h, score, class index, in each image
            the best first.
        thresholds: what counts as a detection, for the members and for what is merged of them.
        method: `wbf` or `nms`.

    Returns:
        Rows likewise, by image id.

    Raises:
        BadInput: the limit of overlap is 1, so that nothing would ever be merged.
    """
    if thresholds.nms_iou >= 1:
        raise BadInput(
            field="--nms-iou",
            value=thresholds.nms_iou,
            problem="no two boxes overlap by more, so nothing is merged",
            remedy="give an overlap below 1 for an ensemble",
        )
    # The place in its member's rows tells equal scores apart.
    union = np.concatenate(
        [
            np.column_stack((rows, np.arange(len(rows)), np.full(len(rows), member)))
            for member, rows in enumerate(members)
        ]
    )
    order = (union[:, _MEMBER], union[:, _RANK], -union[:, _SCORE], union[:, _CLASS], union[:, 0])
    union = union[np.lexsort(order)]
    ends = np.flatnonzero((np.diff(union[:, 0]) != 0) | (np.diff(union[:, _CLASS]) != 0)) + 1
    groups = np.split(union, ends)
    iou = thresholds.nms_iou
    merged = np.concatenate(
        [_suppress(group, iou) if method == "nms" else _fuse(group, iou, len(members)) for group in groups]
    )
    merged = merged[merged[:, _SCORE] >= thresholds.confidence]
    merged = merged[np.lexsort((merged[:, _RANK], -merged[:, _SCORE], merged[:, 0]))]
    return _best(merged, thresholds.max_detections)[:, :_RANK]


def _suppress(group: np.ndarray, iou: float) -> np.ndarray:
    """Of one image and class, best first: those that no better one of another member overlaps by more."""
    rivals = _overlaps(group[:, 1:5], group[:, 1:5]) > iou
    rivals &= group[:, _MEMBER, None] != group[None, :, _MEMBER]
    kept: list[int] = []
    for at in range(len(group)):
        if not rivals[at, kept].any():
            kept.append(at)
    return group[kept]


def _fuse(group: np.ndarray, iou: float, members: int) -> np.ndarray:
    """Of one image and class, best first: each joins the fused box that it overlaps most, by more than `iou`,
    of those without a box of its member.

    A fused box is the mean of its boxes, weighted by their scores; its score is their mean, lowered by the
    share of the members that are silent.
    """
    fused = np.zeros_like(group)
    weights, joined = np.zeros(len(group)), np.zeros((len(group), members), bool)
    count = 0
    for row in group:
        member, weight = int(row[_MEMBER]), max(row[_SCORE], 1e-12)
        shares = _overlaps(row[None, 1:5], fused[:count, 1:5])[0] * ~joined[:count, member]
        at = int(shares.argmax()) if (shares > iou).any() else count
        if at == count:
            fused[at], weights[at], joined[at, member] = row, weight, True
            count += 1
            continue
        box, total, boxes = fused[at], weights[at] + weight, int(joined[at].sum())
        if (box[1:5] != row[1:5]).any():  # the mean of equal ones is not left to rounding
            box[1:5] = (box[1:5] * weights[at] + row[1:5] * weight) / total
        box[_SCORE] = (box[_SCORE] * boxes + row[_SCORE]) / (boxes + 1)
        weights[at], joined[at, member] = total, True
    fused = fused[:count]
    fused[:, _SCORE] *= joined[:count].sum(axis=1) / members
    return fused


def _overlaps(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(n, m) IoU of x, y, w, h boxes; 1 of equal ones, also of such without area."""
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, :2] + first[:, None, 2:], second[None, :, :2] + second[None, :, 2:])
    both = (high - low).clip(0).prod(axis=2)
    either = first[:, 2:].prod(axis=1)[:, None] + second[:, 2:].prod(axis=1)[None] - both
    same = (first[:, None] == second[None]).all(axis=2)
    return np.where(same, 1.0, both / np.where(either > 0, either, 1))


def _best(rows: np.ndarray, most: int) -> np.ndarray:
    """At most so many rows of each image, which are by image and best first."""
    begins = np.searchsorted(rows[:, 0], rows[:, 0])
    return rows[np.arange(len(rows)) - begins < most]
