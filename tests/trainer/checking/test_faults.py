"""Each figure names the very thing that is wrong with a data set, and the exit code says so."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from support.checks import found_by, reserve, run_check
from vistrain_trainer.data.manifest import MANIFEST, read

Documents = dict[str, dict[str, Any]]


def first_box(documents: Documents, box: list[float]) -> str:
    """Give the first annotation of val another box; its picture's name."""
    document = documents["val"]
    one = document["annotations"][0]
    one["bbox"] = box
    return str(next(image["file_name"] for image in document["images"] if image["id"] == one["image_id"]))


def repeat(documents: Documents) -> None:
    document = documents["train"]
    document["annotations"].append({**document["annotations"][3], "id": 10_000})


def exchange_classes(documents: Documents) -> None:
    """Number bus as truck and the other way round, as an annotation tool with an order of its own does."""
    for document in documents.values():
        ids = {one["name"]: one for one in document["categories"]}
        ids["bus"]["id"], ids["truck"]["id"] = ids["truck"]["id"], ids["bus"]["id"]


def leak(documents: Documents) -> None:
    """Put a picture of a training scene among those to validate by."""
    taken = documents["train"]["images"][0]
    documents["val"]["images"].append({**taken, "id": 10_000})


FAULTS: dict[str, tuple[Callable[[Documents], object], str, str]] = {
    "boxes-outside": (
        lambda documents: first_box(documents, [200.0, 20.0, 40.0, 30.0]),
        "val",
        "[200, 20, 40, 30]",
    ),
    "empty-boxes": (
        lambda documents: first_box(documents, [20.0, 20.0, 0.0, 30.0]),
        "val",
        "[20, 20, 0, 30]",
    ),
    "thin-boxes": (
        lambda documents: first_box(documents, [20.0, 20.0, 30.0, 0.5]),
        "val",
        "[20, 20, 30, 0.5]",
    ),
    "duplicate-boxes": (repeat, "train", "CAM_"),
    "class-order": (exchange_classes, "train", "bus in place of truck"),
}


@pytest.mark.parametrize("figure", FAULTS)
def test_a_fault_is_named_and_leads_to_exit_code_3(figure, spoilt, tmp_path):
    change, split, place = FAULTS[figure]
    result = run_check(spoilt(change), "--samples", 0, "--out", tmp_path / "out", "--json")
    assert result.exit_code == 3, result.output
    found = found_by(result)
    assert found["verdict"] == "outside"
    assert found["outside"] == [figure]
    told = found["figures"][figure]
    assert split in told["outside"]
    assert place in told["places"][split][0]


def test_a_sound_data_set_has_no_fault(world, tmp_path):
    result = run_check(world, "--samples", 0, "--out", tmp_path / "out", "--json")
    assert result.exit_code == 0, result.output
    found = found_by(result)
    assert found["verdict"] == "within"
    assert found["outside"] == []
    judged = {name for name, one in found["figures"].items() if one["verdict"] == "within"}
    assert judged >= {
        *FAULTS,
        "changed-files",
        "counts",
        "shared-scenes",
        "foreign-scenes",
        "missing-pictures",
    }


def test_a_box_outside_is_told_with_its_picture(spoilt, tmp_path):
    names = []
    folder = spoilt(lambda documents: names.append(first_box(documents, [-5.0, 20.0, 40.0, 30.0])))
    result = run_check(folder, "--samples", 0, "--out", tmp_path / "out")
    assert result.exit_code == 3
    assert f"such as val: {names[0]}: [-5, 20, 40, 30]" in result.stdout


def test_a_box_that_rounding_moves_by_a_hundredth_is_inside(spoilt, tmp_path):
    folder = spoilt(lambda documents: first_box(documents, [204.01, 20.0, 20.0, 30.0]))
    assert run_check(folder, "--samples", 0, "--out", tmp_path / "out").exit_code == 0


def test_a_file_that_was_changed_or_is_gone(spoilt, tmp_path):
    folder = spoilt(lambda documents: documents["val"].update(info={}), signed=False)
    (folder / "annotations" / "train.json").rename(folder / "annotations" / "old.json")
    result = run_check(folder, "--samples", 0, "--out", tmp_path / "out", "--json")
    assert result.exit_code == 64
    assert "train.json: it cannot be read" in json.loads(result.stdout)["error"]
    (folder / "annotations" / "old.json").rename(folder / "annotations" / "train.json")
    result = run_check(folder, "--samples", 0, "--out", tmp_path / "out", "--json")
    assert result.exit_code == 3
    found = found_by(result)
    assert found["outside"] == ["changed-files"]
    assert found["figures"]["changed-files"]["places"] == {"all": ["annotations/val.json: it was changed"]}


def test_a_box_that_was_taken_out_by_hand(spoilt, tmp_path):
    folder = spoilt(lambda documents: documents["train"]["annotations"].pop(0), signed=False)
    result = run_check(folder, "--samples", 0, "--out", tmp_path / "out", "--json")
    found = found_by(result)
    assert found["outside"] == ["changed-files", "counts"]
    manifest = read(folder / MANIFEST).splits["train"].counts.annotations
    places = found["figures"]["counts"]["places"]["train"]
    assert places[0] == f"{manifest - 1} boxes, the manifest says {manifest}"
    assert len(places) == 2  # and its class


def test_a_scene_in_two_splits(spoilt, tmp_path):
    folder = spoilt(leak)
    result = run_check(folder, "--samples", 0, "--out", tmp_path / "out", "--json")
    assert result.exit_code == 3
    found = found_by(result)
    assert found["outside"] == ["shared-scenes", "foreign-scenes"]
    assert found["figures"]["shared-scenes"]["places"]["all"][0].startswith("scene-0001 (")
    assert found["figures"]["shared-scenes"]["places"]["all"][0].endswith(" in train and val")
    assert found["figures"]["foreign-scenes"]["places"]["val"][0].startswith("scene-0001 (")


def test_a_renamed_scene_is_known_by_its_token(spoilt, tmp_path):
    def rename(documents: Documents) -> None:
        leak(documents)
        documents["val"]["images"][-1]["scene"] = "scene-9999"

    found = found_by(run_check(spoilt(rename), "--samples", 0, "--out", tmp_path / "out", "--json"))
    assert "shared-scenes" in found["outside"]


def reserving(spoilt: Callable[..., Path], change: Callable[[Documents], object]) -> Path:
    """A changed data set whose split val is held back."""
    folder = spoilt(change)
    reserve(folder, "val")
    return folder


def test_a_reserve_in_its_split_is_well(spoilt, tmp_path):
    result = run_check(reserving(spoilt, lambda _: None), "--samples", 0, "--out", tmp_path / "out", "--json")
    assert result.exit_code == 0, result.output
    assert found_by(result)["figures"]["reserved-scenes"]["values"] == {"train": 0}


@pytest.mark.parametrize("disguised", [False, True])
def test_a_reserved_scene_among_those_to_train_on(disguised, spoilt, tmp_path):
    def move(documents: Documents) -> None:
        taken = {**documents["val"]["images"][0], "id": 10_000}
        if disguised:  # by a scene of the training split
            taken |= {key: documents["train"]["images"][0][key] for key in ("scene", "scene_token")}
        documents["train"]["images"].append(taken)

    found = found_by(run_check(reserving(spoilt, move), "--samples", 0, "--out", tmp_path / "out", "--json"))
    assert "reserved-scenes" in found["outside"]
    assert found["figures"]["reserved-scenes"]["places"]["train"][0].startswith("scene-0005 (")


def test_a_missing_picture_of_a_data_set_with_its_own(spoilt, tmp_path):
    folder = spoilt(lambda _: None)
    gone = next((folder / "images" / "CAM_BACK").iterdir())
    gone.unlink()
    found = found_by(run_check(folder, "--samples", 0, "--out", tmp_path / "out", "--json"))
    assert found["outside"] == ["missing-pictures"]
    assert sum(found["figures"]["missing-pictures"]["values"].values()) == 1
    assert any(str(gone) in places for places in found["figures"]["missing-pictures"]["places"].values())


def test_a_picture_of_another_size(spoilt, tmp_path):
    folder = spoilt(lambda _: None)
    path = next((folder / "images" / "CAM_FRONT").iterdir())
    cv2.imwrite(str(path), np.zeros((90, 160, 3), np.uint8))
    found = found_by(run_check(folder, "--samples", 100, "--out", tmp_path / "out", "--json"))
    assert found["outside"] == ["other-size"]
    (places,) = found["figures"]["other-size"]["places"].values()
    assert "it is 160×90, its boxes are for 224×128" in places[0]


def test_classes_without_boxes_are_told_but_no_fault(spoilt, tmp_path):
    def without_cars(documents: Documents) -> None:
        document = documents["val"]
        car = next(one["id"] for one in document["categories"] if one["name"] == "car")
        document["annotations"] = [one for one in document["annotations"] if one["category_id"] != car]

    folder = spoilt(without_cars)
    result = run_check(folder, "--samples", 0, "--out", tmp_path / "out", "--json")
    assert result.exit_code == 0
    found = found_by(result)
    assert found["figures"]["absent-classes"]["values"]["val"] == 1
    assert any("the split val has no box of car" in one["text"].lower() for one in found["sentences"])
    assert found["counts"]["val"]["perClass"]["car"] == 0
    assert list(found["counts"]["val"]["perClass"]) == list(read(folder / MANIFEST).classes)
