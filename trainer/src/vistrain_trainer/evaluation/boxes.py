"""Ground truth and detections of a split, image by image."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from faster_coco_eval.core import mask


@dataclass(frozen=True)
class ImageTruth:
    """The ground truth of one image."""

    boxes: np.ndarray
    """(n, 4) x, y, w, h."""
    classes: np.ndarray
    """(n,) class indices."""
    crowd: np.ndarray
    """(n,) bool."""


NOTHING = ImageTruth(np.zeros((0, 4)), np.zeros(0, np.int64), np.zeros(0, bool))


def truth_by_image(document: Mapping[str, Any], category_ids: Sequence[int]) -> dict[int, ImageTruth]:
    """The boxes of the images that have any, by image id; annotations of other categories do not count."""
    index = {category: at for at, category in enumerate(category_ids)}
    found: defaultdict[int, list[Mapping[str, Any]]] = defaultdict(list)
    for annotation in document["annotations"]:
        if annotation["category_id"] in index:
            found[annotation["image_id"]].append(annotation)
    return {
        image: ImageTruth(
            np.array([annotation["bbox"] for annotation in annotations], np.float64),
            np.array([index[annotation["category_id"]] for annotation in annotations]),
            np.array([bool(annotation.get("iscrowd", 0)) for annotation in annotations]),
        )
        for image, annotations in found.items()
    }


def rows_by_image(rows: np.ndarray, confidence: float = 0.0) -> dict[int, np.ndarray]:
    """Detections of at least `confidence` by image id, by falling score, of equals the earlier first.

    Args:
        rows: (n, 7) float64 image id, x, y, w, h, score, class index.
        confidence: the least score.
    """
    kept = rows[rows[:, 5] >= confidence]
    kept = kept[np.lexsort((-kept[:, 5], kept[:, 0]))]  # stable: of equals the earlier row stays first
    ends = np.flatnonzero(np.diff(kept[:, 0])) + 1
    return {int(group[0, 0]): group for group in np.split(kept, ends) if len(group)}


def overlaps(detected: np.ndarray, truth: ImageTruth) -> np.ndarray:
    """(detections, boxes) IoU of (n, 7) rows; of crowds the share of the detection that lies in them."""
    if not len(detected) or not len(truth.boxes):
        return np.zeros((len(detected), len(truth.boxes)))
    return np.asarray(
        mask.iou(
            np.ascontiguousarray(detected[:, 1:5]), np.ascontiguousarray(truth.boxes), truth.crowd.astype(int)
        )
    )
