"""The data set that a manifest asks for of raw nuScenes: whole or not there, however many make it."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, get_args

import pytest
from typer.testing import CliRunner

from support.yolox_task import make_manifest
from vistrain_api import protocol
from vistrain_api.dataset import DetectionDataset
from vistrain_api.preparation import NUSCENES_CLASSES, Camera
from vistrain_trainer.cli.app import app
from vistrain_trainer.data.classes import CLASSES
from vistrain_trainer.data.manifest import DatasetManifest
from vistrain_trainer.data.world.cameras import RIG
from vistrain_trainer.data.world.release import ReleaseOptions, write_release
from vistrain_trainer.engine import preparing, signals
from vistrain_trainer.engine.preparing import make
from vistrain_trainer.engine.volumes import Volumes
from vistrain_trainer.errors import BadInput, StorageFault

RELEASE = ReleaseOptions(
    version="v1.0-mini",
    scenes=4,
    samples=4,
    cameras=("CAM_FRONT", "CAM_BACK"),
    height=64,
    width=96,
    seed=2,
    sensors="cameras",
    dropped_keyframes=0,
)
VISTRAIN = (sys.executable, "-c", "from vistrain_trainer.cli import main; main()")
ORDER = ("car", "truck", "bus", "pedestrian")


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A release with pictures of keyframes; not to be written to."""
    folder = tmp_path_factory.mktemp("raw") / "nuscenes"
    write_release(RELEASE, folder)
    return folder


class Bench:
    """A manifest that names the release, and the checkpoint volume."""

    def __init__(self, folder: Path, raw: Path) -> None:
        self.raw, self.checkpoints = raw, folder / "checkpoints"
        self.checkpoints.mkdir()
        self.file, self.output = folder / "manifest.yaml", self.checkpoints / "run"
        self.words = folder / "words"

    def manifest(self, *, classes: tuple[str, ...] = ORDER, **nuscenes: Any) -> Any:
        stated = {
            "volume": {"claimName": "raw"},
            "prepare": {"nuscenes": {"version": "v1.0-mini", **nuscenes}},
            "classes": list(classes),
            "loader": {"workers": 0},
        }
        schedule = {"epochs": 1, "batchSize": 4, "learningRate": {"peak": 0.01}}
        return make_manifest(dataset=stated, schedule=schedule | {"warmupEpochs": 0, "noAugEpochs": 0})

    def dataset(self, **stated: Any) -> DetectionDataset:
        dataset: DetectionDataset = self.manifest(**stated).spec.dataset
        return dataset

    @property
    def volumes(self) -> Volumes:
        return Volumes({"raw": self.raw}, in_pod=False, shared=self.checkpoints)

    def make(self, **stated: Any) -> DatasetManifest:
        return make(self.dataset(**stated), self.volumes).manifest

    def line(self, *command: str, **stated: Any) -> list[str]:
        self.file.write_text(self.manifest(**stated).model_dump_json(by_alias=True, exclude_none=True))
        return [*command, "-f", str(self.file), "--output", str(self.output), "--volume", f"raw={self.raw}"]

    def there(self) -> list[str]:
        """What lies where prepared data sets do."""
        return sorted(path.name for path in (self.checkpoints / "prepared").glob("*"))


@pytest.fixture
def bench(tmp_path: Path, raw: Path) -> Bench:
    return Bench(tmp_path, raw)


def listing(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


# What is made


def test_what_is_made_is_what_was_asked_for(bench):
    made = bench.make()
    assert (made.format, made.classes, made.cameras) == ("coco", ORDER, ("CAM_FRONT",))
    assert (made.source.version, made.split_lists, made.projection) == ("v1.0-mini", "official", "devkit")
    assert (made.sweeps, made.visibility, made.pictures.mode) == (False, (), "none")
    assert made.splits["train"].counts.images == 3 * 4
    [folder] = bench.there()
    assert set(listing(bench.checkpoints / "prepared" / folder)) == {
        "coco/manifest.json",
        "coco/annotations/train.json",
        "coco/annotations/val.json",
    }


def test_everything_asked_for_reaches_it(bench, tmp_path):
    asked = {
        "classes": ("bus", "car"),
        "cameras": ["CAM_BACK", "CAM_FRONT"],
        "sweeps": True,
        "visibility": [4, 3],
        "projection": "clipped",
    }
    made = bench.make(**asked)
    assert (made.classes, made.sweeps, made.projection) == (("bus", "car"), True, "clipped")
    assert (set(made.cameras), made.visibility) == ({"CAM_BACK", "CAM_FRONT"}, (3, 4))
    (tmp_path / "other").mkdir()
    again = Bench(tmp_path / "other", bench.raw).make(
        **{**asked, "cameras": ["CAM_FRONT", "CAM_BACK"], "visibility": [3, 4]}
    )
    assert again.digest == made.digest, "the digest of the request does not know their order"


def test_scene_lists_may_lie_on_the_volume(tmp_path, raw):
    copied = tmp_path / "raw"
    shutil.copytree(raw, copied)
    names = sorted(scene["name"] for scene in json.loads((copied / "v1.0-mini" / "scene.json").read_text()))
    lists = {"train": names[:2], "val": names[2:3], "test": names[3:], "reserved": ["test"]}
    (copied / "lists").mkdir()
    (copied / "lists" / "ours.json").write_text(json.dumps(lists))
    made = Bench(tmp_path, copied).make(splits="lists/ours.json")
    assert {name: len(split.scenes) for name, split in made.splits.items()} == {
        "train": 2,
        "val": 1,
        "test": 1,
    }
    assert made.splits["test"].reserved


def test_the_contract_knows_the_classes_and_cameras_that_there_are():
    assert NUSCENES_CLASSES == CLASSES
    assert set(get_args(Camera)) == set(RIG)


def test_what_is_whole_is_left_as_it_is(bench):
    bench.make()
    [folder] = bench.there()
    before = {p: p.stat().st_mtime_ns for p in (bench.checkpoints / "prepared" / folder).rglob("*")}
    assert make(bench.dataset(), bench.volumes).before
    assert {p: p.stat().st_mtime_ns for p in (bench.checkpoints / "prepared" / folder).rglob("*")} == before


@pytest.mark.parametrize("damage", ["torn", "changed", "gone", "manifest"])
def test_what_is_not_whole_is_made_again(bench, damage):
    bench.make()
    [name] = bench.there()
    folder = bench.checkpoints / "prepared" / name
    whole = listing(folder)
    path = folder / "coco" / ("manifest.json" if damage == "manifest" else "annotations/train.json")
    if damage == "gone":
        path.unlink()
    elif damage == "changed":
        path.write_bytes(path.read_bytes().replace(b"car", b"cat", 1))
    else:
        path.write_bytes(path.read_bytes()[:100])
    assert not make(bench.dataset(), bench.volumes).before
    assert listing(folder) == whole
    assert bench.there() == [name]


# Many at once, and killed ones


def test_processes_at_once_make_one(bench):
    command = [*VISTRAIN, *bench.line("prepare", "manifest", "--json")]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    said = [json.loads(process.communicate(timeout=120)[0].splitlines()[-1]) for process in running]
    assert [process.returncode for process in running] == [0, 0, 0]
    assert len({one["manifest"]["digest"] for one in said}) == 1
    assert len(bench.there()) == 1


def test_the_slower_of_two_finds_its_folder_swept_away_and_the_data_whole(bench, monkeypatch):
    """Between them anything may happen: here the other is done before this one has written a thing."""
    prepare = preparing._prepare

    def late(dataset: DetectionDataset, root: Path, work: Path, progress: Any) -> None:
        work.mkdir()
        monkeypatch.setattr(preparing, "_prepare", prepare)
        bench.make()
        assert not work.exists()
        raise FileNotFoundError(errno.ENOENT, "No such file or directory", str(work))

    monkeypatch.setattr(preparing, "_prepare", late)
    assert bench.make().splits
    assert len(bench.there()) == 1


def test_what_a_killed_process_left_goes_when_the_data_are_whole(bench):
    bench.make()
    [name] = bench.there()
    shutil.rmtree(bench.checkpoints / "prepared" / name)
    left = bench.checkpoints / "prepared" / f".{name}.0badcafe.partial" / "coco"
    left.mkdir(parents=True)
    (left / "manifest.json").write_text("{}")
    bench.make()
    assert sorted(p.name for p in (bench.checkpoints / "prepared").iterdir()) == [name]


def test_a_stop_request_ends_it_and_leaves_nothing(bench, monkeypatch):
    monkeypatch.setenv(protocol.ENV_TERMINATION_LOG, str(bench.words))
    monkeypatch.setattr(signals.request, "requested_at", 1.0)
    monkeypatch.setattr(signals.request, "signal_name", "SIGTERM")
    result = CliRunner().invoke(app, bench.line("prepare", "manifest"))
    assert result.exit_code == 75
    said = json.loads(bench.words.read_text())
    assert (said["exitCode"], said["attempt"]) == (75, 0)
    assert "SIGTERM" in said["message"]
    assert list((bench.checkpoints / "prepared").iterdir()) == []
    assert not signals.request.deferred


def test_sigterm_ends_the_process_with_75(bench):
    """At its first word of what it does, whatever it does then."""
    command = [*VISTRAIN, *bench.line("prepare", "manifest")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        while "reading the tables" not in process.stderr.readline():
            assert process.poll() is None
        os.kill(process.pid, signal.SIGTERM)
        reader = threading.Thread(target=process.stderr.read)
        reader.start()
        assert process.wait(timeout=60) == 75
        reader.join()
    assert bench.there() == []


# What is refused, and what fails


@pytest.mark.parametrize(
    ("stated", "field", "says"),
    [
        ({"version": "v1.0-trainval"}, "spec.dataset.prepare.nuscenes.version", "v1.0-trainval"),
        ({"cameras": ["CAM_BACK_LEFT"]}, "spec.dataset.prepare.nuscenes.cameras", "CAM_BACK_LEFT"),
        ({"splits": "custom-560-140"}, "spec.dataset.prepare.nuscenes.splits", "v1.0-trainval"),
        ({"splits": "none.json"}, "spec.dataset.prepare.nuscenes.splits", "no such file"),
    ],
)
def test_what_is_asked_for_and_cannot_be_had_is_told_by_its_field(bench, stated, field, says):
    with pytest.raises(BadInput) as caught:
        bench.make(**stated)
    assert caught.value.field == field
    assert says in str(caught.value)
    assert bench.there() == []


def test_a_release_without_validation_scenes_is_refused(tmp_path, raw):
    copied = tmp_path / "raw"
    shutil.copytree(raw, copied)
    (copied / "all.json").write_text(
        json.dumps({"train": [s["name"] for s in json.loads((raw / "v1.0-mini" / "scene.json").read_text())]})
    )
    with pytest.raises(BadInput, match="no scene of val"):
        Bench(tmp_path, copied).make(splits="all.json")


def test_a_table_that_is_cut_short_is_bad_input_by_command_too(tmp_path, raw, monkeypatch):
    copied = tmp_path / "raw"
    shutil.copytree(raw, copied)
    table = copied / "v1.0-mini" / "sample_annotation.json"
    table.write_bytes(table.read_bytes()[:1000])
    bench = Bench(tmp_path, copied)
    monkeypatch.setenv(protocol.ENV_TERMINATION_LOG, str(bench.words))
    result = CliRunner().invoke(app, bench.line("prepare", "manifest", "--json"))
    assert result.exit_code == 64
    said = json.loads(bench.words.read_text())
    assert said["failure"] == "BadInput"
    assert "sample_annotation.json" in said["message"]
    assert json.loads(result.stdout.splitlines()[-1])["message"] == said["message"]


def test_a_manifest_that_asks_for_none_is_refused(bench):
    bench.file.write_text(make_manifest().model_dump_json(by_alias=True, exclude_none=True))
    result = CliRunner().invoke(app, ["prepare", "manifest", "-f", str(bench.file)])
    assert result.exit_code == 64
    assert "spec.dataset.prepare" in result.output


def test_a_full_volume_is_a_storage_fault(bench, monkeypatch):
    def full(_work: Path, _target: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "train.json")

    monkeypatch.setattr(preparing, "_place", full)
    result = CliRunner().invoke(app, bench.line("prepare", "manifest"))
    assert result.exit_code == 74
    assert "the volume is full" in result.output
    assert list((bench.checkpoints / "prepared").iterdir()) == []


def test_a_raw_volume_that_fails_is_a_storage_fault_and_no_bad_input(bench, monkeypatch):
    opened = Path.open

    def broken(path: Path, *how: Any, **more: Any) -> Any:
        if path.is_relative_to(bench.raw):
            raise OSError(errno.EIO, "Input/output error", str(path))
        return opened(path, *how, **more)

    monkeypatch.setattr(Path, "open", broken)
    with pytest.raises(StorageFault, match=r"Input/output error.*look at the volume"):
        bench.make()


# With a run


def test_a_local_run_makes_it_first_and_trains_on_it(bench, monkeypatch):
    arguments = [*bench.line("run"), "--port", "0", "--device", "cpu"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    [name] = bench.there()
    identity = json.loads((bench.output / "identity.json").read_text())
    assert set(identity["task"]["data"]) == {"train", "validation"}
    assert identity["spec"]["dataset"]["prepare"]["nuscenes"]["version"] == "v1.0-mini"
    shutil.rmtree(bench.checkpoints / "prepared" / name)
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert bench.there() == [], "a finished run needs it no more"


def test_a_local_run_that_cannot_have_it_says_why_before_all_else(bench):
    result = CliRunner().invoke(app, bench.line("run", version="v1.0-trainval"))
    assert result.exit_code == 64
    assert "spec.dataset.prepare.nuscenes.version" in result.output
    assert not bench.output.exists()


def test_what_it_tells(bench, monkeypatch):
    monkeypatch.setenv(protocol.ENV_TERMINATION_LOG, str(bench.words))
    result = CliRunner().invoke(app, bench.line("prepare", "manifest"))
    assert result.exit_code == 0, result.output
    said = json.loads(bench.words.read_text())
    assert (said["exitCode"], said["attempt"]) == (0, 0)
    assert said["message"].startswith("train: 12 images, ")
    assert "; val: 4 images, " in said["message"]
    assert said["message"] in result.output
