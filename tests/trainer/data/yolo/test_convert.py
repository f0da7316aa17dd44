"""YOLO to COCO and back: the same boxes, whatever happens on the way."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from typer.testing import CliRunner, Result

from support.coco_dataset import CLASSES, write_dataset
from support.trees import snapshot
from support.yolo_dataset import NAMES, write_yolo
from vistrain_trainer.data import manifest as manifests
from vistrain_trainer.data.cli import app
from vistrain_trainer.data.coco import CocoDetection
from vistrain_trainer.data.sets import pictures
from vistrain_trainer.data.sets.convert import ConvertOptions, convert
from vistrain_trainer.data.sets.opening import open_set
from vistrain_trainer.data.yolo.detection import YoloDetection


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["convert", *map(str, arguments)])


def made(*arguments: object) -> dict[str, Any]:
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def refused(*arguments: object) -> str:
    result = run(*arguments)
    assert result.exit_code == 64, result.output
    return result.stderr


def boxes(data: str | Path) -> dict[str, dict[str, list[tuple[str, tuple[float, ...]]]]]:
    """Class and box in pixels, sorted, by split and by the picture's base name."""
    found = open_set([str(data)])
    return {
        name: {
            Path(image.file_name).name: sorted(
                (found.classes[index], tuple(box))
                for index, box in zip(
                    split.boxes.classes[split.boxes.image == at].tolist(),
                    split.boxes.boxes[split.boxes.image == at].tolist(),
                    strict=True,
                )
            )
            for at, image in enumerate(split.images)
        }
        for name, split in found.splits.items()
    }


def assert_same(one: Path, other: Path) -> None:
    a, b = boxes(one), boxes(other)
    assert a.keys() == b.keys()
    for split in a:
        assert a[split].keys() == b[split].keys()
        for picture, rows in a[split].items():
            assert [name for name, _ in rows] == [name for name, _ in b[split][picture]]
            for (_, box), (_, again) in zip(rows, b[split][picture], strict=True):
                np.testing.assert_allclose(box, again, rtol=0, atol=1e-6)


def test_yolo_to_coco_and_back(tmp_path: Path) -> None:
    data = write_yolo(tmp_path / "data")
    coco, yolo = tmp_path / "coco", tmp_path / "yolo"
    manifest = made("--from", data, "--to", "coco", "--out", coco)
    again = made("--from", coco, "--to", "yolo", "--out", yolo)
    assert_same(data, coco)
    assert_same(data, yolo / "data.yaml")
    for path in (data.parent / "labels").rglob("*.txt"):
        assert (yolo / path.relative_to(data.parent)).read_bytes() == path.read_bytes()
    assert manifest["classes"] == again["classes"] == list(NAMES)
    assert manifest["splits"]["train"]["counts"] == again["splits"]["train"]["counts"]
    assert manifest["source"] == {"kind": "yolo", "digest": open_set([str(data)]).digest()}


def test_coco_to_yolo_and_back(tmp_path: Path) -> None:
    for split in ("train", "val"):
        write_dataset(tmp_path / split, images=5)
    files = [f"{split}={tmp_path / split / 'annotations' / 'train.json'}" for split in ("train", "val")]
    images = [f"{split}={tmp_path / split / 'images'}" for split in ("train", "val")]
    from_images = [word for text in images for word in ("--images", text)]
    made("--from", files[0], "--from", files[1], *from_images, "--to", "yolo", "--out", tmp_path / "yolo")
    made("--from", tmp_path / "yolo", "--to", "coco", "--out", tmp_path / "coco")
    before = open_set(files, images)
    after = open_set([str(tmp_path / "coco")])
    assert after.classes == before.classes == CLASSES
    for name, split in before.splits.items():
        np.testing.assert_allclose(after.splits[name].boxes.boxes, split.boxes.boxes, rtol=0, atol=1e-6)
        np.testing.assert_array_equal(after.splits[name].boxes.classes, split.boxes.classes)


def test_the_results_train(tmp_path: Path) -> None:
    data = write_yolo(tmp_path / "data")
    made("--from", data, "--to", "coco", "--out", tmp_path / "coco", "--pictures", "copy")
    own = YoloDetection(data, "val")
    coco = CocoDetection(tmp_path / "coco/annotations/val.json", tmp_path / "coco/images", NAMES)
    coco.verify_images()
    for at in range(len(own)):
        np.testing.assert_allclose(coco.labels(at), own.labels(at), rtol=0, atol=1e-4)
        np.testing.assert_array_equal(coco.read_image(at), own.read_image(at))
    ids = [
        [record["id"] for record in json.loads(path.read_text())[kind]]
        for kind in ("images", "annotations")
        for path in (tmp_path / "coco" / "annotations").iterdir()
    ]
    assert all(len({*a, *b, *c}) == len(a) + len(b) + len(c) for a, b, c in (ids[:3], ids[3:]))


share = st.floats(0, 1).map(lambda value: round(value, 7))
row = st.tuples(st.integers(0, 3), share, share, st.floats(0.001, 1), st.floats(0.001, 1))


@pytest.fixture(scope="module")
def canvas(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_yolo(tmp_path_factory.mktemp("canvas") / "data", {"train": 4}, background=0)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
@given(rows=st.lists(st.lists(row, max_size=4, unique=True), min_size=4, max_size=4))
def test_any_boxes_come_back(canvas: Path, rows: list[list[tuple[float, ...]]]) -> None:
    """Boxes that reach out of the picture included: they are converted as they are stated."""
    written = 0
    for at, of_picture in enumerate(rows):
        inside = [
            one for one in of_picture
            if min(one[1] + one[3] / 2, 1) - max(one[1] - one[3] / 2, 0) > 1e-4
            and min(one[2] + one[4] / 2, 1) - max(one[2] - one[4] / 2, 0) > 1e-4
        ]  # fmt: skip
        written += len(inside)
        text = "".join(f"{' '.join(map(repr, one))}\n" for one in inside)
        (canvas.parent / "labels" / "train" / f"train-00{at}.txt").write_text(text)
    folder = canvas.parent.parent
    for name in ("coco", "yolo"):
        shutil.rmtree(folder / name, ignore_errors=True)
    convert(open_set([str(canvas)]), ConvertOptions("coco"), folder / "coco")
    manifest = convert(open_set([str(folder / "coco")]), ConvertOptions("yolo"), folder / "yolo")
    assert_same(canvas, folder / "coco")
    assert_same(canvas, folder / "yolo")
    assert manifest.splits["train"].counts.annotations == written


def test_a_box_that_yolo_cannot_say_is_clipped_and_told(tmp_path: Path) -> None:
    path = write_dataset(tmp_path / "data", images=2)
    document = json.loads(path.read_text())
    width, height = document["images"][0]["width"], document["images"][0]["height"]
    outer = [[-50, -50, width + 100, height + 100], [width - 10, 5, 60, 20], [5, 5, 20, 20], [-90, 5, 20, 20]]
    document["annotations"] = [
        {"id": at, "image_id": 100, "category_id": 3, "bbox": box, "iscrowd": int(at == 2)}
        for at, box in enumerate(outer)
    ]
    path.write_text(json.dumps(document))
    manifest = made("--from", path, "--to", "yolo", "--out", tmp_path / "yolo")
    assert manifest["dropped"] == {"crowd": 1, "withoutArea": 1}
    assert manifest["notes"] == [
        "2 boxes reach out of their picture further than YOLO can say, and are clipped"
    ]
    split = open_set([str(tmp_path / "yolo")]).splits["train"]
    np.testing.assert_allclose(split.boxes.boxes, [[0, 0, width, height], [width - 10, 5, 10, 20]], atol=1e-6)


def test_classes_are_chosen_and_put_in_another_order(tmp_path: Path) -> None:
    data = write_yolo(tmp_path / "data")
    before = boxes(data)
    arguments = ("--from", data, "--to", "yolo", "--classes", "vegetation,rock_toe")
    manifest = made(*arguments, "--out", tmp_path / "two")
    assert manifest["classes"] == ["vegetation", "rock_toe"]
    after = boxes(tmp_path / "two")
    gone = 0
    for split, of_split in before.items():
        for picture, rows in of_split.items():
            kept = [name for name, _ in rows if name in manifest["classes"]]
            assert [name for name, _ in after[split][picture]] == kept
            gone += len(rows) - len(kept)
    assert manifest["dropped"] == {"otherClass": gone}
    assert gone > 0
    for classes, message in (("crest", "'crest' is unknown"), ("rock_toe,rock_toe", "a name comes twice")):
        text = refused("--from", data, "--to", "coco", "--classes", classes, "--out", tmp_path / "none")
        assert message in text


@pytest.mark.parametrize("mode", ["none", "link", "copy"])
@pytest.mark.parametrize("layout", ["coco", "yolo"])
def test_pictures_stay_are_linked_or_copied(tmp_path: Path, mode: str, layout: str) -> None:
    data = write_yolo(tmp_path / "data")
    out = tmp_path / "deep" / "out"
    manifest = made("--from", data, "--to", layout, "--out", out, "--pictures", mode)
    root = out / manifest["pictures"]["root"]
    assert manifest["pictures"]["mode"] == mode
    for split in ("train", "val", "test"):
        for at in range(3):
            name = f"{split}/{split}-00{at}.png"
            assert (root / name).read_bytes() == (data.parent / "images" / name).read_bytes()
            assert (root / name).is_symlink() == (mode == "link")
    assert (out / "images" / "train" / "train-000.png").exists() == (mode != "none")
    if mode == "link":
        elsewhere = tmp_path.with_name(f"{tmp_path.name}-moved")
        shutil.copytree(tmp_path, elsewhere, symlinks=True)
        shutil.rmtree(data.parent)  # a link that led back there would be broken now
        moved = list((elsewhere / "deep" / "out" / "images").rglob("*.png"))
        assert len(moved) == 19
        assert all(path.is_file() for path in moved)


def test_a_picture_that_viewers_turn_keeps_its_boxes(tmp_path: Path) -> None:
    data = write_yolo(tmp_path / "data", {"train": 3}, suffix=".jpg")
    path = data.parent / "images" / "train" / "train-001.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.full((60, 100, 3), 90, np.uint8)).save(path, exif=exif)
    (data.parent / "labels" / "train" / "train-001.txt").write_text("1 0.250000 0.100000 0.200000 0.100000\n")
    made("--from", data, "--to", "coco", "--out", tmp_path / "coco")
    document = json.loads((tmp_path / "coco" / "annotations" / "train.json").read_text())
    assert (document["images"][1]["width"], document["images"][1]["height"]) == (100, 60)
    # Shown 60 wide and 100 high, with the stored left edge on top: x = 9 … 21 of 60 lies 39 … 51 from below.
    box = next(one["bbox"] for one in document["annotations"] if one["image_id"] == 2)
    np.testing.assert_allclose(box, [5, 39, 10, 12])
    made("--from", tmp_path / "coco", "--to", "yolo", "--out", tmp_path / "yolo")
    label = tmp_path / "yolo" / "labels" / "train" / "train-001.txt"
    assert label.read_text() == "1 0.250000 0.100000 0.200000 0.100000\n"


def test_polygons_and_duplicates_are_refused_or_taken(tmp_path: Path) -> None:
    data = write_yolo(tmp_path / "data")
    label = data.parent / "labels" / "train" / "train-001.txt"
    label.write_text("1 0.1 0.1 0.3 0.1 0.3 0.5\n2 0.5 0.5 0.1 0.1\n2 0.5 0.5 0.1 0.1\n")
    arguments = ("--from", data, "--to", "coco", "--out", tmp_path / "coco")
    text = refused(*arguments)
    assert f"{label}:1: 1 0.1 0.1 0.3 0.1 0.3 0.5: it is a polygon" in text
    assert f"{label}:3: " in refused(*arguments, "--polygons", "to-boxes")
    manifest = made(*arguments, "--polygons", "to-boxes", "--duplicates", "drop")
    assert manifest["dropped"] == {"duplicate": 1}
    assert "1 polygons are taken as their bounds" in manifest["notes"]
    assert manifest["command"].endswith("--duplicates drop --polygons to-boxes")


def test_duplicates_of_coco_are_refused_or_left_out(tmp_path: Path) -> None:
    path = write_dataset(tmp_path / "data", images=2)
    document = json.loads(path.read_text())
    document["annotations"].append(
        {**document["annotations"][0], "id": 999, "segmentation": [[1, 1, 5, 1, 5, 5]]}
    )
    path.write_text(json.dumps(document))
    arguments = ("--from", path, "--to", "yolo", "--out", tmp_path / "yolo")
    assert "1 boxes of the split repeat another" in refused(*arguments)
    manifest = made(*arguments, "--duplicates", "drop")
    assert manifest["dropped"] == {"duplicate": 1}
    assert manifest["notes"] == ["1 annotations have a polygon beside their box, which is not carried over"]


def test_the_same_again_is_left_as_it_is_and_something_else_never_overwritten(tmp_path: Path) -> None:
    data = write_yolo(tmp_path / "data")
    arguments = ("--from", data, "--to", "coco", "--out", tmp_path / "coco")
    made(*arguments)
    times = {path: path.lstat().st_mtime_ns for path in (tmp_path / "coco").rglob("*")}
    made(*arguments)
    assert {path: path.lstat().st_mtime_ns for path in (tmp_path / "coco").rglob("*")} == times
    assert "the folder holds what" in refused(*arguments, "--classes", "rock_toe")
    (data.parent / "labels" / "val" / "val-001.txt").unlink()
    assert "give a new folder" in refused(*arguments)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "x").touch()
    assert "something else" in refused("--from", data, "--to", "coco", "--out", tmp_path / "other")


def test_an_interrupted_conversion_copies_no_picture_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, out = write_yolo(tmp_path / "data"), tmp_path / "yolo"
    copied: list[Path] = []
    copyfile = shutil.copyfile

    def copy(source: Path, target: Path) -> None:
        if len(copied) == 7:
            Path(target).write_bytes(b"half a pict")
            raise OSError(28, "No space left on device", str(target))
        copyfile(source, target)
        copied.append(source)

    monkeypatch.setattr(pictures.shutil, "copyfile", copy)
    arguments = ("--from", data, "--to", "yolo", "--out", out, "--pictures", "copy")
    result = run(*arguments)
    assert result.exit_code == 74
    assert "No space left on device" in result.stderr
    assert not out.exists()
    monkeypatch.setattr(pictures.shutil, "copyfile", lambda a, b: (copied.append(a), copyfile(a, b)))
    made(*arguments)
    assert len(copied) == len(set(copied)) == 19
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "yolo"]
    assert not list(out.rglob(".*"))
    untouched = tmp_path / "untouched"
    made(*arguments[:4], "--out", untouched, "--pictures", "copy")
    assert snapshot(untouched) == snapshot(out)


def test_what_was_begun_of_other_data_is_begun_anew(tmp_path: Path) -> None:
    data, out = write_yolo(tmp_path / "data"), tmp_path / "coco"
    left = tmp_path / ".coco.partial"
    (left / "images").mkdir(parents=True)
    (left / "images" / "old.png").touch()
    (left / ".making.json").write_text('{"command": "of yesterday"}')
    made("--from", data, "--to", "coco", "--out", out, "--pictures", "copy")
    assert not list(out.rglob("old.png"))


def test_what_a_manifest_says_of_the_data_goes_along(tmp_path: Path) -> None:
    made("--from", write_yolo(tmp_path / "data"), "--to", "coco", "--out", tmp_path / "coco")
    path = tmp_path / "coco" / "manifest.json"
    found = manifests.read(path)
    scene = manifests.SceneRef(name="scene-0001", token="abc")
    record = manifests.SplitRecord(counts=found.splits["test"].counts, scenes=(scene,), reserved=True)
    reserved = b'{"test-000.png":"abc"}'
    (tmp_path / "coco" / "reserved.json").write_bytes(reserved)
    content = json.loads(manifests.encode(found))
    content |= {"cameras": ["CAM_FRONT"], "notes": ["as it was"]}
    content["splits"]["test"] = json.loads(manifests.msgspec.json.encode(record))
    content["files"]["reserved.json"] = "0"
    path.write_text(json.dumps(content))
    manifest = made("--from", tmp_path / "coco", "--to", "yolo", "--out", tmp_path / "yolo")
    assert manifest["splits"]["test"]["reserved"]
    assert manifest["splits"]["test"]["scenes"] == [{"name": "scene-0001", "token": "abc"}]
    assert manifest["cameras"] == ["CAM_FRONT"]
    assert manifest["notes"][0] == "as it was"
    assert (tmp_path / "yolo" / "reserved.json").read_bytes() == reserved
    assert "reserved.json" in manifest["files"]
    assert manifests.digest_of(manifest["files"]) == manifest["digest"]


def faults(folder: Path) -> Iterator[tuple[tuple[object, ...], str]]:
    coco = write_dataset(folder / "coco", images=3)
    out = ("--out", folder / "out")
    yield ("--from", coco, "--to", "coco", *out), "the data set is COCO already"
    yield ("--from", folder / "none", "--to", "coco", *out), "it does not exist"
    yield ("--from", folder, "--to", "coco", *out), "there is neither data.yaml nor annotations"
    yield ("--from", coco, "--from", coco, "--to", "yolo", *out), "is for train too"
    yield ("--from", folder / "coco", "--from", coco, "--to", "yolo", *out), "stands among several"
    other = shutil.copy(coco, folder / "coco" / "annotations" / "final.json")
    yield (
        ("--from", other, "--to", "yolo", *out),
        "its name does not tell its split. Say it, such as train=",
    )
    yield ("--from", f"final={other}", "--to", "yolo", *out), "final: is no split of YOLO's"
    yield ("--from", coco, "--images", folder / "none", "--to", "yolo", *out), "is no folder"
    elsewhere = shutil.copy(coco, folder / "train.json")
    yield (
        ("--from", elsewhere, "--to", "yolo", *out),
        "Name their folder with --images, or",
    )
    cv2.imwrite(str(folder / "coco" / "images" / "001.png"), np.zeros((5, 5, 3), np.uint8))
    yield ("--from", coco, "--to", "yolo", *out), "image 101 is 5×5 pixels, its record says"
    (folder / "coco" / "images" / "001.png").unlink()
    yield ("--from", coco, "--to", "yolo", *out), "image 101 cannot be read: No such file"
    document = json.loads(coco.read_text())
    size = (document["images"][1]["width"], document["images"][1]["height"])
    for name, message in (("../a.png", "leads out of the folder"), ("000.jpg", "same label file as 000.png")):
        document["images"][1]["file_name"] = name
        Image.new("RGB", size).save(folder / "coco" / "images" / name)
        coco.write_text(json.dumps(document))
        yield ("--from", coco, "--to", "yolo", "--pictures", "none", *out), message


def test_faults_end_with_64_say_why_and_leave_nothing(tmp_path: Path) -> None:
    for arguments, message in faults(tmp_path):
        assert message in refused(*arguments), arguments
        assert not (tmp_path / "out").exists()


def test_the_command_prints_counts(tmp_path: Path) -> None:
    result = run("--from", write_yolo(tmp_path / "data"), "--to", "coco", "--out", tmp_path / "coco")
    assert result.exit_code == 0
    assert "train: 12 images, " in result.stdout
    assert "note: 3 pictures without a label file count as background" in result.stdout
    assert "digest " in result.stdout
