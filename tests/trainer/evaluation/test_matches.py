"""Within a class matching is COCO's; what it says of a box and of a detection adds up."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vistrain_trainer.errors import BadInput
from vistrain_trainer.evaluation.coco_metrics import GroundTruth
from vistrain_trainer.evaluation.confusion import confusion_matrix
from vistrain_trainer.evaluation.matches import match_images
from vistrain_trainer.evaluation.picture_choice import Chosen, choose

IDS, CLASSES = (7, 2), ("car", "bus")

place, side = st.integers(0, 40).map(float), st.sampled_from([10.0, 20.0, 40.0])
annotations = st.lists(
    st.fixed_dictionaries(
        {
            "image_id": st.sampled_from([1, 2]),
            "category_id": st.sampled_from(IDS),
            "bbox": st.tuples(place, place, side, side).map(list),
            "iscrowd": st.sampled_from([0, 0, 0, 1]),
        }
    ),
    max_size=12,
)
detections = st.lists(
    st.tuples(
        st.sampled_from([1, 2]), place, place, side, side, st.sampled_from([0.2, 0.5, 0.9]), st.integers(0, 1)
    ),
    max_size=15,
)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(annotations, detections, st.sampled_from([0.1, 0.4]), st.sampled_from([0.5, 0.75]))
def test_counts_are_those_of_each_class_alone(
    truth: list[Any], found: list[Any], confidence: float, iou: float
) -> None:
    document = {"images": [{"id": 1}, {"id": 2}, {"id": 3}], "annotations": truth}
    rows = np.array(found, np.float64).reshape(-1, 7)
    matches = match_images(document, IDS, rows, confidence=confidence, iou=iou)
    assert set(matches) == {1, 2, 3}
    for index, (category, name) in enumerate(zip(IDS, CLASSES, strict=True)):
        alone = rows[rows[:, 6] == index]
        alone[:, 6] = 0
        (right, missed), (false, _) = confusion_matrix(
            document, [category], [name], alone, confidence=confidence, iou=iou
        ).counts
        every = matches.values()
        assert sum(int((one.missed & (one.truth.classes == index)).sum()) for one in every) == missed
        assert sum(int((one.false & (one.detected[:, 6] == index)).sum()) for one in every) == false
        free = sum(
            int((~one.missed & ~one.truth.crowd & (one.truth.classes == index)).sum()) for one in every
        )
        assert free == right


def test_recall_is_that_of_coco() -> None:
    random = np.random.default_rng(0)
    truth = [
        {"image_id": 1, "category_id": 7, "bbox": [*random.uniform(0, 100, 2), 20.0, 20.0]} for _ in range(30)
    ]
    boxes = np.array([one["bbox"] for one in truth]) + random.normal(0, 3, (30, 4))
    rows = np.column_stack((np.ones(30), boxes, random.random(30), np.zeros(30)))
    document = {"images": [{"id": 1}], "annotations": truth}
    found = match_images(document, IDS, rows, confidence=0)[1]
    recall = GroundTruth(document, IDS).curves(rows).recall[0, 1, 0, -1]  # IoU 0.5, categories by rising id
    assert 0.2 < recall < 1
    assert 1 - found.missed.mean() == pytest.approx(recall)


def test_a_detection_of_a_foreign_image_is_refused() -> None:
    document: dict[str, Any] = {"images": [{"id": 1}], "annotations": []}
    with pytest.raises(BadInput, match="image 9"):
        match_images(document, IDS, np.array([[9, 0, 0, 1, 1, 0.5, 0]]), confidence=0)


def test_the_worst_images_come_first_then_a_fixed_choice_of_others() -> None:
    document = {
        "images": [{"id": at} for at in range(1, 21)],
        "annotations": [
            {"image_id": image, "category_id": 7, "bbox": [10.0 * at, 0.0, 5.0, 5.0]}
            for image, count in ((4, 1), (9, 3), (15, 3))
            for at in range(count)
        ],
    }
    matches = match_images(document, IDS, np.zeros((0, 7)), confidence=0.5)
    chosen = choose(matches, with_errors=2, at_random=3)
    assert chosen[:2] == [Chosen(9, "errors"), Chosen(15, "errors")]
    others = [one.image_id for one in chosen[2:]]
    assert others == sorted(others)
    assert not {9, 15} & set(others)
    assert choose(matches, with_errors=2, at_random=3) == chosen
    # Images without an error are not among the worst, and all of them may be asked for.
    everything = choose(matches, with_errors=9, at_random=99)
    assert [one.why for one in everything].count("errors") == 3
    assert sorted(one.image_id for one in everything) == list(range(1, 21))
