"""COCO's figures by name; that they equal the reference is in test_parity.py."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from vistrain_trainer.evaluation.coco_metrics import GroundTruth, metrics

CATEGORY_IDS = (7, 2, 30)
CLASSES = ("car", "bus", "bicycle")


def world(boxes: list[tuple[int, int, list[float]]]) -> dict[str, Any]:
    return {
        "images": [{"id": 1, "width": 400, "height": 300}, {"id": 2, "width": 400, "height": 300}],
        "categories": [{"id": category, "name": str(category)} for category in CATEGORY_IDS],
        "annotations": [
            {"id": number, "image_id": image, "category_id": category, "bbox": box}
            for number, (image, category, box) in enumerate(boxes)  # from 0, which COCO takes for none
        ],
    }


def test_a_perfect_detector() -> None:
    document = world([(1, 7, [10, 10, 40, 40]), (2, 2, [50, 60, 100, 120])])
    rows = np.array([[1, 10, 10, 40, 40, 0.9, 0], [2, 50, 60, 100, 120, 0.8, 1]], np.float64)
    found = metrics(GroundTruth(document, CATEGORY_IDS).curves(rows), CATEGORY_IDS, CLASSES)
    assert found["AP"] == pytest.approx(1)
    assert found["AR1"] == pytest.approx(1)
    assert found["AP/car"] == pytest.approx(1)
    assert found["AP/bus"] == pytest.approx(1)


def test_what_has_no_ground_truth_is_none() -> None:
    """Never -1, which averages and plots would take for a number."""
    document = world([(1, 7, [10, 10, 40, 40])])
    rows = np.array([[1, 10, 10, 40, 40, 0.9, 2]], np.float64)
    found = metrics(GroundTruth(document, CATEGORY_IDS).curves(rows), CATEGORY_IDS, CLASSES)
    assert found["AP/car"] == 0
    assert found["AP/bus"] is None
    assert found["AP/bicycle"] is None
    assert found["APlarge"] is None
    assert found["APmedium"] == 0
    assert None not in (found["AP"], found["AP50"], found["AR100"])


@pytest.mark.parametrize("detected", [0, 3])
def test_nothing_is_said_and_nothing_crashes(detected: int, capfd: pytest.CaptureFixture[str]) -> None:
    rows = np.array([[1, 200, 100, 9, 9, 0.5, 0]] * detected, np.float64).reshape(-1, 7)
    found = metrics(
        GroundTruth(world([(1, 7, [10, 10, 40, 40])]), CATEGORY_IDS).curves(rows), CATEGORY_IDS, CLASSES
    )
    assert found["AP"] == found["AR100"] == 0
    assert capfd.readouterr() == ("", "")


def test_one_ground_truth_serves_many_evaluations() -> None:
    document = world([(1, 7, [10, 10, 40, 40])])
    truth = GroundTruth(document, CATEGORY_IDS)
    hit = np.array([[1, 10, 10, 40, 40, 0.9, 0]], np.float64)
    found = [metrics(truth.curves(rows), CATEGORY_IDS, CLASSES)["AP"] for rows in (hit, hit[:0], hit)]
    assert found == [pytest.approx(1), 0, pytest.approx(1)]
    assert set(document["annotations"][0]) == {"id", "image_id", "category_id", "bbox"}
