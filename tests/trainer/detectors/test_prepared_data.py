"""What a run makes of the manifests on its data set's volume, as its user sees it."""

from __future__ import annotations

import copy
import errno
import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from support.coco_dataset import CLASSES
from support.prepared_dataset import SPLITS, edit, scene, write_prepared
from support.yolox_task import make_manifest
from vistrain_api.manifest import parse
from vistrain_trainer.cli.app import app
from vistrain_trainer.data.manifest import MANIFEST, RESERVED, read
from vistrain_trainer.engine.options import RunOptions
from vistrain_trainer.engine.run import run as attempt
from vistrain_trainer.engine.volumes import Volumes

Start = Callable[..., str]


def values(**dataset: Any) -> dict[str, Any]:
    """A run on the splits as they were prepared in `coco/`, with members of its dataset replaced."""
    manifest = make_manifest(
        dataset={
            "volume": {"claimName": "data"},
            "train": split("train"),
            "validation": split("val"),
            "classes": list(CLASSES),
            "loader": {"workers": 0},
        },
        schedule={
            "epochs": 1,
            "batchSize": 4,
            "learningRate": {"peak": 0.01},
            "warmupEpochs": 0,
            "noAugEpochs": 0,
        },
    )
    stated = manifest.model_dump(mode="json", by_alias=True, exclude_none=True)
    stated["spec"]["dataset"] |= dataset
    return stated


def split(name: str, folder: str = "coco") -> dict[str, str]:
    return {"annotations": f"{folder}/annotations/{name}.json", "images": f"{folder}/images"}


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    """The dataset volume: three scenes to train on, one to validate on, one held back."""
    folder = tmp_path / "volume"
    write_prepared(folder / "coco")
    return folder


@pytest.fixture
def refused(volume: Path, tmp_path: Path) -> Start:
    """What is said of a run that is refused, by the pre-flight and by the trainer's own start alike."""

    def start(**dataset: Any) -> str:
        stated = values(**dataset)
        file, output = tmp_path / "manifest.yaml", tmp_path / "runs" / "a"
        file.write_text(json.dumps(stated))
        arguments = ["-f", str(file), "--output", str(output), "--volume", f"data={volume}", "--json"]
        looked = CliRunner().invoke(app, ["preflight", *arguments])
        assert looked.exit_code == 64, looked.output
        printed = json.loads(looked.stdout.splitlines()[-1])
        assert len(printed["findings"]) == 1, printed
        options = RunOptions(output, Volumes({"data": volume}, in_pod=False), port=0)
        assert attempt(parse(stated), options) == 64
        said = json.loads((output / "attempts.jsonl").read_text().splitlines()[-1])["message"]
        assert said.startswith(f"{printed['findings'][0]['field']}: ")
        assert not (output / "checkpoints").exists()
        return str(said)

    return start


@pytest.fixture
def accepted(volume: Path, tmp_path: Path) -> Callable[..., list[dict[str, str]]]:
    """The warnings about a run that may start."""

    def start(**dataset: Any) -> list[dict[str, str]]:
        file = tmp_path / "manifest.yaml"
        file.write_text(json.dumps(values(**dataset)))
        arguments = ["-f", str(file), "--output", str(tmp_path / "b"), "--volume", f"data={volume}", "--json"]
        looked = CliRunner().invoke(app, ["preflight", *arguments])
        printed = json.loads(looked.stdout.splitlines()[-1])
        assert looked.exit_code == 0, printed
        found: list[dict[str, str]] = printed["findings"]
        return found

    return start


def by_hand(volume: Path, source: str, target: str, *left_out: str) -> dict[str, str]:
    """An annotation file copied elsewhere, its images without some members, and the split that names it."""
    document = json.loads((volume / "coco" / "annotations" / f"{source}.json").read_text())
    for image in document["images"]:
        for name in left_out:
            del image[name]
    path = volume / target
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))
    return {"annotations": target, "images": "coco/images"}


TOKENS = ("scene_token", "sample_token", "scene")


def test_a_run_on_prepared_data_is_accepted(accepted: Start) -> None:
    assert accepted() == []
    assert accepted(test=split("test")) == []


def test_the_other_order_of_classes_is_refused(refused: Start, volume: Path) -> None:
    other = [CLASSES[1], CLASSES[0], *CLASSES[2:]]
    said = refused(classes=other)
    assert said.startswith(f"spec.dataset.classes: {other}: ")
    assert f"{volume}/coco/manifest.json was prepared with the order {list(CLASSES)}" in said
    assert f"prepare the data set again with --classes {','.join(other)}" in said


def test_a_file_by_hand_with_fewer_classes_keeps_their_order(
    refused: Start, accepted: Start, volume: Path
) -> None:
    for name in ("train", "val"):
        path = volume / "coco" / "annotations" / f"{name}.json"
        document = json.loads(path.read_text())
        few = [one for one in document["annotations"] if one["category_id"] != 2]
        document |= {"categories": [document["categories"][0], document["categories"][2]]}
        path.with_stem(f"few-{name}").write_text(json.dumps(document | {"annotations": few}))
    splits = {"train": split("few-train"), "validation": split("few-val")}
    assert accepted(classes=[CLASSES[0], CLASSES[2]], **splits) == []
    assert "was prepared with the order" in refused(classes=[CLASSES[2], CLASSES[0]], **splits)


def test_without_a_manifest_another_order_than_the_ids_is_a_warning(accepted: Start, volume: Path) -> None:
    (volume / "coco" / MANIFEST).unlink()
    assert accepted() == []
    other = [CLASSES[2], CLASSES[0], CLASSES[1]]
    [found] = accepted(classes=other)
    assert (found["check"], found["field"]) == ("class-order", "spec.dataset.classes")
    assert f"has the order {list(CLASSES)}, the manifest {other}" in found["cause"]


@pytest.mark.parametrize("name", ["train", "validation"])
def test_the_reserve_is_refused(refused: Start, volume: Path, name: str) -> None:
    said = refused(**{name: split("test")})
    assert said.startswith(
        f"spec.dataset.{name}.annotations: {volume}/coco/annotations/test.json: 4 of its 4"
    )
    assert f"held back for the final judgement by {volume}/coco/manifest.json: 1 scene, such as" in said
    assert f"{scene(5).name} ({scene(5).token}) with n015__scene-0005__CAM_FRONT__" in said
    assert ("learn from" if name == "train" else "choose its best checkpoint by") in said
    assert "the reserve is for spec.dataset.test" in said


@pytest.mark.parametrize("left_out", [(), ("scene_token",), TOKENS], ids=["tokens", "no scene", "no token"])
def test_a_file_by_hand_in_a_folder_of_its_own_does_not_pass(
    refused: Start, volume: Path, left_out: tuple[str, ...]
) -> None:
    said = refused(train=by_hand(volume, "test", "mine/all.json", *left_out))
    assert f"{volume}/mine/all.json: 4 of its 4 images are held back" in said
    assert scene(5).name in said


def test_one_picture_of_the_reserve_among_others_is_found(refused: Start, volume: Path) -> None:
    mine = by_hand(volume, "train", "mine/all.json")
    held = json.loads((volume / "coco" / "annotations" / "test.json").read_text())["images"][2]
    document = json.loads((volume / "mine" / "all.json").read_text())
    document["images"].append({"id": 99, **{key: held[key] for key in ("file_name", "width", "height")}})
    (volume / "mine" / "all.json").write_text(json.dumps(document))
    said = refused(train=mine)
    assert f"1 of its 13 images are held back for the final judgement by {volume}/coco/manifest.json" in said
    assert held["file_name"] in said


def test_pictures_under_other_names_are_known_by_their_sample(refused: Start, volume: Path) -> None:
    held = json.loads((volume / "coco" / "annotations" / "test.json").read_text())["images"]
    names = {image["sample_token"]: image["scene_token"] for image in held}
    (volume / "coco" / RESERVED).write_text(json.dumps(names))
    edit(volume / "coco" / MANIFEST, files=listed(volume / "coco"))
    mine = by_hand(volume, "test", "mine/all.json", "scene_token", "scene")
    document = json.loads((volume / "mine" / "all.json").read_text())
    for image in document["images"]:
        shutil.copy(volume / "coco" / "images" / image["file_name"], volume / f"mine/{image['id']}.png")
        image["file_name"] = f"{image['id']}.png"
    (volume / "mine" / "all.json").write_text(json.dumps(document))
    assert "4 of its 4 images are held back" in refused(train=mine | {"images": "mine"})


def listed(folder: Path) -> dict[str, str]:
    """The files of a manifest as they are now."""
    return {
        name: hashlib.sha256((folder / name).read_bytes()).hexdigest()
        for name in read(folder / MANIFEST).files
    }


def test_a_manifest_that_frees_the_reserve_by_hand_beside_the_true_one_does_not_pass(
    refused: Start, volume: Path
) -> None:
    shutil.copytree(volume / "coco", volume / "mine")
    splits = json.loads((volume / "mine" / MANIFEST).read_text())["splits"]
    freed = copy.deepcopy(splits)
    del freed["test"]["reserved"]
    edit(volume / "mine" / MANIFEST, splits=freed)
    said = refused(train=split("test", "mine"))
    assert f"by {volume}/coco/manifest.json" in said


def test_data_sets_of_other_scenes_may_have_files_of_equal_names(accepted: Start, volume: Path) -> None:
    write_prepared(volume / "other", {"train": (5, 6), "val": (4,)}, (), drive="another world")
    splits = {"train": split("train", "other"), "validation": split("val", "other")}
    assert accepted(**splits) == []
    edit(volume / "other" / "annotations" / "train.json", info={"changed": "by hand"})
    assert [found["check"] for found in accepted(**splits)] == ["prepared"]


def test_two_cuts_of_the_same_scenes_on_one_volume(refused: Start, accepted: Start, volume: Path) -> None:
    write_prepared(volume / "official", {"train": (1, 2, 3, 4), "val": (5,)}, ())
    splits = {"train": split("train", "official"), "validation": split("val", "official")}
    assert accepted(**splits) == []  # what one cut validates on, the other may reserve
    write_prepared(volume / "all", {"train": (1, 2, 3, 5), "val": (4,)}, ())
    splits = {"train": split("train", "all"), "validation": split("val", "all")}
    said = refused(**splits)
    assert f"by {volume}/coco/manifest.json" in said
    assert "lies under a spec.dataset.volume.subPath of its own" in said
    below = {"annotations": "annotations/train.json", "images": "images"}
    assert (
        accepted(
            volume={"claimName": "data", "subPath": "all"},
            train=below,
            validation=below | {"annotations": "annotations/val.json"},
        )
        == []
    )


def test_what_lies_elsewhere_on_the_volume_does_not_matter_to_prepared_data(
    refused: Start, accepted: Start, volume: Path
) -> None:
    (volume / "others").mkdir()
    (volume / "others" / MANIFEST).write_bytes(b'{"command": "vist')
    train = {"annotations": "annotations/train.json", "images": "images"}
    below: dict[str, Any] = {
        "volume": {"claimName": "data", "subPath": "coco"},
        "train": train,
        "validation": train | {"annotations": "annotations/val.json"},
    }
    assert accepted(**below) == []
    assert f"manifest.json: {volume}/others/manifest.json: " in refused()


def test_a_sub_path_does_not_hide_the_reserve_from_a_file_by_hand(refused: Start, volume: Path) -> None:
    by_hand(volume, "test", "mine/train.json", *TOKENS)
    by_hand(volume, "val", "mine/val.json")
    (volume / "mine" / "images").mkdir()
    for path in (volume / "coco" / "images").iterdir():
        (volume / "mine" / "images" / path.name).hardlink_to(path)
    said = refused(
        volume={"claimName": "data", "subPath": "mine"},
        train={"annotations": "train.json", "images": "images"},
        validation={"annotations": "val.json", "images": "images"},
    )
    assert "4 of its 4 images are held back" in said
    assert "on a volume of its own" in said


@pytest.mark.parametrize("name", ["validation", "test"])
def test_a_scene_of_two_splits_is_named(refused: Start, volume: Path, name: str) -> None:
    document = json.loads((volume / "coco" / "annotations" / "train.json").read_text())
    held = {image["id"] for image in document["images"] if image["scene"] == "scene-0002"}
    for file, keep in (("even", range(0, 99, 2)), ("odd", range(1, 99, 2))):
        path = volume / "coco" / "annotations" / f"{file}.json"
        images = [image for image in document["images"] if image["id"] not in held or image["id"] in keep]
        left = {image["id"] for image in images}
        boxes = [box for box in document["annotations"] if box["image_id"] in left]
        path.write_text(json.dumps(document | {"images": images, "annotations": boxes}))
    path = volume / "coco" / "annotations" / "odd.json"
    odd = json.loads(path.read_text())
    images = [image for image in odd["images"] if image["id"] in held]
    boxes = [box for box in odd["annotations"] if box["image_id"] in held]
    path.write_text(json.dumps(odd | {"images": images, "annotations": boxes}))
    said = refused(train=split("even"), **{name: split("odd")})
    assert said.startswith(f"spec.dataset.{name}.annotations: {path}: 1 of its scenes are trained on too")
    assert f"such as {scene(2).name} ({scene(2).token})" in said


def test_a_file_that_was_changed_is_a_warning(accepted: Start, volume: Path) -> None:
    path = volume / "coco" / "annotations" / "train.json"
    document = json.loads(path.read_text())
    edit(path, annotations=document["annotations"][1:])
    [found] = accepted()
    assert (found["check"], found["field"]) == ("prepared", "spec.dataset.train.annotations")
    assert "of 12 images and 12 boxes; now it is of 12 images and 11 boxes" in found["cause"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b'{"format": "coco", "comm', "no manifest of this version of Vistrain: Input data was truncated"),
        (b'{"command": "vistrain prepare nuscenes", "format": "coco"}', "missing required field `version`"),
    ],
    ids=["torn", "another version"],
)
def test_a_manifest_that_cannot_be_used_is_refused(
    refused: Start, volume: Path, content: bytes, says: str
) -> None:
    (volume / "coco" / MANIFEST).write_bytes(content)
    said = refused()
    assert says in said
    assert said.startswith(f"manifest.json: {volume}/coco/manifest.json: ")


def test_a_manifest_that_may_not_be_read_is_refused(
    refused: Start, volume: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_prepared(volume / "others", {"train": (7,)}, ())
    whole = Path.read_bytes

    def read_bytes(path: Path) -> bytes:
        if path == volume / "others" / MANIFEST:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return whole(path)

    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    assert "Permission denied. Make it readable for the trainer's user" in refused()


def test_manifests_of_other_programs_are_passed_over(accepted: Start, volume: Path) -> None:
    for content in ("[]", '{"name": "app", "command": ["start"]}', '{"command": "npm start"}'):
        (volume / MANIFEST).write_text(content)
        (volume / "coco" / "annotations" / MANIFEST).write_text(content)
        assert accepted() == []


@pytest.mark.parametrize("content", [None, "{}"])
def test_names_of_the_reserve_that_are_gone_are_asked_for(
    refused: Start, accepted: Start, volume: Path, content: str | None
) -> None:
    (volume / "coco" / RESERVED).unlink()
    if content is not None:
        (volume / "coco" / RESERVED).write_text(content)
    assert accepted() == []  # scenes are known by their tokens
    said = refused(train=by_hand(volume, "train", "mine/train.json", *TOKENS))
    assert f"{volume}/coco/{RESERVED}: which pictures are held back is not known" in said


def test_a_token_that_is_no_text_is_refused(refused: Start, volume: Path) -> None:
    path = volume / "coco" / "annotations" / "train.json"
    images = json.loads(path.read_text())["images"]
    images[1]["scene_token"] = 7
    edit(path, images=images)
    assert "image 2 has the scene_token 7, which is not a text" in refused()


def test_a_run_records_how_its_data_were_prepared(volume: Path, tmp_path: Path) -> None:
    path = volume / "coco" / "annotations" / "val.json"
    edit(path, licenses=[])
    stated, output = values(test=split("test")), tmp_path / "run"
    options = RunOptions(output, Volumes({"data": volume}, in_pod=False), port=0)
    assert attempt(parse(stated), options) == 0
    manifest = read(volume / "coco" / MANIFEST)
    [told] = json.loads((output / "preparations.json").read_text())
    assert told["path"] == "coco/manifest.json"
    assert told["manifest"] == json.loads((volume / "coco" / MANIFEST).read_text())
    assert told["manifest"]["splits"]["test"]["scenes"] == [{"name": "scene-0005", "token": scene(5).token}]
    assert told["splits"] == {
        "train": {"path": "coco/annotations/train.json", "state": "as prepared"},
        "validation": {"path": "coco/annotations/val.json", "state": "changed"},
        "test": {"path": "coco/annotations/test.json", "state": "as prepared"},
    }
    report = (output / "report" / "index.html").read_text() + (output / "report" / "report.md").read_text()
    for said in (manifest.digest, "12 images, 12 boxes, 3 scenes", "4 images, 4 boxes, 1 scene: held back"):
        assert report.count(said) == 2, said
    assert "vistrain prepare nuscenes --version v1.0-mini --splits scenes.json --format coco" in report
    numbers = json.loads((output / "report" / "metrics.json").read_text())
    assert numbers["preparations"] == [told]
    write_prepared(tmp_path / "other" / "coco", classes=CLASSES[::-1])
    arguments = ["evaluate", str(output), "--volume", f"data={tmp_path / 'other'}", "--device", "cpu"]
    judged = CliRunner().invoke(app, [*arguments, "--output", str(tmp_path / "evaluation")])
    assert judged.exit_code == 64
    assert f"was prepared with the order {list(CLASSES[::-1])}" in judged.output


def test_what_is_put_on_the_volume_later_does_not_end_a_run_that_has_begun(
    volume: Path, tmp_path: Path
) -> None:
    stated, output = values(), tmp_path / "run"
    stated["spec"]["schedule"] |= {"epochs": 2, "warmupEpochs": 0, "noAugEpochs": 0}
    options = RunOptions(output, Volumes({"data": volume}, in_pod=False), port=0, report=False)
    assert attempt(parse(stated), options) == 0
    recorded = (output / "preparations.json").read_bytes()
    (output / "result.json").unlink()
    write_prepared(volume / "later", SPLITS, ("train",))
    seen = CliRunner().invoke(app, ["doctor", str(output), "--volume", f"data={volume}", "--json"])
    found = {one["check"]: one for one in json.loads(seen.stdout)["findings"]}
    assert found["reserve"]["severity"] == "warning"
    assert found["reserve"]["symptom"].startswith("A new run would be refused: 12 of its 12 images are held")
    assert attempt(parse(stated), options) == 0
    assert (output / "preparations.json").read_bytes() == recorded
    (output / "result.json").unlink()
    path = volume / "coco" / "annotations" / "train.json"
    edit(path, annotations=json.loads(path.read_text())["annotations"][1:])
    assert attempt(parse(stated), options) == 64  # other data are refused as ever
