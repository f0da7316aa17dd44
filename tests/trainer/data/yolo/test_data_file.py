"""data.yaml in the forms that people and exporters write it, and every fault told."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from vistrain_trainer.data.yolo.data_file import encode_data_file, read_data_file
from vistrain_trainer.errors import BadInput


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("images/train", "images/val", "extra"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "more.txt").write_text("images/train/a.jpg\n")
    return tmp_path


def write(folder: Path, text: str, name: str = "data.yaml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


WHOLE = "train: images/train\nval: images/val\n"


@pytest.mark.parametrize(
    "names",
    [
        "[toe, crest]",
        "{0: toe, 1: crest}",
        "{1: crest, 0: toe}",
        "{'0': toe, '1': crest}",
    ],
)
def test_names_are_a_list_or_numbered(folder: Path, names: str) -> None:
    data = read_data_file(write(folder, f"{WHOLE}names: {names}\nnc: 2\n"))
    assert data.names == ("toe", "crest")
    assert list(data.splits) == ["train", "val"]


def test_a_split_is_a_folder_a_list_file_or_several(folder: Path) -> None:
    text = "train: [images/train, extra, more.txt]\nvalidation: images/val\ntest:\nnames: [toe]\n"
    data = read_data_file(write(folder, text))
    assert [(part.path.name, part.is_list) for part in data.splits["train"]] == [
        ("train", False),
        ("extra", False),
        ("more.txt", True),
    ]
    assert data.splits["val"][0].path == folder / "images/val"
    assert "test" not in data.splits


def test_splits_are_relative_to_path_or_to_the_file(folder: Path) -> None:
    other = folder / "configs"
    other.mkdir()
    for path in ("..", str(folder)):
        data = read_data_file(write(other, f"path: {path}\n{WHOLE}names: [toe]\n"))
        assert data.splits["train"][0].path.resolve() == folder / "images/train"
    assert read_data_file(write(folder, f"path:\n{WHOLE}names: [toe]\n")).root == folder


def test_an_export_that_says_parent_folder_is_read_as_it_lies(folder: Path) -> None:
    below = folder / "images"
    write(below, "train: ../train\nval: ../val\nnames: [toe]\n")
    assert read_data_file(below / "data.yaml").splits["val"][0].path == below / "val"


def test_other_keys_are_left_alone(folder: Path) -> None:
    data = read_data_file(write(folder, f"{WHOLE}names: [toe]\ndownload: https://example.org\nchannels: 3\n"))
    assert data.names == ("toe",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (WHOLE, "data.yaml: names: None: is no list of names"),
        (f"{WHOLE}names: []\n", "is no list of names"),
        (f"{WHOLE}names: [toe, toe]\n", "a name comes twice"),
        (f"{WHOLE}names: [toe, on]\n", "True: name 1 is no text to YAML. Put it in quotes"),
        (f"{WHOLE}names: {{0: toe, 2: crest}}\n", r"\[0, 2\]: are not numbered 0, 1"),
        (f"{WHOLE}names: [toe, crest]\nnc: 3\n", "data.yaml: nc: 3: names lists 2 classes"),
        (f"{WHOLE}names: [toe]\nkpt_shape: [17, 3]\n", "it describes key points, not boxes"),
        ("train: images/none\nnames: [toe]\n", "data.yaml: train: images/none: there is no "),
        ("train: []\nnames: [toe]\n", "names no folder"),
        ("train: [3]\nnames: [toe]\n", "3: is no path"),
        ("path: /nowhere\nnames: [toe]\n", "data.yaml: path: /nowhere: there is no folder"),
        ("names: [toe]\n", "none of train, val and test"),
        ("- a\n- b\n", "it is no mapping"),
        ("names: [toe\n", "it is not YAML"),
    ],
)
def test_a_fault_names_file_key_and_value(folder: Path, text: str, message: str) -> None:
    with pytest.raises(BadInput, match=message) as caught:
        read_data_file(write(folder, text))
    assert str(folder) in str(caught.value)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="No such file"):
        read_data_file(tmp_path / "data.yaml")


def test_what_is_written_is_read(folder: Path) -> None:
    path = folder / "data.yaml"
    names = ("on", "1", "toe drain", "ß: x")
    path.write_bytes(encode_data_file(names, {"train": "images/train", "val": "images/val"}))
    assert read_data_file(path).names == names
    assert yaml.safe_load(path.read_text())["nc"] == 4
