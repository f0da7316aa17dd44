"""The YOLO layout of a release, read as trainers read it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from support.nuscenes_release import HEIGHT, WIDTH, write_pictures, write_release
from vistrain_trainer.data.nuscenes.options import PrepareOptions
from vistrain_trainer.data.nuscenes.prepare import prepare_nuscenes
from vistrain_trainer.errors import BadInput


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    write_release(tmp_path / "raw")
    write_pictures(tmp_path / "raw")
    return tmp_path / "raw"


def prepare(root: Path, out: Path, **options: Any) -> Path:
    prepare_nuscenes(PrepareOptions(root=root, formats=("yolo",), **{"pictures": "link", **options}), out)
    return out / "yolo"


def read(folder: Path) -> dict[str, dict[Path, np.ndarray]]:
    """Rows by picture and split: the label of a picture is where `labels` stands for the last `images`."""
    content = yaml.safe_load((folder / "data.yaml").read_text())
    found: dict[str, dict[Path, np.ndarray]] = {}
    for split in ("train", "val", "test"):
        if split in content:
            found[split] = {}
            for picture in sorted((folder / content[split]).glob("**/*.jpg")):
                before, after = str(picture).rsplit(f"{os.sep}images{os.sep}", 1)
                label = Path(f"{before}{os.sep}labels{os.sep}{after}").with_suffix(".txt")
                found[split][picture] = np.array(
                    [[float(cell) for cell in line.split()] for line in label.read_text().splitlines()]
                ).reshape(-1, 5)
    return found


def test_a_trainer_finds_pictures_labels_and_names(raw: Path, tmp_path: Path) -> None:
    folder = prepare(raw, tmp_path / "out")
    content = yaml.safe_load((folder / "data.yaml").read_text())
    assert content == {
        "train": "images/train",
        "val": "images/val",
        "nc": 7,
        "names": dict(enumerate(["car", "truck", "bus", "trailer", "pedestrian", "motorcycle", "bicycle"])),
    }
    found = read(folder)
    assert {split: len(pictures) for split, pictures in found.items()} == {"train": 4, "val": 2}
    rows = list(found["val"].values())
    assert [row[:, 0].tolist() for row in rows] == [[0, 4], [0, 2, 4]]
    car = np.array([38.8888889 + 11.1111111, 40, 22.2222222, 22.2222222]) / [WIDTH, HEIGHT, WIDTH, HEIGHT]
    assert rows[0][0, 1:] == pytest.approx(car, abs=1e-9)


def test_boxes_are_those_of_the_coco_file(root: Path, tmp_path: Path) -> None:
    cameras = ("CAM_FRONT", "CAM_FRONT_LEFT")
    tables = root / "v1.0-mini"
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "v1.0-mini").symlink_to(tables)
    for row in json.loads((tables / "sample_data.json").read_text()):
        if row["is_key_frame"] and row["filename"].split("/")[1] in cameras:
            path = tmp_path / "raw" / row["filename"]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    options = PrepareOptions(
        root=tmp_path / "raw", cameras=cameras, formats=("yolo", "coco"), pictures="link"
    )
    prepare_nuscenes(options, tmp_path / "out")
    compared = 0
    for split, pictures in read(tmp_path / "out" / "yolo").items():
        document = json.loads((tmp_path / "out" / "coco" / "annotations" / f"{split}.json").read_text())
        assert len(document["images"]) == len(pictures)
        for image in document["images"]:
            boxes = [
                [one["category_id"] - 1, *one["bbox"]]
                for one in document["annotations"]
                if one["image_id"] == image["id"]
            ]
            name = Path(image["file_name"]).name
            rows = pictures[tmp_path / "out" / "yolo" / "images" / split / name]
            size = np.array([1600, 900, 1600, 900])
            pixels = rows[:, 1:] * size
            pixels[:, :2] -= pixels[:, 2:] / 2
            assert np.column_stack([rows[:, 0], pixels]) == pytest.approx(
                np.array(boxes).reshape(-1, 5), abs=2e-6
            )
            compared += len(rows)
    assert compared > 100


def test_links_hold_when_both_folders_are_moved_together(raw: Path, tmp_path: Path) -> None:
    volume = tmp_path / "volume"
    volume.mkdir()
    raw.rename(volume / "raw")
    prepare(volume / "raw", volume / "prepared")
    moved = volume.rename(tmp_path / "mounted")
    pictures = [path for split in read(moved / "prepared" / "yolo").values() for path in split]
    assert len(pictures) == 6
    assert all(path.is_symlink() and path.is_file() for path in pictures)


def test_what_fills_the_picture_twice_is_written_once(raw: Path, tmp_path: Path) -> None:
    path = raw / "v1.0-trainval" / "sample_annotation.json"
    rows = json.loads(path.read_text())
    for row in rows:
        if "car" in row["token"] or "pedestrian" in row["token"]:
            row |= {"translation": [0, 0, 3], "size": [5, 5, 5]}
    path.write_text(json.dumps(rows))
    instances = raw / "v1.0-trainval" / "instance.json"
    instances.write_text(
        instances.read_text().replace('"category_token": "pedestrian"', '"category_token": "car"')
    )
    folder = prepare(raw, tmp_path / "out")
    first = next(iter(read(folder)["val"].values()))
    assert first.tolist() == [[0, 0.5, 0.5, 1, 1]]
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["dropped"]["sameAsAnother"] == 6
    assert manifest["splits"]["val"]["counts"]["perClass"]["car"] == 2


def test_pictures_that_stay_elsewhere_are_refused(raw: Path) -> None:
    with pytest.raises(BadInput, match="YOLO looks for labels where the pictures are"):
        PrepareOptions(root=raw, formats=("yolo",))


def test_splits_of_other_names_are_refused_before_anything_is_read(tmp_path: Path) -> None:
    write_release(tmp_path / "raw")
    lists = tmp_path / "lists.json"
    lists.write_text(json.dumps({"fit": ["scene-0001"], "val": ["scene-0003"]}))
    with pytest.raises(BadInput, match=r"fit: is no split of YOLO's\. call them train, val, test"):
        prepare(tmp_path / "raw", tmp_path / "out", splits=str(lists))
