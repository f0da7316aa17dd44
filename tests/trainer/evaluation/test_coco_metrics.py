"""The figures equal those of pycocotools, the reference."""

from __future__ import annotations

import contextlib
import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from vistrain_trainer.evaluation.coco_metrics import Curves, GroundTruth, metrics

CATEGORY_IDS = (7, 2, 30)
CLASSES = ("car", "bus", "bicycle")


def reference(document: dict[str, Any], rows: np.ndarray) -> tuple[Curves, list[float]]:
    """Curves and the twelve figures of pycocotools; annotations are numbered from 1, as it needs."""
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
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    curves = Curves(*(evaluation.eval[name] for name in ("precision", "recall", "scores")))
    return curves, evaluation.stats.tolist()


def indexed(document: dict[str, Any]) -> COCO:
    coco = COCO()
    coco.dataset = document
    coco.createIndex()
    return coco


side = st.one_of(st.integers(1, 120).map(float), st.sampled_from([32.0, 96.0]), st.floats(0.5, 130))
box = st.tuples(st.floats(0, 150), st.floats(0, 100), side, side)


@st.composite
def cases(draw: st.DrawFn) -> tuple[dict[str, Any], np.ndarray]:
    """Images, some empty; classes, some absent; crowds; ties in score; detections near boxes and far away."""
    ids = draw(st.lists(st.integers(1, 99), min_size=1, max_size=4, unique=True))
    present = draw(st.sets(st.sampled_from(CATEGORY_IDS), min_size=1))
    annotations = draw(
        st.lists(
            st.fixed_dictionaries(
                {
                    "image_id": st.sampled_from(ids),
                    "category_id": st.sampled_from(sorted(present)),
                    "bbox": box.map(list),
                },
                optional={
                    "iscrowd": st.sampled_from([0, 0, 1]),
                    "area": st.sampled_from([500.0, 1024.0, 9216.0, 20_000.0]),
                },
            ),
            max_size=12,
        )
    )
    document = {
        "images": [{"id": image, "width": 300, "height": 250} for image in ids],
        "categories": [{"id": category, "name": str(category)} for category in CATEGORY_IDS],
        "annotations": annotations,
    }
    score = st.one_of(st.sampled_from([0.1, 0.5, 0.5000001, 0.9]), st.floats(0.01, 1))
    rows = []
    for _ in range(draw(st.integers(0, 25))):
        if annotations and draw(st.booleans()):
            near = draw(st.sampled_from(annotations))
            shift = draw(st.sampled_from([0.0, 0.0, 1.0, 4.0, 15.0]))
            x, y, w, h = near["bbox"]
            image = near["image_id"]
            class_index = CATEGORY_IDS.index(near["category_id"])
            rows.append([image, x + shift, y, w, h, draw(score), class_index])
        else:
            rows.append([draw(st.sampled_from(ids)), *draw(box), draw(score), draw(st.integers(0, 2))])
    return document, np.array(rows, np.float64).reshape(-1, 7)


def assert_equal_to_reference(document: dict[str, Any], rows: np.ndarray) -> None:
    expected, stats = reference(document, rows)
    found = GroundTruth(document, CATEGORY_IDS).curves(rows)
    for name in ("precision", "recall", "scores"):
        np.testing.assert_allclose(
            getattr(found, name), getattr(expected, name), rtol=0, atol=1e-10, err_msg=name
        )
    figures = list(metrics(found, CATEGORY_IDS, CLASSES).values())[:12]
    assert [-1 if value is None else value for value in figures] == pytest.approx(stats, abs=1e-10)


@settings(max_examples=80, deadline=None)
@given(cases())
def test_equals_pycocotools(case: tuple[dict[str, Any], np.ndarray]) -> None:
    assert_equal_to_reference(*case)


def test_equals_pycocotools_beyond_a_hundred_detections() -> None:
    random = np.random.default_rng(3)
    document = world([(1, 7, [20 * n, 10, 18, 40]) for n in range(12)])
    rows = np.column_stack(
        (
            np.ones(260),
            random.integers(0, 12, 260) * 20 + random.normal(0, 1, 260),
            np.full(260, 10.0),
            np.full(260, 18.0),
            np.full(260, 40.0),
            random.integers(1, 20, 260) / 20,
            np.zeros(260),
        )
    )
    assert_equal_to_reference(document, rows)


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
