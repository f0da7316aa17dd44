"""COCO files of a release: boxes as the devkit projects them, and all that evaluation slices by."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from nuscenes.eval.detection.utils import category_to_detection_name
from nuscenes.nuscenes import NuScenes
from nuscenes.scripts import export_2d_annotations_as_json as devkit_export
from pycocotools.coco import COCO

from support.nuscenes_release import HEIGHT, WIDTH, write_pictures, write_release
from vistrain_trainer.data.classes import PRESETS
from vistrain_trainer.data.coco import CocoDetection
from vistrain_trainer.data.nuscenes.coco import tags
from vistrain_trainer.data.nuscenes.options import PrepareOptions
from vistrain_trainer.data.nuscenes.prepare import prepare_nuscenes
from vistrain_trainer.errors import BadInput
from vistrain_trainer.evaluation.slices import slices

TRACKING = PRESETS["nuscenes-tracking"]


@pytest.fixture(scope="module")
def made(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All six cameras of the small release."""
    out = tmp_path_factory.mktemp("coco")
    prepare_nuscenes(PrepareOptions(root=root, cameras=()), out)
    return out / "coco"


def documents(folder: Path) -> dict[str, dict[str, Any]]:
    return {path.stem: json.loads(path.read_text()) for path in sorted((folder / "annotations").iterdir())}


def prepared(root: Path, out: Path, **options: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The document of train, and the manifest."""
    prepare_nuscenes(PrepareOptions(root=root, **options), out)
    return documents(out / "coco")["train"], json.loads((out / "coco" / "manifest.json").read_text())


def test_boxes_are_the_devkits(made: Path, devkit: NuScenes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devkit_export, "nusc", devkit, raising=False)
    compared = 0
    for document in documents(made).values():
        boxes: dict[int, dict[str, dict[str, Any]]] = {image["id"]: {} for image in document["images"]}
        for one in document["annotations"]:
            boxes[one["image_id"]][one["instance_token"]] = one
        for image in document["images"]:
            found = boxes[image["id"]]
            expected = {}
            for record in devkit_export.get_2d_boxes(image["sample_data_token"], ["", "1", "2", "3", "4"]):
                left, top, right, bottom = record["bbox_corners"]
                name = category_to_detection_name(record["category_name"])
                if name in TRACKING and right - left >= 1 and bottom - top >= 1:
                    box = (left, top, right - left, bottom - top)
                    expected[record["instance_token"]] = (name, box, int(record["visibility_token"]))
            assert found.keys() == expected.keys()
            for token, (name, box, visibility) in expected.items():
                assert found[token]["bbox"] == pytest.approx(box, abs=1e-6)
                assert TRACKING[found[token]["category_id"] - 1] == name
                assert found[token]["visibility"] == visibility
            compared += len(expected)
    assert compared > 300


def test_pictures_are_the_keyframes_of_each_camera_with_all_that_is_known_of_them(
    made: Path, devkit: NuScenes
) -> None:
    scenes = {scene["token"]: scene for scene in devkit.scene}
    keyframes = [
        row for row in devkit.sample_data if row["is_key_frame"] and row["sensor_modality"] == "camera"
    ]
    images = [image for document in documents(made).values() for image in document["images"]]
    assert {image["sample_data_token"] for image in images} == {row["token"] for row in keyframes}
    for image in images:
        row = devkit.get("sample_data", image["sample_data_token"])
        scene = scenes[image["scene_token"]]
        assert image["scene"] == scene["name"]
        assert devkit.get("sample", image["sample_token"])["scene_token"] == scene["token"]
        assert (image["file_name"], image["timestamp"]) == (row["filename"], row["timestamp"])
        assert (image["sample_token"], image["camera"]) == (row["sample_token"], row["channel"])
        assert (image["width"], image["height"], image["keyframe"]) == (1600, 900, True)


def test_ids_count_from_one_by_scene_camera_and_time(made: Path) -> None:
    cameras = json.loads((made / "manifest.json").read_text())["cameras"]
    for document in documents(made).values():
        order = [
            (image["scene"], cameras.index(image["camera"]), image["timestamp"])
            for image in document["images"]
        ]
        assert order == sorted(order)
        assert [image["id"] for image in document["images"]] == list(range(1, len(order) + 1))
        boxes = document["annotations"]
        assert [one["id"] for one in boxes] == list(range(1, len(boxes) + 1))
        assert [one["image_id"] for one in boxes] == sorted(one["image_id"] for one in boxes)
        assert all(one["area"] == pytest.approx(one["bbox"][2] * one["bbox"][3]) for one in boxes)


def test_every_pair_of_an_annotation_and_a_picture_is_written_or_counted(
    made: Path, devkit: NuScenes
) -> None:
    manifest = json.loads((made / "manifest.json").read_text())
    found = documents(made)
    counts = {name: split["counts"] for name, split in manifest["splits"].items()}
    for name, document in found.items():
        of = Counter(TRACKING[one["category_id"] - 1] for one in document["annotations"])
        assert counts[name]["images"] == counts[name]["keyFrames"] == len(document["images"])
        assert counts[name]["annotations"] == len(document["annotations"])
        assert counts[name]["perClass"] == {kind: of[kind] for kind in TRACKING}
    kept = sum(each["annotations"] for each in counts.values())
    assert kept + sum(manifest["dropped"].values()) == 6 * len(devkit.sample_annotation)
    other = [
        row for row in devkit.sample_annotation
        if category_to_detection_name(row["category_name"]) not in TRACKING
    ]  # fmt: skip
    assert manifest["dropped"]["otherClass"] == 6 * len(other) > 0
    assert manifest["dropped"]["outsideThePicture"] > kept


def test_pycocotools_our_reader_and_the_slices_take_it(tmp_path: Path) -> None:
    write_release(tmp_path / "raw")
    write_pictures(tmp_path / "raw")
    prepare_nuscenes(PrepareOptions(root=tmp_path / "raw", pictures="link"), tmp_path / "out")
    folder = tmp_path / "out" / "coco"
    annotations = folder / "annotations" / "train.json"
    data = CocoDetection(annotations, folder / "images", TRACKING)
    data.verify_images()
    assert len(data) == 4
    assert data.annotation_count == 10
    assert data.category_ids == (1, 2, 3, 4, 5, 6, 7)
    assert data.read_image(0).shape == (HEIGHT, WIDTH, 3)
    assert len(COCO(str(annotations)).getAnnIds(catIds=[1])) == 4
    document = json.loads(annotations.read_text())
    found = slices(document, data.category_ids, data.classes, np.zeros((0, 7)))
    boxes = {kind: {name: part.boxes for name, part in parts.items()} for kind, parts in found.parts.items()}
    assert boxes["visibility"] == {"40-60 %": 2, "60-80 %": 6, "80-100 %": 2}
    assert boxes["distance"] == {"0-15 m": 8, "15-30 m": 2}
    assert boxes["tag"] == {"night": 10, "rain": 10}


def test_the_order_of_the_classes_is_the_data_sets(tmp_path: Path) -> None:
    write_release(tmp_path / "raw")
    categories = {}
    for preset, classes in PRESETS.items():
        document, manifest = prepared(tmp_path / "raw", tmp_path / preset, classes=classes)
        assert manifest["classes"] == list(classes)
        assert [(one["id"], one["name"]) for one in document["categories"]] == list(enumerate(classes, 1))
        categories[preset] = Counter(one["category_id"] for one in document["annotations"])
    assert categories == {
        "nuscenes-tracking": {1: 4, 3: 2, 5: 4},
        "nuscenes-vehicles": {1: 4, 4: 2},
    }


def test_boxes_of_other_visibility_are_left_out_and_counted(tmp_path: Path) -> None:
    write_release(tmp_path / "raw")
    document, manifest = prepared(tmp_path / "raw", tmp_path / "out", visibility=(4, 3))
    assert {one["visibility"] for one in document["annotations"]} == {3, 4}
    assert manifest["visibility"] == [3, 4]
    # In each of the scenes the bicycle twice, and the car's second box.
    assert manifest["dropped"]["visibility"] == 9
    _, everything = prepared(tmp_path / "raw", tmp_path / "all", visibility=(1, 2, 3, 4))
    assert "visibility" not in everything
    assert "visibility" not in everything["dropped"]


def test_sweeps_are_taken_when_asked_for_with_interpolated_boxes(tmp_path: Path) -> None:
    write_release(tmp_path / "raw")
    document, manifest = prepared(tmp_path / "raw", tmp_path / "out", sweeps=True)
    assert [image["keyframe"] for image in document["images"][:7]] == [True, *[False] * 5, True]
    cars = [one["bbox"] for one in document["annotations"] if one["category_id"] == 1][:7]
    assert [round(box[0], 3) for box in cars] == [38.889, 40.741, 42.593, 44.444, 46.296, 48.148, 50.0]
    assert (manifest["fps"], manifest["frameInterval"], manifest["sweeps"]) == (12, 0.083333, True)
    assert manifest["splits"]["train"]["counts"]["interpolatedFrames"] == 10
    # The bus is in the second sample alone: five sweeps of three scenes lack it.
    assert manifest["dropped"]["notInBothKeyframes"] == 15


def test_clipped_projection_keeps_less_of_what_is_beside_the_camera(root: Path, tmp_path: Path) -> None:
    areas = {}
    for projection in ("devkit", "clipped"):
        document, manifest = prepared(root, tmp_path / projection, cameras=(), projection=projection)
        assert manifest["projection"] == projection
        areas[projection] = {
            (one["image_id"], one["instance_token"]): one["area"] for one in document["annotations"]
        }
    assert areas["devkit"] != areas["clipped"]
    shared = areas["devkit"].keys() & areas["clipped"].keys()
    assert sum(areas["devkit"][key] == pytest.approx(areas["clipped"][key]) for key in shared) > 0.9 * len(
        shared
    )


@pytest.mark.parametrize(
    ("description", "expected"),
    [
        ("Night, after rain, many peds", ["night", "rain"]),
        ("Rain, parking lot", ["day", "rain"]),
        ("Big street, train station, brain centre", ["day"]),
        ("", []),
    ],
)
def test_light_and_weather_are_read_from_the_description(description: str, expected: list[str]) -> None:
    assert tags(description) == expected


def test_the_test_version_gives_pictures_to_predict_on_and_nothing_to_learn_from(tmp_path: Path) -> None:
    folder = write_release(tmp_path / "raw", scenes=("scene-0077", "scene-0078"), version="v1.0-test")
    (folder / "sample_annotation.json").unlink()
    (folder / "instance.json").write_text("[]")
    prepare_nuscenes(PrepareOptions(root=tmp_path / "raw"), tmp_path / "out")
    document = documents(tmp_path / "out" / "coco")["test"]
    assert (len(document["images"]), document["annotations"]) == (4, [])
    with pytest.raises(BadInput, match=r"v1\.0-test has no annotations: there is nothing to learn"):
        prepare_nuscenes(PrepareOptions(root=tmp_path / "raw", formats=("mot",)), tmp_path / "out")
