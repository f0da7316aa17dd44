"""COCO's average precision and recall, with nothing instead of a number where there is no ground truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from faster_coco_eval import COCO
from faster_coco_eval.core.faster_eval_api import COCOeval_faster

MAX_DETECTIONS = (1, 10, 100)
_ALL, _SMALL, _MEDIUM, _LARGE = range(4)


@dataclass(frozen=True)
class Curves:
    """The arrays that all figures are computed from; -1 where there is no ground truth."""

    precision: np.ndarray
    """(IoU thresholds, recall levels, classes, areas, limits of detections)."""
    recall: np.ndarray
    """(IoU thresholds, classes, areas, limits of detections)."""
    scores: np.ndarray
    """As precision: the score at which each recall level is reached."""


class GroundTruth:
    """Boxes of a split in COCO's form, indexed once for any number of evaluations."""

    def __init__(self, document: Mapping[str, Any], category_ids: Sequence[int]) -> None:
        """Take over what counts of a COCO document.

        Annotations are numbered anew from 1: in COCO's matching an annotation 0 counts as none. Areas that
        are not stated are those of the boxes.

        Args:
            document: with images, annotations and categories; info may be absent.
            category_ids: id of each class, in the order of the class index.
        """
        self.category_ids = tuple(category_ids)
        self._images = [{"id": image["id"]} for image in document["images"]]
        self._categories = [{"id": category} for category in sorted(category_ids)]
        self._coco = self._indexed(
            [
                {
                    "id": number,
                    "image_id": given["image_id"],
                    "category_id": given["category_id"],
                    "bbox": given["bbox"],
                    "area": given.get("area", given["bbox"][2] * given["bbox"][3]),
                    "iscrowd": int(given.get("iscrowd", 0)),
                }
                for number, given in enumerate(document["annotations"], start=1)
            ]
        )

    def curves(self, rows: np.ndarray, *, max_detections: Sequence[int] = MAX_DETECTIONS) -> Curves:
        """Evaluate detections.

        Args:
            rows: (n, 7) float64 image id, x, y, w, h, score, class index. Of equal scores in an image the
                earlier row is the better.
            max_detections: how many detections of a class in an image count, ascending; the last axis of
                the arrays. :func:`metrics` asks for COCO's three.
        """
        found = self._indexed(
            [
                {
                    "id": number,
                    "image_id": int(image),
                    "category_id": self.category_ids[int(class_index)],
                    "bbox": [x, y, w, h],
                    "area": w * h,
                    "iscrowd": 0,
                    "score": score,
                }
                for number, (image, x, y, w, h, score, class_index) in enumerate(rows.tolist(), start=1)
            ]
        )
        evaluation = COCOeval_faster(self._coco, found, "bbox", print_function=_say_nothing)
        evaluation.params.maxDets = list(max_detections)
        evaluation.evaluate()
        evaluation.accumulate()
        return Curves(*(np.asarray(evaluation.eval[name]) for name in ("precision", "recall", "scores")))

    def _indexed(self, annotations: list[dict[str, Any]]) -> COCO:
        return COCO(
            {
                "info": {},
                "images": [dict(image) for image in self._images],
                "categories": [dict(category) for category in self._categories],
                "annotations": annotations,
            },
            print_function=_say_nothing,
        )


def metrics(curves: Curves, category_ids: Sequence[int], classes: Sequence[str]) -> dict[str, float | None]:
    """COCO's twelve figures, then `AP/<class>` and `AR/<class>`; None where there is no ground truth.

    Args:
        curves: of an evaluation.
        category_ids: COCO id of each class.
        classes: name of each class, in the same order.
    """
    precision, recall = curves.precision, curves.recall
    found: dict[str, float | None] = {
        "AP": _mean(precision[:, :, :, _ALL, -1]),
        "AP50": _mean(precision[0, :, :, _ALL, -1]),
        "AP75": _mean(precision[5, :, :, _ALL, -1]),
        "APsmall": _mean(precision[:, :, :, _SMALL, -1]),
        "APmedium": _mean(precision[:, :, :, _MEDIUM, -1]),
        "APlarge": _mean(precision[:, :, :, _LARGE, -1]),
        "AR1": _mean(recall[:, :, _ALL, 0]),
        "AR10": _mean(recall[:, :, _ALL, 1]),
        "AR100": _mean(recall[:, :, _ALL, 2]),
        "ARsmall": _mean(recall[:, :, _SMALL, -1]),
        "ARmedium": _mean(recall[:, :, _MEDIUM, -1]),
        "ARlarge": _mean(recall[:, :, _LARGE, -1]),
    }
    place = {category: at for at, category in enumerate(sorted(category_ids))}
    for category, name in zip(category_ids, classes, strict=True):
        found[f"AP/{name}"] = _mean(precision[:, :, place[category], _ALL, -1])
        found[f"AR/{name}"] = _mean(recall[:, place[category], _ALL, -1])
    return found


def _mean(values: np.ndarray) -> float | None:
    known = values[values > -1]
    return float(known.mean()) if known.size else None


def _say_nothing(*_: object) -> None:
    return None
