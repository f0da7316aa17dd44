"""A split in the YOLO layout as training takes it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from support.yolo_dataset import NAMES, write_yolo
from vistrain_trainer.data.fitted import FittedImages
from vistrain_trainer.data.source import StoredImages
from vistrain_trainer.data.yolo.detection import YoloDetection
from vistrain_trainer.data.yolo.labels import Leniency
from vistrain_trainer.errors import BadInput


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_yolo(tmp_path / "data")


def label(data: Path, name: str = "train/train-001") -> Path:
    return data.parent / "labels" / f"{name}.txt"


def refusal(act: Callable[[], object]) -> str:
    with pytest.raises(BadInput) as caught:
        act()
    assert caught.value.exit_code == 64
    return str(caught.value)


def test_boxes_are_corners_in_pixels(data: Path) -> None:
    label(data).write_text("3 0.5 0.5 0.25 0.5\n0 0.1 0.9 0.4 0.4\n1 0.5 0.5 0 0.3\n")
    found: StoredImages = YoloDetection(data, "train")
    assert [image.file_name for image in found.images[:2]] == ["train-000.png", "train-001.png"]
    assert found.images[1][2:] == (128, 96)
    expected = [[48, 24, 80, 72, 3], [0, 67.2, 38.4, 96, 0]]  # clipped, and the one without width dropped
    np.testing.assert_allclose(found.labels(1), np.array(expected), rtol=1e-6)
    assert found.labels(1).dtype == np.float32
    assert len(found.labels(0)) == 0
    assert found.read_image(1).shape == (96, 128, 3)


def test_background_and_dropped_boxes_are_counted(data: Path) -> None:
    label(data).write_text("")
    label(data, "train/train-002").write_text("1 0.5 0.5 0 0.3\n1 0.5 0.5 0.2 0.3\n")
    found = YoloDetection(data, "train")
    assert (found.findings.missing_labels, found.findings.empty_labels, found.dropped_boxes) == (1, 1, 1)


def test_it_feeds_what_evaluation_and_training_read(data: Path) -> None:
    found = YoloDetection(data, "val")
    fitted = FittedImages(found, 64, 96)
    assert len(fitted) == 4
    assert fitted.image(1).shape[:2] == fitted.size(1)
    assert found.raw["categories"] == [{"id": at + 1, "name": name} for at, name in enumerate(NAMES)]
    assert (
        len(found.raw["annotations"])
        == found.annotation_count
        == sum(len(found.labels(at)) for at in range(len(found)))
    )
    assert found.category_ids == (1, 2, 3, 4)


def test_classes_have_the_order_that_was_asked_for(data: Path) -> None:
    own, other = YoloDetection(data, "train"), YoloDetection(data, "train", NAMES[::-1])
    for at in range(len(own)):
        np.testing.assert_array_equal(own.labels(at)[:, :4], other.labels(at)[:, :4])
        np.testing.assert_array_equal(own.labels(at)[:, 4], 3 - other.labels(at)[:, 4])
    assert own.digest != other.digest
    text = refusal(lambda: YoloDetection(data, "train", ("rock_toe", "crest")))
    assert text.startswith("spec.dataset.classes")
    assert "slope_drain" in text


def test_the_digest_is_that_of_the_content(data: Path, tmp_path: Path) -> None:
    digest = YoloDetection(data, "train").digest
    rows = label(data).read_text().splitlines()
    label(data).write_text("\n".join([*reversed(rows), ""]))
    assert YoloDetection(data, "train").digest == digest
    assert YoloDetection(write_yolo(tmp_path / "elsewhere"), "train").digest == digest
    label(data).write_text("\n".join(rows[:-1]))
    assert YoloDetection(data, "train").digest != digest


def test_a_picture_that_viewers_turn_is_read_upright(data: Path) -> None:
    path = data.parent / "images" / "train" / "train-001.png"
    pixels = np.zeros((96, 128, 3), np.uint8)
    pixels[10:30, 20:60] = (255, 0, 0)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(pixels).save(path, exif=exif)
    label(data).write_text(f"0 {(96 - 20) / 96} {40 / 128} {20 / 96} {40 / 128}\n")
    found = YoloDetection(data, "train")
    assert found.images[1][2:] == (96, 128)
    picture = found.read_image(1)
    left, top, right, bottom = found.labels(1)[0, :4].round().astype(int)
    assert picture.shape == (128, 96, 3)
    assert (picture[top:bottom, left:right] == (0, 0, 255)).all()
    assert (picture != 0).any(axis=2).sum() == (bottom - top) * (right - left)


def test_lists_name_pictures_relative_to_themselves_or_to_the_root(data: Path) -> None:
    folder = data.parent
    (folder / "lists").mkdir()
    pictures = sorted((folder / "images" / "train").iterdir())
    lines = ["../images/train/train-001.png", "./../images/train/train-002.png", "images/train/train-003.png"]
    (folder / "lists" / "a.txt").write_text("\n".join([*lines, "", str(pictures[4]), lines[0], ""]))
    data.write_text(data.read_text().replace("train: images/train", "train: [lists/a.txt, images/test]"))
    found = YoloDetection(data, "train")
    names = [image.file_name for image in found.images]
    assert names == [f"test/test-00{at}.png" for at in range(3)] + [
        f"train/train-00{at}.png" for at in range(1, 5)
    ]
    (folder / "lists" / "a.txt").write_text("images/train/none.png\nimages/train/no.png\n")
    text = refusal(lambda: YoloDetection(data, "train"))
    assert "lists/a.txt:1: images/train/none.png: the picture is not there (2 of 2 are not)" in text


def test_folders_below_and_linked_ones_are_of_the_split(data: Path) -> None:
    train = data.parent / "images" / "train"
    (train / "site").mkdir()
    (train / "train-011.png").rename(train / "site" / "train-011.png")
    (train / "more").symlink_to(data.parent / "images" / "test")
    (train / "site" / "back").symlink_to(train)
    (train / ".thumbnails").mkdir()
    cv2.imwrite(str(train / ".thumbnails" / "a.png"), np.zeros((8, 8, 3), np.uint8))
    names = [image.file_name for image in YoloDetection(data, "train").images]
    assert len(names) == 12 + 3
    assert names[:2] == ["more/test-000.png", "more/test-001.png"]
    assert "site/train-011.png" in names


def test_all_label_files_are_read_before_a_row_is_refused(data: Path) -> None:
    for at in (1, 2, 5):
        label(data, f"train/train-00{at}").write_text("1 0.1 0.1 0.2 0.1 0.2 0.2\n")
    text = refusal(lambda: YoloDetection(data, "train"))
    assert f"{label(data)}:1: " in text
    assert "as 2 other rows in 3 files" in text
    found = YoloDetection(data, "train", leniency=Leniency(polygons="to-boxes"))
    assert found.findings.polygons == 3
    np.testing.assert_allclose(found.labels(1), [[12.8, 9.6, 25.6, 19.2, 1]], rtol=1e-6)


def test_pictures_that_would_share_their_labels_are_refused(data: Path) -> None:
    cv2.imwrite(str(data.parent / "images" / "train" / "train-003.jpg"), np.zeros((8, 8, 3), np.uint8))
    assert "has the same label file" in refusal(lambda: YoloDetection(data, "train"))


def test_other_faults_are_told(data: Path) -> None:
    assert "there is no such split" in refusal(lambda: YoloDetection(data, "valid"))
    right = YoloDetection(data, "train")
    boxes = right.annotation_count
    assert YoloDetection(data, "train", expect_images=12, expect_annotations=boxes)
    text = refusal(lambda: YoloDetection(data, "train", expect_images=7))
    assert text.startswith("spec.dataset.train.expectImages: 7: there are 12 images")
    text = refusal(lambda: YoloDetection(data, "train", expect_annotations=7))
    assert text.startswith(f"spec.dataset.train.expectAnnotations: 7: there are {boxes} annotations")
    picture = data.parent / "images" / "train" / "train-002.png"
    whole = picture.read_bytes()
    picture.write_bytes(whole[: len(whole) // 2])
    assert "train-002.png: it is broken" in refusal(lambda: right.read_image(2))
    cv2.imwrite(str(picture), np.zeros((20, 30, 3), np.uint8))
    assert "it is 30×20 pixels, its head says 128×96" in refusal(lambda: right.read_image(2))
    picture.unlink()
    assert "No such file" in refusal(lambda: right.read_image(2))
    picture.write_text("nothing")
    assert "train-002.png: the picture cannot be read: it is no picture" in refusal(
        lambda: YoloDetection(data, "train")
    )
    for path in (data.parent / "labels").rglob("*.txt"):
        path.unlink()
    picture.unlink()
    assert "no box to learn" in refusal(lambda: YoloDetection(data, "train"))
    for path in (data.parent / "images" / "train").iterdir():
        path.unlink()
    assert "there is no picture in it" in refusal(lambda: YoloDetection(data, "train"))
