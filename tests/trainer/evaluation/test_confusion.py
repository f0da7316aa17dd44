"""Every box and every detection is counted once, in its place."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vistrain_trainer.errors import BadInput
from vistrain_trainer.evaluation.coco_metrics import GroundTruth
from vistrain_trainer.evaluation.confusion import ConfusionMatrix, confusion_matrix

CATEGORY_IDS = (7, 2)
CLASSES = ("car", "bus")
CAR, BUS, BACKGROUND = range(3)
BOX = [10.0, 10.0, 40.0, 20.0]
FAR = [500.0, 10.0, 40.0, 20.0]

Truth = tuple[int, int, list[float], int]
"""Image, class index, box, whether a crowd."""


def world(truths: list[Truth]) -> dict[str, Any]:
    return {
        "images": [{"id": image} for image in (1, 2, 3)],
        "annotations": [
            {"image_id": image, "category_id": CATEGORY_IDS[class_index], "bbox": box, "iscrowd": crowd}
            for image, class_index, box, crowd in truths
        ],
    }


def confusion(
    truths: list[Truth], rows: list[list[float]], confidence: float = 0.3, iou: float = 0.5
) -> ConfusionMatrix:
    detected = np.array(rows, np.float64).reshape(-1, 7)
    return confusion_matrix(world(truths), CATEGORY_IDS, CLASSES, detected, confidence=confidence, iou=iou)


def shifted(share: float) -> list[float]:
    """A box that overlaps BOX by this IoU, to its right."""
    return [10 + 40 * (1 - share) / (1 + share), *BOX[1:]]


@pytest.mark.parametrize(
    ("truths", "rows", "expected"),
    [
        ([(1, CAR, BOX, 0)], [[1, *BOX, 0.9, CAR]], {(CAR, CAR): 1}),
        ([(1, CAR, BOX, 0)], [[1, *BOX, 0.9, BUS]], {(CAR, BUS): 1}),
        ([(1, CAR, BOX, 0)], [], {(CAR, BACKGROUND): 1}),
        ([], [[3, *BOX, 0.9, BUS]], {(BACKGROUND, BUS): 1}),
        # In another image it is both a miss and a false detection.
        ([(1, CAR, BOX, 0)], [[2, *BOX, 0.9, CAR]], {(CAR, BACKGROUND): 1, (BACKGROUND, CAR): 1}),
        # Under the confidence: not counted at all; exactly at it: counted.
        ([(1, CAR, BOX, 0)], [[1, *BOX, 0.29, CAR]], {(CAR, BACKGROUND): 1}),
        ([(1, CAR, BOX, 0)], [[1, *BOX, 0.3, CAR]], {(CAR, CAR): 1}),
        # Overlap just above and just below the threshold.
        ([(1, CAR, BOX, 0)], [[1, *shifted(0.501), 0.9, CAR]], {(CAR, CAR): 1}),
        (
            [(1, CAR, BOX, 0)],
            [[1, *shifted(0.499), 0.9, CAR]],
            {(CAR, BACKGROUND): 1, (BACKGROUND, CAR): 1},
        ),
        # One to one: the second detection of a box is false, also when its class is the right one.
        (
            [(1, CAR, BOX, 0)],
            [[1, *BOX, 0.8, CAR], [1, *BOX, 0.9, BUS]],
            {(CAR, BUS): 1, (BACKGROUND, CAR): 1},
        ),
        # Of equal scores the earlier row chooses first.
        (
            [(1, CAR, BOX, 0)],
            [[1, *BOX, 0.9, CAR], [1, *BOX, 0.9, BUS]],
            {(CAR, CAR): 1, (BACKGROUND, BUS): 1},
        ),
        # It takes what it overlaps most, even of another class; of equal overlaps its own class.
        (
            [(1, CAR, BOX, 0), (1, BUS, shifted(0.8), 0)],
            [[1, *BOX, 0.9, BUS]],
            {(CAR, BUS): 1, (BUS, BACKGROUND): 1},
        ),
        (
            [(1, BUS, BOX, 0), (1, CAR, BOX, 0)],
            [[1, *BOX, 0.9, BUS]],
            {(BUS, BUS): 1, (CAR, BACKGROUND): 1},
        ),
        (
            [(1, CAR, BOX, 0), (1, BUS, BOX, 0)],
            [[1, *BOX, 0.9, BUS]],
            {(BUS, BUS): 1, (CAR, BACKGROUND): 1},
        ),
        # Of equal overlaps with its own class the later, which the next detection then lacks.
        (
            [(1, CAR, [0.0, 0.0, 40.0, 20.0], 0), (1, CAR, [20.0, 0.0, 40.0, 20.0], 0)],
            [[1, 10, 0, 40, 20, 0.9, CAR], [1, 20, 0, 40, 20, 0.8, CAR]],
            {(CAR, CAR): 1, (CAR, BACKGROUND): 1, (BACKGROUND, CAR): 1},
        ),
    ],
)
def test_by_hand(truths: list[Truth], rows: list[list[float]], expected: dict[tuple[int, int], int]) -> None:
    found = confusion(truths, rows)
    assert places(found) == expected
    assert found.in_crowds == 0
    assert found.labels == ("car", "bus", "background")


def places(found: ConfusionMatrix) -> dict[tuple[int, int], int]:
    return {
        (row, column): count
        for row, counts in enumerate(found.counts)
        for column, count in enumerate(counts)
        if count
    }


def test_in_a_crowd_a_detection_is_neither_right_nor_false() -> None:
    crowd: Truth = (1, BUS, [0.0, 0.0, 300.0, 200.0], 1)
    inside = [[1, *BOX, 0.9, CAR], [1, 200, 100, 20, 20, 0.8, BUS]]
    found = confusion([crowd], [*inside, [1, *FAR, 0.7, CAR], [2, *BOX, 0.9, CAR]])
    assert places(found) == {(BACKGROUND, CAR): 2}
    assert found.in_crowds == 2


def test_a_box_inside_a_crowd_is_taken_before_the_crowd() -> None:
    found = confusion(
        [(1, CAR, [0.0, 0.0, 300.0, 200.0], 1), (1, CAR, BOX, 0)],
        [[1, *BOX, 0.9, CAR], [1, *BOX, 0.8, CAR]],
    )
    assert places(found) == {(CAR, CAR): 1}
    assert found.in_crowds == 1


def test_a_detection_half_out_of_a_crowd_is_false() -> None:
    found = confusion([(1, CAR, [0.0, 0.0, 25.0, 200.0], 1)], [[1, *BOX, 0.9, CAR]])
    assert places(found) == {(BACKGROUND, CAR): 1}


def test_equal_boxes_match_at_an_overlap_of_one() -> None:
    box = [10.1, 20.3, 30.7, 40.9]
    assert places(confusion([(1, CAR, box, 0)], [[1, *box, 0.9, CAR]], iou=1)) == {(CAR, CAR): 1}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"confidence": 1.2}, r"confidence: 1\.2"),
        ({"iou": 0}, "iou: 0"),
        ({"rows": [[9, *BOX, 0.9, CAR]]}, "detections: image 9"),
    ],
)
def test_bad_input_is_told(change: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        confusion(**{"truths": [], "rows": [], **change})


place = st.sampled_from([0.0, 5.0, 10.0, 20.0])
box = st.tuples(place, place, st.sampled_from([20.0, 40.0]), st.just(20.0)).map(list)
truths = st.lists(
    st.tuples(st.integers(1, 2), st.integers(0, 1), box, st.sampled_from([0, 0, 0, 1])), max_size=8
)
score = st.one_of(st.sampled_from([0.3, 0.5]), st.floats(0, 1))
detections = st.lists(
    st.tuples(st.sampled_from([1, 1, 2, 3]), box, score, st.integers(0, 1)).map(
        lambda row: [row[0], *row[1], row[2], row[3]]
    ),
    max_size=15,
)


@settings(max_examples=150, deadline=None)
@given(truths, detections, st.sampled_from([0.0, 0.3, 0.6]), st.sampled_from([0.3, 0.5, 1.0]))
def test_rows_add_up_to_boxes_and_columns_to_detections(
    boxes: list[Truth], rows: list[list[float]], confidence: float, iou: float
) -> None:
    found = confusion(boxes, rows, confidence, iou)
    counts = np.array(json.loads(json.dumps(asdict(found)))["counts"])
    present = Counter(class_index for _, class_index, _, crowd in boxes if not crowd)
    assert counts.sum(axis=1)[:2].tolist() == [present[CAR], present[BUS]]
    counted = Counter(int(row[6]) for row in rows if row[5] >= confidence)
    columns = counts.sum(axis=0)[:2]
    assert all(columns <= [counted[CAR], counted[BUS]])
    assert columns.sum() + found.in_crowds == counted.total()
    assert counts[BACKGROUND, BACKGROUND] == 0
    if not any(crowd for *_, crowd in boxes):
        assert found.in_crowds == 0


@settings(max_examples=100, deadline=None)
@given(truths, detections)
def test_of_one_class_it_is_cocos_matching(boxes: list[Truth], rows: list[list[float]]) -> None:
    boxes = [(image, CAR, box, crowd) for image, _, box, crowd in boxes]
    rows = [[*row[:6], CAR] for row in rows]
    curves = GroundTruth(world(boxes), CATEGORY_IDS).curves(np.array(rows, np.float64).reshape(-1, 7))
    found = confusion(boxes, rows, confidence=0)
    present = sum(not crowd for *_, crowd in boxes)
    recall = curves.recall[0, 1, 0, -1]  # class 7 comes second in COCO's order
    assert found.counts[CAR][CAR] == pytest.approx(max(recall, 0) * present)


@settings(max_examples=50, deadline=None)
@given(truths, detections)
def test_the_order_of_images_and_classes_does_not_matter(boxes: list[Truth], rows: list[list[float]]) -> None:
    by_image = sorted(rows, key=lambda row: -row[0])
    assert confusion(boxes, by_image) == confusion(boxes, rows)
    swapped = confusion(
        [(image, 1 - class_index, box, crowd) for image, class_index, box, crowd in boxes],
        [[*row[:6], 1 - row[6]] for row in rows],
    )
    order = [BUS, CAR, BACKGROUND]
    assert np.array(swapped.counts)[np.ix_(order, order)].tolist() == [
        list(row) for row in confusion(boxes, rows).counts
    ]
