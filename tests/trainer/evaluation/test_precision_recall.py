"""The curves say what the detections say."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vistrain_trainer.errors import BadInput
from vistrain_trainer.evaluation.coco_metrics import Curves, GroundTruth, metrics
from vistrain_trainer.evaluation.precision_recall import precision_recall

CATEGORY_IDS = (7, 2, 30)
CLASSES = ("car", "bus", "bicycle")


def evaluated(boxes: list[tuple[int, list[float]]], rows: list[list[float]]) -> Curves:
    """Of one image: category and box of each truth; box, score and class index of each detection."""
    document: dict[str, Any] = {
        "images": [{"id": 1}],
        "annotations": [{"image_id": 1, "category_id": category, "bbox": box} for category, box in boxes],
    }
    return GroundTruth(document, CATEGORY_IDS).curves(
        np.array([[1, *row] for row in rows], np.float64).reshape(-1, 7)
    )


def square(at: int, size: float = 20) -> list[float]:
    return [40.0 * at, 10.0, size, 20.0]


FAR = [900.0, 900.0, 20.0, 20.0]
# Cars: right, wrong, right, wrong; a third is never found.
CARS = [(7, square(0)), (7, square(1)), (7, square(2))]
CAR_ROWS = [[*square(0), 0.9, 0], [*FAR, 0.8, 0], [*square(1), 0.7, 0], [*FAR, 0.6, 0]]


def test_a_curve_by_hand() -> None:
    found = precision_recall(evaluated(CARS, CAR_ROWS), CATEGORY_IDS, CLASSES)
    car = found.classes["car"]
    assert car is not None
    assert car.confidence is not None
    assert car.best is not None
    # One of three found at 0.9 with precision 1; two of three at 0.7 with precision 2/3; never all.
    assert car.precision == pytest.approx([1] * 34 + [2 / 3] * 33 + [0] * 34)
    assert car.confidence == (*[0.9] * 34, *[0.7] * 33, *[None] * 34)
    assert car.f1[33] == pytest.approx(2 * 0.33 / 1.33)
    assert car.f1[0] == car.f1[67] == 0
    assert car.average_precision == pytest.approx((34 + 33 * 2 / 3) / 101)
    assert (car.best.confidence, car.best.recall) == (0.7, 0.66)
    assert car.best.precision == pytest.approx(2 / 3)
    assert car.best.f1 == pytest.approx(max(car.f1))
    assert found.recall[66] == 0.66
    assert len(found.recall) == 101


def test_a_class_without_ground_truth_is_none_and_not_in_the_mean() -> None:
    found = precision_recall(evaluated(CARS, [*CAR_ROWS, [*FAR, 0.99, 2]]), CATEGORY_IDS, CLASSES)
    assert found.classes["bus"] is None
    assert found.classes["bicycle"] is None
    assert found.pooled == found.classes["car"]


def test_a_class_that_is_never_found_counts_with_zero() -> None:
    found = precision_recall(
        evaluated([*CARS, (30, square(5))], [*CAR_ROWS, [*FAR, 0.99, 2]]), CATEGORY_IDS, CLASSES
    )
    car, bicycle, pooled = found.classes["car"], found.classes["bicycle"], found.pooled
    assert car is not None
    assert bicycle is not None
    assert pooled is not None
    assert set(bicycle.precision) == set(bicycle.f1) == {0.0}
    assert bicycle.confidence == (None,) * 101
    assert bicycle.best is None
    assert pooled.average_precision == pytest.approx(car.average_precision / 2)
    assert pooled.best is not None
    assert car.best is not None
    assert pooled.best.confidence == car.best.confidence
    assert pooled.best.f1 == pytest.approx(car.best.f1 / 2)


def test_the_pooled_confidence_is_one_for_all_classes() -> None:
    """Cars are right above 0.5, buses only below: together they are best at the buses' confidence."""
    boxes = [(7, square(0)), (2, square(1))]
    rows = [[*square(0), 0.9, 0], [*FAR, 0.5, 0], [*square(1), 0.4, 1]]
    pooled = precision_recall(evaluated(boxes, rows), CATEGORY_IDS, CLASSES).pooled
    assert pooled is not None
    assert pooled.best is not None
    assert pooled.confidence is None
    assert pooled.best.confidence == 0.4
    assert pooled.best.f1 == pytest.approx(1)


def test_at_a_stricter_overlap_and_in_the_mean_over_all() -> None:
    """The detection covers 0.7 of the box: right at the five thresholds up to 0.7."""
    curves = evaluated([(7, square(0))], [[*square(0, size=14), 0.6, 0]])
    at = {
        iou: precision_recall(curves, CATEGORY_IDS, CLASSES, iou=iou).classes["car"]
        for iou in (0.5, 0.65, 0.75, None)
    }
    assert [None if curve is None else curve.average_precision for curve in at.values()] == pytest.approx(
        [1, 1, 0, 0.5]
    )
    mean = at[None]
    assert mean is not None
    assert mean.best is not None
    assert mean.precision == pytest.approx([0.5] * 101)
    assert mean.confidence is None
    assert (mean.best.confidence, mean.best.f1) == (0.6, pytest.approx(0.5))


def test_an_overlap_that_is_not_evaluated_is_refused() -> None:
    with pytest.raises(BadInput, match=r"iou: 0\.42: .* 0\.5, 0\.55"):
        precision_recall(evaluated(CARS, []), CATEGORY_IDS, CLASSES, iou=0.42)


@st.composite
def rows(draw: st.DrawFn) -> list[list[float]]:
    place = st.one_of(st.integers(0, 6).map(square), st.just(FAR))
    score = st.one_of(st.sampled_from([0.25, 0.5]), st.floats(0.01, 1))
    return [[*draw(place), draw(score), draw(st.integers(0, 2))] for _ in range(draw(st.integers(0, 15)))]


truths = st.lists(st.tuples(st.sampled_from([7, 2]), st.integers(0, 6).map(square)), max_size=6)


@settings(max_examples=100, deadline=None)
@given(truths, rows(), st.sampled_from([0.5, 0.75, None]))
def test_the_curves_agree_with_the_figures(
    boxes: list[tuple[int, list[float]]], detected: list[list[float]], iou: float | None
) -> None:
    curves = evaluated(boxes, detected)
    found = precision_recall(curves, CATEGORY_IDS, CLASSES, iou=iou)
    figures = metrics(curves, CATEGORY_IDS, CLASSES)
    json.dumps(asdict(found), allow_nan=False)
    name = {0.5: "AP50", 0.75: "AP75", None: "AP"}[iou]
    assert (None if found.pooled is None else found.pooled.average_precision) == (
        None if figures[name] is None else pytest.approx(figures[name])
    )
    for class_name, curve in found.classes.items():
        assert (curve is None) == (figures[f"AP/{class_name}"] is None)
        if curve is None:
            continue
        assert all(now >= then for now, then in zip(curve.precision, curve.precision[1:], strict=False))
        if curve.best is None:
            assert max(curve.f1) == 0
        elif iou is not None:
            # A level reached in the midst of equal scores is no confidence's: those are kept together.
            assert curve.best.f1 <= max(curve.f1) + 1e-9
            if len({row[4] for row in detected}) == len(detected):
                assert curve.best.f1 == pytest.approx(max(curve.f1))


@settings(max_examples=60, deadline=None)
@given(truths.filter(bool), rows())
def test_keeping_what_is_confident_enough_has_the_f1_that_is_promised(
    boxes: list[tuple[int, list[float]]], detected: list[list[float]]
) -> None:
    """Few boxes make every recall lie on a level or just above it, so the promise is kept to a level."""
    scores = np.linspace(0.9, 0.1, len(detected))
    detected = [[*row[:4], score, 0] for row, score in zip(detected, scores.tolist(), strict=True)]
    boxes = [(7, box) for _, box in boxes]
    car = precision_recall(evaluated(boxes, detected), CATEGORY_IDS, CLASSES).classes["car"]
    assert car is not None
    if car.best is None:
        return
    kept = [row for row in detected if row[4] >= car.best.confidence]
    left = [box for _, box in boxes]
    hits = 0
    for row in kept:
        if row[:4] in left:
            left.remove(row[:4])
            hits += 1
    precision, recall = hits / len(kept), hits / len(boxes)
    assert car.best.precision == pytest.approx(precision)
    assert 0 <= recall - car.best.recall < 0.01 + 1e-9
