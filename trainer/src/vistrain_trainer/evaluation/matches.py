"""Which boxes of ground truth a detector finds and which of its detections are false, image by image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vistrain_trainer.evaluation.boxes import (
    NOTHING,
    ImageTruth,
    overlaps,
    rows_by_image,
    truth_by_image,
)
from vistrain_trainer.evaluation.confusion import check_matching


@dataclass(frozen=True)
class ImageMatches:
    """Ground truth and detections of one image."""

    truth: ImageTruth
    missed: np.ndarray
    """(n,) bool by box; never of a crowd."""
    detected: np.ndarray
    """(m, 7) rows image id, x, y, w, h, score, class index, best first."""
    false: np.ndarray
    """(m,) bool by detection: matches no box of its class and lies in no crowd of it."""

    @property
    def errors(self) -> int:
        """Misses and false detections."""
        return int(self.missed.sum() + self.false.sum())


def match_images(
    document: Mapping[str, Any],
    category_ids: Sequence[int],
    rows: np.ndarray,
    *,
    confidence: float,
    iou: float = 0.5,
) -> dict[int, ImageMatches]:
    """Match within each class as COCO does at one overlap; by id of every image that the document lists.

    By falling score each detection takes the free box of its class that it overlaps most, at least by `iou`;
    of equal overlaps the later. One that takes nothing is false, unless at least the share `iou` of it lies
    in a crowd of its class.

    Args:
        document: of COCO's form; annotations of other categories do not count.
        category_ids: COCO id of each class.
        rows: (n, 7) float64 image id, x, y, w, h, score, class index.
        confidence: the least score of the detections that count, between 0 and 1.
        iou: above 0, at most 1.

    Raises:
        BadInput: a threshold out of its bounds, or a detection in an image that the document does not list.
    """
    check_matching(confidence, iou, document, rows)
    detected = rows_by_image(rows, confidence)
    truth = truth_by_image(document, category_ids)
    return {
        image["id"]: _match(truth.get(image["id"], NOTHING), detected.get(image["id"], rows[:0]), iou)
        for image in document["images"]
    }


def _match(truth: ImageTruth, detected: np.ndarray, iou: float) -> ImageMatches:
    missed, false = ~truth.crowd, np.zeros(len(detected), bool)
    same_class = detected[:, 6:7] == truth.classes[None]
    # As in COCO, equal boxes match at an IoU of 1.
    shares = np.where(same_class, overlaps(detected, truth), 0)
    shares[shares < min(iou, 1 - 1e-10)] = 0
    for at, overlap in enumerate(shares):
        free = np.where(missed, overlap, 0)
        if free.any():
            missed[np.flatnonzero(free == free.max())[-1]] = False
        else:
            false[at] = not (overlap[truth.crowd] > 0).any()
    return ImageMatches(truth, missed, detected, false)
