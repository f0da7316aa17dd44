"""A run whose manifest names raw data: where its data set is looked for, and what is said of it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from support.coco_dataset import CLASSES
from support.prepared_dataset import write_prepared
from support.yolox_task import make_manifest
from vistrain_api import protocol
from vistrain_api.digest import preparation_digest
from vistrain_trainer.cli.app import app

NUSCENES = {"version": "v1.0-mini", "splits": "custom-560-140"}


class Place:
    """Raw data, a checkpoint volume with a data set that is prepared of them, and a manifest."""

    def __init__(self, folder: Path, **prepare: Any) -> None:
        self.raw, self.checkpoints = folder / "raw", folder / "checkpoints"
        self.file, self.output = folder / "manifest.yaml", self.checkpoints / "run"
        self.dataset = {
            "volume": {"claimName": "raw"},
            "prepare": {"nuscenes": NUSCENES, **prepare},
            "classes": list(CLASSES),
            "loader": {"workers": 0},
        }
        schedule = {"epochs": 1, "batchSize": 4, "learningRate": {"peak": 0.01}}
        schedule |= {"warmupEpochs": 0, "noAugEpochs": 0}
        manifest = make_manifest(dataset=self.dataset, schedule=schedule)
        self.file.write_text(manifest.model_dump_json(by_alias=True, exclude_none=True))
        digest = preparation_digest(manifest.spec.dataset)
        assert digest is not None
        self.prepared = self.checkpoints / "prepared" / digest[:10]
        self.raw.mkdir()
        self.checkpoints.mkdir()

    def prepare(self) -> None:
        write_prepared(self.prepared / "coco")
        (self.prepared / "coco" / "images").rename(self.raw / "pictures")
        for path in (self.raw / "pictures").iterdir():
            path.rename(self.raw / path.name)

    def vistrain(self, *arguments: object) -> Any:
        return CliRunner().invoke(app, [str(argument) for argument in arguments])

    def start(self, command: str, *more: object) -> Any:
        known = ("-f", self.file, "--output", self.output, "--volume", f"raw={self.raw}")
        return self.vistrain(command, *known, *more)

    def findings(self) -> list[dict[str, str]]:
        """Of the pre-flight."""
        result = self.start("preflight", "--json")
        found: list[dict[str, str]] = json.loads(result.stdout.splitlines()[-1])["findings"]
        return found


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_a_pod_is_told_that_its_data_set_is_gone_and_makes_none(place, monkeypatch):
    words = place.checkpoints / "words"
    monkeypatch.setenv(protocol.ENV_POD_UID, "pod-1")
    monkeypatch.setenv(protocol.ENV_TERMINATION_LOG, str(words))
    monkeypatch.setattr("vistrain_trainer.engine.volumes.CHECKPOINT_ROOT", str(place.checkpoints))
    for command in ("preflight", "run"):
        assert place.start(command).exit_code == 64
        said = json.loads(words.read_text())
        assert said["failure"] == "BadInput"
        assert "spec.dataset.prepare" in said["message"]
        assert "vistrain prepare manifest" in said["message"]
    assert not place.prepared.exists()


def test_the_preflight_accepts_it_where_it_is_there(place):
    place.prepare()
    assert place.findings() == []


def test_a_run_trains_on_it_and_the_commands_after_it_find_it(place, tmp_path):
    place.prepare()
    result = place.start("run", "--port", 0, "--device", "cpu")
    assert result.exit_code == 0, result.output
    assert (place.output / "evaluation" / "test").is_dir(), "the reserve is judged, once"
    [recorded] = json.loads((place.output / "preparations.json").read_text())
    assert recorded["path"] == f"prepared/{place.prepared.name}/coco/manifest.json"
    assert recorded["splits"]["train"]["state"] == "as prepared"
    volume = ("--volume", f"raw={place.raw}")
    for split in ("train", "validation", "test"):
        target = tmp_path / f"evaluated-{split}"
        result = place.vistrain("evaluate", place.output, "--split", split, "--output", target, *volume)
        assert result.exit_code == 0, result.output
    result = place.vistrain("predict", place.output, "--split", "test", "--output", tmp_path / "p", *volume)
    assert result.exit_code == 0, result.output
    shutil.rmtree(place.prepared)
    result = place.vistrain("evaluate", place.output, "--output", tmp_path / "again", *volume)
    assert result.exit_code == 64
    assert "spec.dataset.prepare" in result.output


def test_it_is_found_above_a_run_folder_that_lies_deeper(place):
    place.prepare()
    place.output = place.checkpoints / "team" / "run"
    place.output.parent.mkdir()
    shutil.copytree(place.checkpoints / "prepared", place.output.parent / "prepared")
    assert place.start("run", "--port", 0, "--device", "cpu").exit_code == 0
    shutil.rmtree(place.output.parent / "prepared")
    result = place.vistrain("doctor", place.output, "--volume", f"raw={place.raw}")
    assert "Not looked at" not in result.output
    assert result.exit_code == 0, result.output


def test_the_doctor_leaves_out_what_is_not_prepared_yet(place):
    volumes = ("--volume", f"raw={place.raw}", "--volume", f"checkpoints={place.checkpoints}")
    result = place.vistrain("doctor", place.file, *volumes, "--json")
    said = json.loads(result.stdout)
    why = {one["check"]: one["why"] for one in said["notLookedAt"]}
    assert "vistrain prepare manifest" in why["data"]
    assert not [found for found in said["findings"] if found["check"] in {"data", "images-folder"}]
    place.prepare()
    said = json.loads(place.vistrain("doctor", place.file, *volumes, "--json").stdout)
    assert not {"data", "images-folder"} & {one["check"] for one in said["notLookedAt"]}


@pytest.mark.parametrize(
    ("split", "number", "there"), [("train", 13, 12), ("validation", 5, 4), ("test", 3, 4)]
)
def test_another_number_of_images_than_expected_is_refused(tmp_path, split, number, there):
    place = Place(tmp_path, **{split: {"expectImages": number}})
    place.prepare()
    [found] = place.findings()
    assert found["field"] == f"spec.dataset.prepare.{split}.expectImages"
    assert str(number) in str(found)
    assert str(there) in str(found)


def test_pictures_that_are_not_under_the_volumes_sub_path_are_said(place):
    place.prepare()
    moved = place.raw / "release"
    moved.mkdir()
    for path in place.raw.glob("*.png"):
        path.rename(moved / path.name)
    found = place.findings()
    assert {one["field"] for one in found} == {"spec.dataset.volume.subPath"}
    assert "Set spec.dataset.volume.subPath: release" in found[0]["remedy"]


def test_a_split_that_the_preparation_does_not_have_is_said(place):
    place.prepare()
    path = place.prepared / "coco" / "manifest.json"
    content = json.loads(path.read_text())
    del content["splits"]["val"]
    path.write_text(json.dumps(content))
    [found] = place.findings()
    assert found["field"] == "spec.dataset.prepare.validation"
    assert "train, test" in str(found)
