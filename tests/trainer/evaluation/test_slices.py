"""A part is judged by its own boxes, and what the data does not tell is not judged."""

from __future__ import annotations

import contextlib
import io
import json
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from vistrain_trainer.errors import BadInput
from vistrain_trainer.evaluation.coco_metrics import GroundTruth, metrics
from vistrain_trainer.evaluation.slices import Slices, slices

CATEGORY_IDS = (7, 2)
CLASSES = ("car", "bus")
CAR, BUS = range(2)


def box(at: int, side: float = 20) -> list[float]:
    return [200.0 * at, 10.0, side, side]


def world(annotations: list[dict[str, Any]], tags: dict[int, list[str]] | None = None) -> dict[str, Any]:
    tags = tags or {}
    return {
        "images": [{"id": at, **({"tags": tags[at]} if at in tags else {})} for at in (1, 2, 3)],
        "annotations": [
            {"id": number, "image_id": 1, "category_id": 7, **annotation}
            for number, annotation in enumerate(annotations)
        ],
    }


def evaluated(document: dict[str, Any], rows: list[list[float]], **options: Any) -> Slices:
    return slices(document, CATEGORY_IDS, CLASSES, np.array(rows, np.float64).reshape(-1, 7), **options)


NEAR_AND_FAR = [
    {"bbox": box(0), "distance": 5.0},
    {"bbox": box(1), "distance": 14.99},
    {"bbox": box(2), "distance": 15},
    {"bbox": box(3), "distance": 80.5},
    {"bbox": box(4)},
]


def test_boxes_of_another_distance_are_neither_missed_nor_false() -> None:
    rows = [[1, *box(at), 0.9 - 0.1 * at, CAR] for at in (0, 2, 4)]
    found = evaluated(world(NEAR_AND_FAR), rows)
    assert set(found.parts) == {"size", "distance"}
    distance = found.parts["distance"]
    assert list(distance) == ["0-15 m", "15-30 m", "50 m and more"]
    assert [part.boxes for part in distance.values()] == [2, 1, 1]
    assert [part.figures["AR100"] for part in distance.values()] == pytest.approx([0.5, 1, 0])
    # All that is found of the near ones is right: 51 of 101 recall levels.
    assert [part.figures["AP"] for part in distance.values()] == pytest.approx([51 / 101, 1, 0])
    assert found.whole.boxes == 5
    assert found.whole.figures["AR100"] == pytest.approx(3 / 5)


def test_a_false_detection_counts_against_every_distance() -> None:
    rows = [[1, 900, 900, 20, 20, 0.95, CAR], [1, *box(2), 0.9, CAR]]
    found = evaluated(world(NEAR_AND_FAR), rows).parts["distance"]
    assert found["15-30 m"].figures["AP"] == pytest.approx(0.5)


def test_the_bins_of_distance_can_be_given() -> None:
    found = evaluated(world(NEAR_AND_FAR), [], distances=[10, 20])
    assert {name: part.boxes for name, part in found.parts["distance"].items()} == {
        "10-20 m": 2,
        "20 m and more": 1,
    }


def test_a_false_detection_counts_against_its_own_size_only() -> None:
    annotations = [{"bbox": box(0)}, {"bbox": box(1, side=150)}]
    false = [1, 900, 900, 20, 20, 0.95, CAR]
    rows = [false, [1, *box(0), 0.9, CAR], [1, *box(1, side=150), 0.8, CAR]]
    found = evaluated(world(annotations), rows).parts["size"]
    assert {name: part.figures["AP"] for name, part in found.items()} == {
        "small": pytest.approx(0.5),
        "large": pytest.approx(1),
    }


@pytest.mark.parametrize(
    "values",
    [["1", "2", "2", "4", None], [1, 2, 2, 4, None], [0, 0.4, 0.5999, 1, None], [0.39, 0.5, 0.4, 0.8, None]],
)
def test_visibility_is_a_token_or_a_share(values: list[Any]) -> None:
    document = world([{"bbox": box(at), "visibility": value} for at, value in enumerate(values)])
    found = evaluated(document, [[1, *box(1), 0.9, CAR]]).parts["visibility"]
    assert {name: part.boxes for name, part in found.items()} == {"0-40 %": 1, "40-60 %": 2, "80-100 %": 1}
    assert found["40-60 %"].figures["AR100"] == pytest.approx(0.5)
    assert found["80-100 %"].figures["AR100"] == 0


def test_fully_visible_boxes_alone_are_shares() -> None:
    document = world([{"bbox": box(0), "visibility": 1.0}])
    assert list(evaluated(document, []).parts["visibility"]) == ["80-100 %"]


def test_images_by_tag_take_their_detections_with_them() -> None:
    annotations = [
        {"bbox": box(0), "image_id": 1},
        {"bbox": box(0), "image_id": 2},
        {"bbox": box(0), "image_id": 2, "category_id": 2},
    ]
    rows = [[1, *box(0), 0.9, CAR], [3, *box(0), 0.95, CAR], [2, *box(3), 0.99, CAR]]
    tags = {1: ["day"], 2: ["night", "rain"], 3: ["night", "fog"]}
    found = evaluated(world(annotations, tags), rows).parts["tag"]
    assert list(found) == ["day", "night", "rain"]  # fog has no box, so no figure
    assert found["day"].figures["AP"] == pytest.approx(1)
    assert found["day"].figures["AP/bus"] is None
    assert found["night"].figures["AP"] == 0
    assert (found["night"].images, found["night"].boxes) == (2, 2)
    assert (found["rain"].images, found["rain"].boxes) == (1, 2)


def test_crowds_belong_to_no_part() -> None:
    annotations = [
        {"bbox": [0.0, 0.0, 400.0, 400.0], "distance": 5.0, "iscrowd": 1},
        {"bbox": box(3), "distance": 20.0},
    ]
    rows = [[1, *box(0), 0.9, CAR], [1, *box(3), 0.8, CAR]]
    found = evaluated(world(annotations), rows)
    assert list(found.parts["distance"]) == ["15-30 m"]
    assert found.parts["distance"]["15-30 m"].figures["AP"] == pytest.approx(1)
    assert list(found.parts["size"]) == ["small"]


@pytest.mark.parametrize(
    ("document", "options", "message"),
    [
        (world([{"bbox": box(0), "distance": -1.0}]), {}, r"annotation 0: distance: -1\.0"),
        (world([{"bbox": box(0), "distance": "far"}]), {}, "annotation 0: distance: 'far'"),
        (world([{"bbox": box(0), "visibility": 5}]), {}, "annotation 0: visibility: 5"),
        (
            world([{"bbox": box(0), "visibility": 0.5}, {"bbox": box(0), "visibility": 3}]),
            {},
            "annotation 1: visibility: 3",
        ),
        (world([{"bbox": box(0), "visibility": True}]), {}, "annotation 0: visibility: True"),
        (world([], {2: "night"}), {}, "image 2: tags: 'night'"),  # type: ignore[dict-item]
        (world([]), {"distances": [0, 30, 15]}, "distances: .* ascend"),
        (world([]), {"distances": []}, "distances"),
    ],
)
def test_what_cannot_be_read_is_told(document: dict[str, Any], options: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        evaluated(document, [], **options)


class Reference(COCOeval):  # type: ignore[misc]
    """pycocotools, with boxes outside the part ignored by its own means."""

    def _prepare(self) -> None:
        super()._prepare()
        for group in self._gts.values():
            for annotation in group:
                annotation["ignore"] = annotation["iscrowd"] or annotation["outside"]


def reference(document: dict[str, Any], rows: np.ndarray, inside: list[bool]) -> list[float]:
    """AP, AP50, AP75, AR1, AR10 and AR100 of the boxes inside."""
    shared = {"images": document["images"], "categories": [{"id": one} for one in CATEGORY_IDS]}
    truth = [
        {"iscrowd": 0, **one, "id": number, "area": one["bbox"][2] * one["bbox"][3], "outside": not within}
        for number, (one, within) in enumerate(zip(document["annotations"], inside, strict=True), start=1)
    ]
    found = [
        {
            "id": number,
            "image_id": int(row[0]),
            "category_id": CATEGORY_IDS[int(row[6])],
            "bbox": row[1:5].tolist(),
            "area": row[3] * row[4],
            "score": row[5],
        }
        for number, row in enumerate(rows, start=1)
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = Reference(
            indexed({**shared, "annotations": truth}), indexed({**shared, "annotations": found})
        )
        evaluation.params.iouType = "bbox"
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    stats: list[float] = evaluation.stats[[0, 1, 2, 6, 7, 8]].tolist()
    return stats


def indexed(document: dict[str, Any]) -> COCO:
    coco = COCO()
    coco.dataset = document
    coco.createIndex()
    return coco


# Few places, so that boxes and detections meet; small and medium areas.
place = st.sampled_from([0.0, 5.0, 60.0])
boxes = st.tuples(place, place, st.sampled_from([20.0, 40.0]), st.sampled_from([20.0, 32.0])).map(list)
documents = st.lists(
    st.fixed_dictionaries(
        {"image_id": st.sampled_from([1, 2, 2]), "category_id": st.sampled_from(CATEGORY_IDS), "bbox": boxes},
        optional={
            "distance": st.sampled_from([3.0, 15.0, 29.0, 70.0]),
            "visibility": st.sampled_from([1, 3, 4]),
            "iscrowd": st.sampled_from([0, 0, 0, 1]),
        },
    ),
    max_size=9,
).map(lambda annotations: world(annotations, {1: ["day"], 2: ["night"], 3: ["night", "rain"]}))


@st.composite
def cases(draw: st.DrawFn) -> tuple[dict[str, Any], np.ndarray]:
    """A document with detections of its boxes and elsewhere."""
    document = draw(documents)
    anywhere = st.tuples(st.integers(1, 3), boxes, st.integers(0, 1))
    there = [
        (one["image_id"], one["bbox"], CATEGORY_IDS.index(one["category_id"]))
        for one in document["annotations"]
    ]
    found = draw(st.lists(st.one_of(st.sampled_from(there), anywhere) if there else anywhere, max_size=12))
    scores = [draw(st.sampled_from([0.2, 0.5, 0.9])) for _ in found]
    rows = [
        [image, *box, score, class_index]
        for (image, box, class_index), score in zip(found, scores, strict=True)
    ]
    return document, np.array(rows, np.float64).reshape(-1, 7)


BOUNDS = {"0-15 m": (0, 15), "15-30 m": (15, 30), "30-50 m": (30, 50), "50 m and more": (50, 1e9)}
TOKENS = {"0-40 %": 1, "40-60 %": 2, "60-80 %": 3, "80-100 %": 4}


@settings(max_examples=60, deadline=None)
@given(cases())
def test_parts_of_boxes_equal_the_reference_that_ignores_the_others(
    case: tuple[dict[str, Any], np.ndarray],
) -> None:
    document, rows = case
    found = slices(document, CATEGORY_IDS, CLASSES, rows)
    json.dumps(asdict(found), allow_nan=False)
    for kind, bins in (("distance", BOUNDS), ("visibility", TOKENS)):
        for name, wanted in bins.items():
            inside = [
                kind in one
                and (wanted[0] <= one[kind] < wanted[1] if isinstance(wanted, tuple) else one[kind] == wanted)
                for one in document["annotations"]
            ]
            expected = reference(document, rows, inside)
            part = found.parts.get(kind, {}).get(name)
            if part is None:
                assert set(expected) == {-1.0}
                continue
            figures = [part.figures[key] for key in ("AP", "AP50", "AP75", "AR1", "AR10", "AR100")]
            assert figures == pytest.approx(expected, abs=1e-10)


@settings(max_examples=60, deadline=None)
@given(cases())
def test_sizes_the_whole_and_tags_are_cocos(case: tuple[dict[str, Any], np.ndarray]) -> None:
    document, rows = case
    found = slices(document, CATEGORY_IDS, CLASSES, rows)
    figures = metrics(GroundTruth(document, CATEGORY_IDS).curves(rows), CATEGORY_IDS, CLASSES)
    for name, value in found.whole.figures.items():
        assert value == figures[name]
    for size in ("small", "medium", "large"):
        part = found.parts.get("size", {}).get(size)
        assert (None if part is None else part.figures["AP"]) == figures[f"AP{size}"]
        assert (None if part is None else part.figures["AR100"]) == figures[f"AR{size}"]
    night = {
        "images": document["images"][1:],
        "annotations": [one for one in document["annotations"] if one["image_id"] > 1],
    }
    part = found.parts.get("tag", {}).get("night")
    alone = metrics(GroundTruth(night, CATEGORY_IDS).curves(rows[rows[:, 0] > 1]), CATEGORY_IDS, CLASSES)
    assert (None if part is None else part.figures["AP/bus"]) == alone["AP/bus"]
    assert (None if part is None else part.figures["AR10"]) == alone["AR10"]
