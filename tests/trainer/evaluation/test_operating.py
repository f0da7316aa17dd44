"""Counts at one confidence, class by class."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from vistrain_trainer.evaluation.operating import Counted, Operating, operating

IDS, CLASSES = (7, 2, 30), ("car", "bus", "bicycle")
CAR, BUS, BICYCLE = range(3)


def box(at: int) -> list[float]:
    return [100.0 * at, 10.0, 40.0, 40.0]


def world(*annotations: tuple[int, int, int]) -> dict[str, Any]:
    """Annotations as (place, class, crowd)."""
    return {
        "images": [{"id": 1}],
        "annotations": [
            {"image_id": 1, "category_id": IDS[kind], "bbox": box(at), "iscrowd": crowd}
            for at, kind, crowd in annotations
        ],
    }


def counted(document: dict[str, Any], rows: list[list[float]], confidence: float) -> Operating:
    array = np.array(rows, np.float64).reshape(-1, 7)
    return operating(document, IDS, CLASSES, array, chosen="stated", confidence=confidence)


def test_counts_by_class_and_confidence() -> None:
    document = world((0, CAR, 0), (1, CAR, 0), (2, BUS, 0), (3, CAR, 1))
    rows = [
        [1, *box(0), 0.9, CAR],
        [1, *box(3), 0.8, CAR],  # in a crowd: neither right nor false
        [1, *box(2), 0.7, CAR],  # a bus taken for a car is false, and the bus is missed
        [1, *box(1), 0.2, CAR],
        [1, *box(5), 0.9, BICYCLE],
    ]
    found = counted(document, rows, 0.5)
    assert found.classes["car"] == Counted(1, 1, 1, precision=0.5, recall=0.5, f1=0.5)
    assert found.classes["bus"] == Counted(0, 0, 1, precision=None, recall=0.0, f1=0.0)
    assert found.classes["bicycle"] is None
    assert found.pooled == Counted(1, 1, 2, precision=0.5, recall=pytest.approx(1 / 3), f1=pytest.approx(0.4))
    lower = counted(document, rows, 0.2).classes["car"]
    assert lower is not None
    assert (lower.right, lower.missed, lower.recall) == (2, 0, 1.0)


def test_nothing_detected_has_no_precision() -> None:
    found = counted(world((0, CAR, 0)), [], 0.5)
    assert found.pooled == Counted(0, 0, 1, precision=None, recall=0.0, f1=0.0)
