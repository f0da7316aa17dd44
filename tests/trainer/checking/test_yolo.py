"""YOLO data sets: checked as the others, as far as label files tell."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest

from support.checks import change_manifest, found_by, run_check
from vistrain_trainer.checking.opening import read_content
from vistrain_trainer.data.digests import sha256_of
from vistrain_trainer.data.manifest import MANIFEST, digest_of, read
from vistrain_trainer.data.nuscenes.options import PrepareOptions
from vistrain_trainer.data.nuscenes.prepare import prepare_nuscenes


@pytest.fixture(scope="module")
def yolo(release: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The keyframes of the release, with links to its pictures."""
    out = tmp_path_factory.mktemp("yolo") / "prepared"
    cameras = ("CAM_FRONT", "CAM_BACK")
    prepare_nuscenes(PrepareOptions(root=release, cameras=cameras, formats=("yolo",), pictures="link"), out)
    return out / "yolo"


@pytest.fixture
def changed(yolo: Path, tmp_path: Path) -> Callable[[Callable[[Path], object]], Path]:
    """Copy the data set, change its files, and sign the manifest anew; its counts stay."""

    def make(change: Callable[[Path], object]) -> Path:
        folder = tmp_path / "changed"
        shutil.copytree(yolo, folder)
        change(folder)
        files = {name: sha256_of(folder / name) for name in read(folder / MANIFEST).files}
        change_manifest(folder, files=files, digest=digest_of(files))
        return folder

    return make


def test_boxes_are_those_of_the_coco_data_set(yolo, prepared):
    labels, document = read_content(yolo), read_content(prepared / "coco")
    for name, split in labels.splits.items():
        other = document.splits[name]
        places = {Path(file).name: row for row, file in enumerate(other.frames.name)}
        assert len(split.frames) == len(other.frames)
        for frame, file in enumerate(split.frames.name):
            row = places[Path(file).name]
            assert (split.frames.size[frame] == other.frames.size[row]).all()
            mine, theirs = split.rows_of(frame), other.rows_of(row)
            assert split.boxes.box[mine] == pytest.approx(other.boxes.box[theirs], abs=1e-5)
            assert (split.boxes.label[mine] == other.boxes.label[theirs]).all()


def test_a_sound_data_set_is_shown_by_camera(yolo, tmp_path):
    arguments = ("--camera", "CAM_BACK", "--samples", 3, "--out", tmp_path / "out", "--json")
    result = run_check(yolo, *arguments)
    assert result.exit_code == 0, result.output
    found = found_by(result)
    assert found["layout"] == "yolo"
    assert {one["sequence"] for one in found["samples"]} == {"CAM_BACK"}
    assert sum(one["missing"] for one in found["samples"]) == 0
    assert "visible-share" in found["figures"]
    assert found["counts"]["train"].get("sequences") is None
    result = run_check(yolo, "--scene", "scene-0061", *arguments)
    assert result.exit_code == 64
    assert "the data set does not tell them. Leave the option out" in result.stdout


def label_with_boxes(folder: Path) -> Path:
    return next(path for path in sorted((folder / "labels" / "train").iterdir()) if path.stat().st_size)


def test_a_box_that_leaves_its_picture_and_one_that_is_there_twice(changed, tmp_path):
    def spoil(folder: Path) -> None:
        path = label_with_boxes(folder)
        rows = path.read_text().splitlines()
        path.write_text("\n".join([*rows, rows[0], "0 0.95 0.5 0.2 0.2"]) + "\n")

    folder = changed(spoil)
    found = found_by(run_check(folder, "--samples", 0, "--out", tmp_path / "out", "--json"))
    assert set(found["outside"]) == {"counts", "boxes-outside", "duplicate-boxes"}
    for figure in ("boxes-outside", "duplicate-boxes"):
        (place,) = found["figures"][figure]["places"]["train"]
        assert label_with_boxes(folder).stem in place


def test_names_in_another_order(changed, tmp_path):
    def exchange(folder: Path) -> None:
        path = folder / "data.yaml"
        path.write_text(path.read_text().replace("car", "?").replace("truck", "car").replace("?", "truck"))

    found = found_by(run_check(changed(exchange), "--samples", 0, "--out", tmp_path / "out", "--json"))
    assert "class-order" in found["outside"]
    assert found["figures"]["class-order"]["places"]["train"] == [
        "truck in place of car",
        "car in place of truck",
    ]


def test_names_of_other_classes_are_bad_input(changed, tmp_path):
    def rename(folder: Path) -> None:
        path = folder / "data.yaml"
        path.write_text(path.read_text().replace("bicycle", "unicycle"))

    result = run_check(changed(rename), "--out", tmp_path / "out")
    assert result.exit_code == 64
    assert "its names are not the classes of the manifest" in result.stderr


def test_a_reserved_picture_among_those_to_train_on_is_known_by_its_name(release, tmp_path):
    lists = tmp_path / "splits.yaml"
    lists.write_text("train: [scene-0061]\ntest: [scene-0103]\nreserved: [test]\n")
    out = tmp_path / "held"
    prepare_nuscenes(PrepareOptions(root=release, splits=str(lists), formats=("yolo",), pictures="link"), out)
    result = run_check(out / "yolo", "--samples", 0, "--out", tmp_path / "out", "--json")
    assert found_by(result)["figures"]["reserved-scenes"]["values"] == {"train": 0}
    held = next((out / "yolo" / "images" / "test").iterdir())
    held.rename(out / "yolo" / "images" / "train" / held.name)
    found = found_by(run_check(out / "yolo", "--samples", 0, "--out", tmp_path / "out", "--json"))
    assert "reserved-scenes" in found["outside"]
    assert found["figures"]["reserved-scenes"]["places"]["train"][0].startswith("scene-0103 (")


def test_turned_pictures_are_shown_upright(yolo, tmp_path):
    """A camera that was held on its side says so in EXIF; labels are of the picture as viewers show it."""
    from PIL import Image

    folder = tmp_path / "turned"
    shutil.copytree(yolo, folder)
    path = next((folder / "images" / "train").iterdir())
    upright = Image.fromarray(np.arange(60 * 40 * 3, dtype=np.uint8).reshape(60, 40, 3))
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90° to the right
    upright.transpose(Image.Transpose.ROTATE_90).save(path, exif=exif)
    content = read_content(folder)
    split = content.splits["train"]
    frame = next(at for at, name in enumerate(split.frames.name) if name.endswith(path.name))
    assert split.frames.size[frame].tolist() == [40, 60]
    found = found_by(run_check(folder, "--samples", 100, "--out", tmp_path / "out", "--json"))
    assert found["figures"]["other-size"]["values"]["train"] == 0


def test_a_manifest_of_no_split(yolo, tmp_path):
    folder = tmp_path / "none"
    shutil.copytree(yolo, folder)
    manifest = msgspec.structs.replace(read(folder / MANIFEST), splits={})
    (folder / MANIFEST).write_bytes(msgspec.json.encode(manifest))
    result = run_check(folder, "--out", tmp_path / "out")
    assert result.exit_code == 64
    assert "it names no split" in result.stderr
