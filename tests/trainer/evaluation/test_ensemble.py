"""An ensemble of a detector with itself is that detector; of others, what the method says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vistrain_trainer.errors import BadInput
from vistrain_trainer.evaluation.coco_metrics import GroundTruth, metrics
from vistrain_trainer.evaluation.ensemble import Method, merge
from vistrain_trainer.evaluation.thresholds import Thresholds

IDS, CLASSES = (7, 2), ("car", "bus")
THRESHOLDS = Thresholds(0.1, 0.6, 100)
METHODS: tuple[Method, ...] = ("wbf", "nms")


def rows(*boxes: list[float]) -> np.ndarray:
    return np.array(boxes, np.float64).reshape(-1, 7)


A = [1, 10, 10, 40, 20, 0.8, 0]
A_SHIFTED = [1, 14, 10, 40, 20, 0.4, 0]  # IoU with A: 36 / 44
FAR = [1, 200, 10, 40, 20, 0.6, 0]


def test_fused_boxes_are_means_weighted_by_score() -> None:
    found = merge([rows(A), rows(A_SHIFTED)], THRESHOLDS, "wbf")
    assert found.tolist() == [pytest.approx([1, 10 + 4 / 3, 10, 40, 20, 0.6, 0])]


def test_what_one_of_two_sees_counts_half() -> None:
    found = merge([rows(A, FAR), rows(A)], THRESHOLDS, "wbf")
    assert found[:, 5].tolist() == pytest.approx([0.8, 0.3])
    assert len(merge([rows([1, 9, 9, 9, 9, 0.15, 0]), rows()], THRESHOLDS, "wbf")) == 0  # now below 0.1


def test_suppression_keeps_the_best_of_the_union() -> None:
    found = merge([rows(A_SHIFTED), rows(A, FAR)], THRESHOLDS, "nms")
    assert found.tolist() == [A, FAR]


@pytest.mark.parametrize("method", METHODS)
def test_classes_and_images_are_apart(method: Method) -> None:
    bus, elsewhere = [*A[:6], 1], [2, *A[1:]]
    found = merge([rows(A, elsewhere), rows(bus)], Thresholds(0, 0.6, 100), method)
    assert {(row[0], row[6]) for row in found.tolist()} == {(1, 0), (1, 1), (2, 0)}


@pytest.mark.parametrize("method", METHODS)
def test_no_more_than_the_limit_of_an_image(method: Method) -> None:
    many = rows(*[[image, 100.0 * at, 0, 20, 20, 0.9 - at / 10, 0] for image in (3, 5) for at in range(5)])
    found = merge([many, many], Thresholds(0.01, 0.6, 3), method)
    assert found[:, 0].tolist() == [3, 3, 3, 5, 5, 5]
    assert found[:3, 5].tolist() == pytest.approx([0.9, 0.8, 0.7])


@pytest.mark.parametrize("method", METHODS)
def test_nothing_found_by_anybody(method: Method) -> None:
    assert merge([rows(), rows()], THRESHOLDS, method).shape == (0, 7)


def test_an_overlap_of_one_is_refused() -> None:
    with pytest.raises(BadInput, match="nothing is merged"):
        merge([rows(A), rows(A)], Thresholds(0.1, 1.0, 100), "wbf")


place, side = st.integers(0, 60).map(float), st.sampled_from([0.0, 7.5, 20.0, 33.3, 60.0])
score = st.one_of(st.sampled_from([0.0, 0.25, 0.5, 0.9]), st.floats(0, 1))
detection = st.tuples(st.sampled_from([1, 4]), place, place, side, side, score, st.integers(0, 1))


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    st.lists(detection, max_size=25),
    st.lists(detection, max_size=6),
    st.sampled_from(METHODS),
    st.integers(2, 3),
)
def test_a_detector_with_itself_has_the_same_figures(
    given_rows: list[Any], truth: list[Any], method: Method, times: int
) -> None:
    """Any detections, also such that overlap more than suppression lets them: clipping can do that."""
    alone = rows(*given_rows)
    alone = alone[np.lexsort((-alone[:, 5], alone[:, 0]))]
    both = merge([alone] * times, Thresholds(0.0, 0.5, 100), method)
    assert both[:, [0, 6]].tolist() == alone[:, [0, 6]].tolist()
    np.testing.assert_allclose(both, alone, rtol=1e-12)
    document = {
        "images": [{"id": 1}, {"id": 4}],
        "annotations": [
            {"image_id": image, "category_id": IDS[kind], "bbox": [x, y, w, h]}
            for image, x, y, w, h, _, kind in truth
        ],
    }
    judge = GroundTruth(document, IDS)
    figures = [metrics(judge.curves(found), IDS, CLASSES) for found in (alone, both)]
    assert figures[0] == pytest.approx(figures[1], abs=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_two_boxes_of_one_detector_stay_two(method: Method) -> None:
    found = merge([rows(A, A_SHIFTED), rows()], Thresholds(0.1, 0.6, 100), method)
    assert found[:, 1].tolist() == [10, 14]
    found = merge([rows(A, A_SHIFTED), rows([*A[:5], 0.7, 0])], THRESHOLDS, "wbf")
    assert found[:, 5].tolist() == pytest.approx([0.75, 0.2])
