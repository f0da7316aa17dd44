"""What a data set holds, counted as a person would."""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from support.coco_dataset import CLASSES, write_dataset
from support.pages import Page
from support.yolo_dataset import NAMES, write_yolo
from vistrain_trainer.data.cli import app
from vistrain_trainer.data.rebalance.journal import JOURNAL


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["stats", *map(str, arguments)])


def counted(*arguments: object) -> dict[str, Any]:
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_yolo(tmp_path / "data")


def rows(data: Path, split: str) -> list[tuple[str, str]]:
    """Picture and class of every row."""
    return [
        (path.stem, NAMES[int(line.split()[0])])
        for path in (data.parent / "labels" / split).iterdir()
        for line in path.read_text().splitlines()
    ]


def test_images_and_boxes_by_class_and_split(data: Path) -> None:
    found = counted(data)
    assert found["format"] == "yolo"
    assert found["classes"] == list(NAMES)
    total = []
    for split, images in (("train", 12), ("val", 4), ("test", 3)):
        expected = rows(data, split)
        total += expected
        part = found["splits"][split]
        assert (part["images"], part["annotations"]) == (images, len(expected))
        assert part["imagesWithoutBoxes"] == part["missingLabels"] == 1
        for name in NAMES:
            of_class = [picture for picture, kind in expected if kind == name]
            assert part["perClass"][name]["instances"] == len(of_class)
            assert part["perClass"][name]["images"] == len(set(of_class))
            assert part["perClass"][name]["share"] == pytest.approx(len(of_class) / len(expected))
    assert found["total"]["images"] == 19
    assert {name: one["instances"] for name, one in found["total"]["perClass"].items()} == Counter(
        kind for _, kind in total
    )


def test_box_sizes_are_of_what_lies_inside_the_picture(data: Path) -> None:
    label = data.parent / "labels" / "train" / "train-000.txt"
    before = counted(data)["total"]["perClass"]["toe_drain"]["sides"]
    # 128×96 pixels: 40.96×10 = 20.2² px; half outside: 32×24 = 27.7² px; all of it: 110.9² px; nothing of it.
    label.write_text("2 0.5 0.5 0.32 0.104167\n2 0 0.5 0.5 0.25\n2 0.5 0.5 1 1\n2 0.5 0.5 0 0.5\n")
    found = counted(data)
    assert found["sides"] == [0, 8, 16, 32, 64, 96, 128, 256, 512]
    added = np.subtract(found["total"]["perClass"]["toe_drain"]["sides"], before)
    assert added.tolist() == [1, 0, 2, 0, 0, 1, 0, 0, 0]
    assert found["splits"]["train"]["withoutArea"] == 1


def test_findings_are_counted_and_not_refused(data: Path) -> None:
    labels = data.parent / "labels"
    (labels / "train" / "train-001.txt").write_text("1 0.1 0.1 0.3 0.1 0.3 0.5\n2 0.5 0.5 0.1 0.1\n" * 2)
    (labels / "train" / "train-002.txt").write_text("")
    (labels / "val" / "nothing.txt").write_text("0 0.5 0.5 0.1 0.1\n")
    (labels / "classes.txt").write_text("\n".join(NAMES))
    found = counted(data)
    train = found["splits"]["train"]
    assert (train["polygons"], train["duplicates"], train["emptyLabels"]) == (2, 2, 1)
    assert found["orphanLabels"] == ["labels/val/nothing.txt"]
    plain = run(data).stdout
    assert "polygons" in plain
    assert "1 label file without a picture, such as labels/val/nothing.txt" in plain
    (labels / "val" / "val-001.txt").write_text("9 0.5 0.5 0.1 0.1\n")
    assert "val-001.txt:1: 9 0.5" in run(data).stderr


def test_a_picture_in_two_splits_and_a_class_that_is_missing_are_said(data: Path) -> None:
    data.write_text(data.read_text().replace("test: images/test", "test: images/val"))
    for path in (data.parent / "labels" / "val").iterdir():
        path.write_text("0 0.5 0.5 0.1 0.1\n")
    assert counted(data)["sharedPictures"] == 4
    plain = run(data).stdout
    assert "4 pictures in more than one split" in plain
    assert "val has no box of slope_drain, toe_drain, vegetation" in plain


def test_expected_counts_decide_the_exit_code(data: Path) -> None:
    boxes = len(rows(data, "train"))
    right = ("--expect", "train=12,val=4,test=3", "--expect-annotations", f"train={boxes}")
    assert run(data, *right).exit_code == 0
    result = run(data, "--expect", "train=12,val=5,holdout=1", "--expect-annotations", "train=7")
    assert result.exit_code == 64
    assert "error: val has 4 images, not 5" in result.stderr
    assert "error: holdout has 0 images, not 1" in result.stderr
    assert f"error: train has {boxes} annotations, not 7" in result.stderr
    assert "vegetation" in result.stdout
    result = run(data, "--expect", "val=5", "--json")
    assert result.exit_code == 64
    assert json.loads(result.stdout)["expectations"] == [
        {"what": "images", "split": "val", "expected": 5, "found": 4}
    ]
    for text in ("train", "train=x", "train=3,train=4", "=3"):
        result = run(data, "--expect", text)
        assert result.exit_code == 64
        assert "is not SPLIT=COUNT, or comes twice" in result.stderr


def test_coco_files_and_prepared_folders(tmp_path: Path) -> None:
    path = write_dataset(tmp_path / "data")
    document = json.loads(path.read_text())
    document["annotations"][0]["iscrowd"] = 1
    document["annotations"][1]["segmentation"] = [[1, 1, 5, 1, 5, 5]]
    document["annotations"].append({**document["annotations"][2], "id": 5000})
    document["images"].append({"id": 7, "file_name": "none.png", "width": 40, "height": 30})
    path.write_text(json.dumps(document))
    shutil.copy(path, path.with_name("val.json"))
    found = counted(path)
    assert found == counted(f"train={path}")
    train = found["splits"]["train"]
    assert (train["images"], train["annotations"]) == (13, len(document["annotations"]))
    assert (train["crowds"], train["polygons"], train["duplicates"]) == (1, 1, 1)
    assert train["imagesWithoutBoxes"] == 1
    assert found["classes"] == list(CLASSES)
    both = counted(tmp_path / "data")
    assert list(both["splits"]) == ["train", "val"]
    assert both["splits"]["val"] == train
    assert both == counted(path, path.with_name("val.json"))


def test_the_page_shows_the_same_numbers(data: Path, tmp_path: Path) -> None:
    page_file = tmp_path / "pages" / "stats.html"
    assert run(data, "--html", page_file, "--expect", "train=12").exit_code == 0
    page = Page(page_file.read_text())
    assert page.sections == ["splits", "classes", "sizes"]
    assert all(address.startswith("data:") for address in page.addresses)
    found = counted(data)
    splits = page.tables["splits"][0]
    assert splits.column("images") == ["12", "4", "3", "19"]
    assert splits.column("boxes")[0] == str(found["splits"]["train"]["annotations"])
    vegetation = page.tables["classes"][-1].by_first["vegetation"]
    one = found["splits"]["train"]["perClass"]["vegetation"]
    assert vegetation[0].startswith(f"{one['instances']} in {one['images']}, ")
    sizes = page.tables["sizes"][0].by_first["rock_toe"]
    assert list(map(int, sizes)) == found["total"]["perClass"]["rock_toe"]["sides"]
    assert "as expected" in page_file.read_text()
    again = page_file.read_bytes()
    run(data, "--html", page_file, "--expect", "train=12")
    assert page_file.read_bytes() == again
    assert run(data, "--html", page_file, "--expect", "train=11").exit_code == 64
    assert "train has 12 images, not 11." in page_file.read_text()


@pytest.mark.parametrize("content", ["[", '{"share": 0.5}', '{"changes": [], "formatVersion": 9}'])
def test_a_journal_that_says_nothing_is_refused(data: Path, content: str) -> None:
    (data.parent / JOURNAL).write_text(content)
    result = run(data)
    assert result.exit_code == 64
    assert re.search("it is no journal of rebalancing|it is of format version 9", result.stderr)
