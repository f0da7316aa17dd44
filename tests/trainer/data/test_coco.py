"""Reading of COCO files: boxes, order of classes, digest, and every fault told."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from support.coco_dataset import CLASSES, write_dataset
from vistrain_trainer.data.coco import CocoDetection
from vistrain_trainer.errors import BadInput

Edit = Callable[[Callable[[dict[str, Any]], object]], Path]


def read(path: Path, classes: tuple[str, ...] = CLASSES, **options: Any) -> CocoDetection:
    return CocoDetection(path, path.parent.parent / "images", classes, **options)


def refusal(act: Callable[[], object]) -> BadInput:
    with pytest.raises(BadInput) as caught:
        act()
    assert caught.value.exit_code == 64
    assert caught.value.remedy
    return caught.value


def test_boxes_are_corners_with_the_index_of_the_manifests_class_order(dataset_folder: Path) -> None:
    path = dataset_folder / "annotations" / "train.json"
    document = json.loads(path.read_text())
    data = read(path, ("bicycle", "car", "bus"))
    names = {category["id"]: category["name"] for category in document["categories"]}
    for index, image in enumerate(data.images):
        expected = [
            [x, y, x + w, y + h, ("bicycle", "car", "bus").index(names[entry["category_id"]])]
            for entry in document["annotations"]
            if entry["image_id"] == image.id
            for x, y, w, h in [entry["bbox"]]
        ]
        np.testing.assert_array_equal(data.labels(index), expected)
        assert data.labels(index).dtype == np.float32
    assert [names[number] for number in data.category_ids] == ["bicycle", "car", "bus"]
    assert data.class_index == {23: 0, 3: 1, 13: 2}
    assert data.annotation_count == len(document["annotations"])


def test_boxes_are_clipped_dropped_or_kept_apart(edited: Edit) -> None:
    def change(document: dict[str, Any]) -> None:
        document["images"] = [{"id": 7, "file_name": "000.png", "width": 100, "height": 80}]
        boxes = [[-10, -5, 30, 25], [90, 70, 50, 50], [10, 10, 0, 20], [120, 10, 20, 20], [1, 2, 3, 4]]
        document["annotations"] = [
            {"id": at, "image_id": 7, "category_id": 3, "bbox": box, "iscrowd": int(at == 4)}
            for at, box in enumerate(boxes)
        ]

    data = read(edited(change))
    np.testing.assert_array_equal(data.labels(0), [[0, 0, 20, 20, 0], [90, 70, 100, 80, 0]])
    np.testing.assert_array_equal(data.crowds(0), [[1, 2, 4, 6, 0]])
    assert data.dropped_boxes == 2
    assert data.annotation_count == 2


def test_a_file_without_info_is_accepted_and_evaluation_gets_one(dataset_folder: Path) -> None:
    data = read(dataset_folder / "annotations" / "train.json")
    assert data.raw["info"] == {}
    assert len(data.raw["annotations"]) == data.annotation_count


def test_the_digest_is_that_of_the_content(dataset_folder: Path, edited: Edit, tmp_path: Path) -> None:
    path = dataset_folder / "annotations" / "train.json"
    digest = read(path).digest
    document = json.loads(path.read_text())
    document["annotations"].reverse()
    document["images"].reverse()
    again = tmp_path / "again.json"
    again.write_text(json.dumps(document, indent=1))
    assert CocoDetection(again, dataset_folder / "images", CLASSES).digest == digest

    def moved(changed: dict[str, Any]) -> None:
        changed["annotations"][0]["bbox"][0] += 1

    assert read(edited(moved)).digest != digest
    assert read(path, ("bus", "car", "bicycle")).digest != digest


def test_pictures_are_read_as_stored(dataset_folder: Path, tmp_path: Path) -> None:
    data = read(dataset_folder / "annotations" / "train.json")
    expected = cv2.imread(str(dataset_folder / "images" / "003.png"))
    np.testing.assert_array_equal(data.read_image(3), expected)
    jpeg = read(write_dataset(tmp_path / "jpeg", suffix=".jpg"))
    expected = cv2.imread(str(tmp_path / "jpeg" / "images" / "003.jpg"))
    assert np.abs(jpeg.read_image(3).astype(int) - expected).max() <= 2


def test_a_class_mismatch_lists_both(dataset_folder: Path) -> None:
    error = refusal(lambda: read(dataset_folder / "annotations" / "train.json", ("car", "bus", "truck")))
    assert error.field == "spec.dataset.classes"
    assert "'car', 'bus', 'truck'" in str(error)
    assert "'car', 'bus', 'bicycle'" in str(error)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    error = refusal(lambda: read(tmp_path / "annotations" / "none.json", field="spec.dataset.validation"))
    assert error.field == "spec.dataset.validation.annotations"
    assert "none.json: the annotation file does not exist" in str(error)


def test_a_folder_in_place_of_the_file_is_told(tmp_path: Path) -> None:
    assert "cannot be read: Is a directory" in str(refusal(lambda: read(tmp_path)))


def test_a_truncated_file_is_told(tmp_path: Path) -> None:
    path = write_dataset(tmp_path / "cut")
    path.write_bytes(path.read_bytes()[:-200])
    error = refusal(lambda: read(path))
    assert f"{path}: the annotation file is not whole JSON" in str(error)


FAULTS: list[tuple[Callable[[dict[str, Any]], object], str]] = [
    (lambda d: d.pop("annotations"), "no list named annotations"),
    (lambda d: d["annotations"][4].update(category_id=99), "annotation 4 is of category 99"),
    (lambda d: d["annotations"][4].update(image_id=1), "annotation 4 is for image 1"),
    (lambda d: d["annotations"][4].update(bbox=[1, 2, 3]), r"annotation 4 has the box \[1, 2, 3\]"),
    (lambda d: d["annotations"][4].update(bbox=[1, 2, float("nan"), 4]), "annotation 4 has the box"),
    (lambda d: d["images"][1].update(id=100), "image id 100 comes twice"),
    (lambda d: d["images"][1].pop("width"), "lacks a whole id"),
    (lambda d: d["images"][1].update(height=0), "lacks a whole id"),
    (lambda d: d["categories"].append({"id": 50, "name": "car"}), "its name comes twice"),
    (lambda d: d["categories"][1].update(id=3), "the categories of"),
    (lambda d: d.update(images=[], annotations=[]), "it has no images"),
    (lambda d: d.update(annotations=[]), "no box to learn"),
]


@pytest.mark.parametrize(("change", "message"), FAULTS, ids=[message for _, message in FAULTS])
def test_a_fault_in_the_file_names_file_and_id(
    edited: Edit, change: Callable[[dict[str, Any]], object], message: str
) -> None:
    path = edited(change)
    with pytest.raises(BadInput, match=message) as caught:
        read(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("option", "field"), [("expect_images", "expectImages"), ("expect_annotations", "expectAnnotations")]
)
def test_expected_numbers_are_checked(dataset_folder: Path, option: str, field: str) -> None:
    path = dataset_folder / "annotations" / "train.json"
    right = {"expect_images": 12, "expect_annotations": read(path).annotation_count}[option]
    assert len(read(path, **{option: right})) == 12
    error = refusal(lambda: read(path, **{option: right + 1}))
    assert error.field == f"spec.dataset.train.{field}"
    assert f"lists {right} " in str(error)


def test_missing_pictures_are_counted_and_named(tmp_path: Path) -> None:
    path = write_dataset(tmp_path / "gaps")
    read(path).verify_images()
    (tmp_path / "gaps" / "images" / "004.png").unlink()
    (tmp_path / "gaps" / "images" / "007.png").unlink()
    error = refusal(read(path).verify_images)
    assert error.field == "spec.dataset.train.images"
    assert "2 of 12 images" in str(error)
    assert "004.png (image 104)" in str(error)
    assert "image 104 cannot be read: No such file" in str(refusal(lambda: read(path).read_image(4)))


def test_a_missing_picture_folder_is_named(dataset_folder: Path, tmp_path: Path) -> None:
    data = CocoDetection(dataset_folder / "annotations" / "train.json", tmp_path / "none", CLASSES)
    assert "the image folder does not exist" in str(refusal(data.verify_images))


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_a_broken_picture_is_named(tmp_path: Path, suffix: str) -> None:
    path = write_dataset(tmp_path / "broken", suffix=suffix)
    picture = tmp_path / "broken" / "images" / f"002{suffix}"
    whole = picture.read_bytes()
    for content in (whole[: len(whole) // 2], b"", b"not a picture"):
        picture.write_bytes(content)
        error = refusal(lambda: read(path).read_image(2))
        assert f"002{suffix}: image 102 is broken" in str(error)


def test_a_picture_of_another_size_is_named(tmp_path: Path) -> None:
    path = write_dataset(tmp_path / "size")
    cv2.imwrite(str(tmp_path / "size" / "images" / "002.png"), np.zeros((30, 40, 3), np.uint8))
    assert "image 102 is 40×30 pixels" in str(refusal(lambda: read(path).read_image(2)))


def test_grey_pictures_become_three_channels(tmp_path: Path) -> None:
    for suffix in (".png", ".jpg"):
        path = write_dataset(tmp_path / suffix[1:], images=1, suffix=suffix)
        grey = tmp_path / suffix[1:] / "images" / f"000{suffix}"
        height, width = read(path).images[0].height, read(path).images[0].width
        cv2.imwrite(str(grey), np.full((height, width), 90, np.uint8))
        picture = read(path).read_image(0)
        assert picture.shape == (height, width, 3)
        assert np.abs(picture.astype(int) - 90).max() <= 1
