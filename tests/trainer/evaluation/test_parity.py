"""Precision, recall and scores equal those of pycocotools, the reference, in every number."""

from __future__ import annotations

import contextlib
import io
import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from vistrain_trainer.evaluation.coco_metrics import MAX_DETECTIONS, Curves, GroundTruth, metrics

CATEGORY_IDS = (7, 0, 30)
"""Not in order, one of them 0."""
CLASSES = ("car", "bus", "bicycle")
LIMITS = (1, 10, 100, 300)


def reference(document: dict[str, Any], rows: np.ndarray, limits: Sequence[int]) -> COCOeval:
    """pycocotools' evaluation; annotations are numbered from 1, as it needs."""
    truth = {**document, "annotations": [dict(a) for a in document["annotations"]]}
    for number, annotation in enumerate(truth["annotations"], start=1):
        annotation["id"] = number
        annotation.setdefault("area", annotation["bbox"][2] * annotation["bbox"][3])
        annotation.setdefault("iscrowd", 0)
    found = [
        {
            "id": number,
            "image_id": int(row[0]),
            "category_id": CATEGORY_IDS[int(row[6])],
            "bbox": row[1:5].tolist(),
            "area": row[3] * row[4],
            "iscrowd": 0,
            "score": row[5],
        }
        for number, row in enumerate(rows, start=1)
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = COCOeval(indexed(truth), indexed({**truth, "annotations": found}), "bbox")
        evaluation.params.maxDets = list(limits)
        evaluation.evaluate()
        evaluation.accumulate()
        if tuple(limits) == MAX_DETECTIONS:
            evaluation.summarize()
    return evaluation


def indexed(document: dict[str, Any]) -> COCO:
    coco = COCO()
    coco.dataset = document
    coco.createIndex()
    return coco


def assert_equal_to_reference(document: dict[str, Any], rows: np.ndarray, limits: Sequence[int]) -> None:
    expected = reference(document, rows, limits)
    found = GroundTruth(document, CATEGORY_IDS).curves(rows, max_detections=limits)
    assert_same_curves(found, Curves(*(expected.eval[name] for name in ("precision", "recall", "scores"))))
    if tuple(limits) == MAX_DETECTIONS:
        figures = list(metrics(found, CATEGORY_IDS, CLASSES).values())[:12]
        assert [-1 if value is None else value for value in figures] == pytest.approx(
            expected.stats.tolist(), abs=1e-10
        )


def assert_same_curves(found: Curves, expected: Curves) -> None:
    for name in ("precision", "recall", "scores"):
        np.testing.assert_allclose(
            getattr(found, name), getattr(expected, name), rtol=0, atol=1e-10, err_msg=name
        )


# Whole tens make overlaps that are exactly a threshold, and boxes that overlap two others alike.
place = st.one_of(st.sampled_from([0.0, 10.0, 20.0, 50.0]), st.floats(0, 150))
side = st.one_of(
    st.sampled_from([10.0, 20.0, 32.0, 40.0, 96.0]), st.integers(1, 120).map(float), st.floats(0.5, 130)
)
box = st.tuples(place, place, side, side)
flat_box = st.tuples(place, place, st.just(0.0), side)
"""As a detection outside the image becomes when it is clipped to it."""
score = st.one_of(st.sampled_from([0.0, 0.1, 0.5, 0.5 + 1e-9, 0.9]), st.floats(0, 1))


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    """Images, some empty; classes, some absent; crowds, boxes to ignore, boxes twice."""
    ids = draw(st.lists(st.integers(0, 99), min_size=1, max_size=4, unique=True))
    present = draw(st.sets(st.sampled_from(CATEGORY_IDS), min_size=1))
    annotation = st.fixed_dictionaries(
        {
            "image_id": st.sampled_from(ids),
            "category_id": st.sampled_from(sorted(present)),
            "bbox": st.one_of(box, box, box, flat_box).map(list),
        },
        optional={
            "iscrowd": st.sampled_from([0, 0, 1]),
            "ignore": st.sampled_from([0, 1]),
            "area": st.sampled_from([500.0, 1024.0, 9216.0, 20_000.0]),
        },
    )
    annotations = draw(st.lists(annotation, max_size=10))
    if annotations:
        annotations += [dict(a) for a in draw(st.lists(st.sampled_from(annotations), max_size=2))]
    return {
        "images": [{"id": image, "width": 300, "height": 250} for image in ids],
        "categories": [{"id": category, "name": str(category)} for category in CATEGORY_IDS],
        "annotations": annotations,
    }


@st.composite
def cases(draw: st.DrawFn) -> tuple[dict[str, Any], np.ndarray]:
    """A document with detections near its boxes and far away, many of equal score."""
    document = draw(documents())
    ids = [image["id"] for image in document["images"]]
    rows = []
    for _ in range(draw(st.integers(0, 25))):
        if document["annotations"] and draw(st.booleans()):
            near = draw(st.sampled_from(document["annotations"]))
            x, y, w, h = near["bbox"]
            x += draw(st.sampled_from([0.0, 0.0, 1.0, 4.0, 10.0]))
            w *= draw(st.sampled_from([1.0, 1.0, 0.5, 0.75, 2.0]))
            class_index = CATEGORY_IDS.index(near["category_id"])
            rows.append([near["image_id"], x, y, w, h, draw(score), class_index])
        else:
            rows.append(
                [
                    draw(st.sampled_from(ids)),
                    *draw(st.one_of(box, box, box, flat_box)),
                    draw(score),
                    draw(st.integers(0, 2)),
                ]
            )
    return document, np.array(rows, np.float64).reshape(-1, 7)


def crowd(document: dict[str, Any], rows: np.ndarray) -> bool:
    """A detection inside a crowd of its class."""
    return any(
        a.get("iscrowd")
        and [row[0], *row[1:5], CATEGORY_IDS[int(row[6])]] == [a["image_id"], *a["bbox"], a["category_id"]]
        for a in document["annotations"]
        for row in rows.tolist()
    )


def equal_scores(document: dict[str, Any], rows: np.ndarray) -> bool:
    """Two different detections of one class in one image, in which it has a box, with one score."""
    boxes = {(a["image_id"], a["category_id"]) for a in document["annotations"]}
    seen: dict[tuple[float, ...], list[float]] = {}
    for row in rows.tolist():
        if (row[0], CATEGORY_IDS[int(row[6])]) in boxes:
            before = seen.setdefault((row[0], row[5], row[6]), row)
            if before != row:
                return True
    return False


def classes_of(document: dict[str, Any]) -> set[int]:
    return {CATEGORY_IDS.index(a["category_id"]) for a in document["annotations"]}


FEATURES = {
    "crowd": crowd,
    "ignore": lambda document, rows: any(a.get("ignore") for a in document["annotations"]),
    "an image without a box": lambda document, rows: (
        {i["id"] for i in document["images"]} > {a["image_id"] for a in document["annotations"]} > set()
    ),
    "no box at all": lambda document, rows: not document["annotations"] and len(rows) > 0,
    "no detection": lambda document, rows: len(rows) == 0 and bool(document["annotations"]),
    "an absent class that is detected": lambda document, rows: bool(
        set(rows[:, 6].astype(int).tolist()) - classes_of(document)
    ),
    "equal scores": equal_scores,
    "an area on a bound": lambda document, rows: any(
        a.get("area") in (32.0**2, 96.0**2) for a in document["annotations"]
    ),
    "a box twice": lambda document, rows: any(
        a == b for a, b in itertools.combinations(document["annotations"], 2)
    ),
    "a flat box": lambda document, rows: bool((rows[:, 3] == 0).any()),
}


@pytest.mark.parametrize("feature", FEATURES)
def test_the_cases_have_what_evaluations_stumble_over(feature: str) -> None:
    """And what is found of it equals pycocotools, at all of the limits."""
    found = find(
        cases(),
        lambda case: bool(FEATURES[feature](*case)),
        settings=settings(
            max_examples=2000, derandomize=True, database=None, deadline=None, phases=[Phase.generate]
        ),
    )
    for limits in (MAX_DETECTIONS, LIMITS):
        assert_equal_to_reference(*found, limits)


@settings(max_examples=460, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(cases(), st.sampled_from([MAX_DETECTIONS, (1, 2, 3), LIMITS]))
def test_equals_pycocotools(case: tuple[dict[str, Any], np.ndarray], limits: tuple[int, ...]) -> None:
    assert_equal_to_reference(*case, limits)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    documents(),
    st.integers(0, 2**32 - 1),
    st.integers(90, 340),
    st.sampled_from([MAX_DETECTIONS, LIMITS, (300,)]),
)
def test_equals_pycocotools_where_the_limits_of_detections_cut(
    document: dict[str, Any], seed: int, count: int, limits: tuple[int, ...]
) -> None:
    random = np.random.default_rng(seed)
    truth = document["annotations"]
    boxes = [a["bbox"] for a in truth] or [[10.0, 10.0, 40.0, 40.0]]
    images = [a["image_id"] for a in truth] or [document["images"][0]["id"]]
    classes = [CATEGORY_IDS.index(a["category_id"]) for a in truth] or [0]
    # Most detections are of the first box, so that one class of one image has more than any limit.
    near = np.where(random.random(count) < 0.9, 0, random.integers(0, len(boxes), count))
    rows = np.column_stack(
        (
            np.array(images)[near],
            np.array(boxes)[near] + random.choice([0.0, 0.0, 1.0, 5.0], (count, 4)),
            random.integers(1, 20, count) / 20,
            np.array(classes)[near],
        )
    ).astype(np.float64)
    assert_equal_to_reference(document, rows, limits)
