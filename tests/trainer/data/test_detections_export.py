"""`vistrain prepare detections`: ground truth as the results of a detector that misses nothing."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from support.coco_dataset import CLASSES
from support.mot_sequence import GT, write_sequence, write_split
from support.prepared_dataset import scene, write_prepared
from vistrain_trainer.cli.app import app
from vistrain_trainer.data import detections_export
from vistrain_trainer.data.detections_export import ExportOptions, export_detections
from vistrain_trainer.data.manifest import (
    MANIFEST,
    Counts,
    DatasetManifest,
    Pictures,
    Source,
    SplitRecord,
    digest_of,
    encode,
    read,
)
from vistrain_trainer.data.mot.boxes import read_detections
from vistrain_trainer.data.mot.sequence import read_split
from vistrain_trainer.errors import BadInput

NAMES = ("scene-0003_CAM_FRONT", "scene-0012_CAM_FRONT")


@pytest.fixture
def mot(tmp_path: Path) -> Path:
    """A prepared data set of two splits, the test split held back."""
    root = tmp_path / "mot"
    write_split(root, "val", NAMES)
    write_split(root, "test", ["scene-0005_CAM_FRONT"])
    counts = Counts(images=6, annotations=6, per_class={})
    manifest = DatasetManifest(
        format="mot",
        command="vistrain prepare nuscenes --format mot",
        version="0.1.0",
        source=Source(kind="nuscenes", version="v1.0-mini"),
        classes=CLASSES,
        cameras=("CAM_FRONT",),
        fps=12.0,
        frame_interval=0.0833,
        splits={
            "val": SplitRecord(counts=counts, scenes=(scene(3), scene(12))),
            "test": SplitRecord(counts=counts, scenes=(scene(5),), reserved=True),
        },
        pictures=Pictures(mode="none", root="raw"),
        digest=digest_of({}),
    )
    (root / MANIFEST).write_bytes(encode(manifest))
    return root


def prepare(*arguments: object) -> str:
    result = CliRunner().invoke(app, ["prepare", "detections", *map(str, arguments)])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_help_shows_an_example() -> None:
    assert (
        "Example: vistrain prepare detections"
        in CliRunner().invoke(app, ["prepare", "detections", "--help"]).output
    )


def test_sequences_are_written_exactly(mot: Path, tmp_path: Path) -> None:
    out = tmp_path / "truth"
    said = prepare("--from", mot, "--out", out)
    lines = (
        "1,-1,10.5,20,30,40,1,0,-1,-1\n"
        "1,-1,100,50.25,12,8,1,2,-1,-1\n"
        "2,-1,12.5,20,30,40,1,0,-1,-1\n"
    )  # what does not count is not among them
    for name in ("val/scene-0003_CAM_FRONT", "val/scene-0012_CAM_FRONT", "test/scene-0005_CAM_FRONT"):
        assert (out / f"{name}.txt").read_bytes() == lines.encode()
    assert "val: 6 detections in 2 sequences" in said
    manifest = read(out / MANIFEST)
    assert f"digest {manifest.digest}" in said
    assert (manifest.format, manifest.source.kind, manifest.source.version) == (
        "detections",
        "mot",
        "v1.0-mini",
    )
    assert (manifest.classes, manifest.frame_interval, manifest.fps) == (CLASSES, 0.0833, 12)
    assert manifest.splits["val"].counts == Counts(
        images=6, annotations=6, per_class={"car": 4, "bus": 0, "bicycle": 2}, sequences=2
    )
    assert manifest.splits["test"].reserved
    assert manifest.splits["test"].scenes == (scene(5),)
    assert sorted(manifest.files) == sorted(str(path.relative_to(out)) for path in out.rglob("*.txt"))


def test_reading_them_gives_the_truth_to_the_bit(mot: Path, tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    boxes = random.uniform(0.1, 1500, (40, 4))
    rows = [
        f"{40 - at},{at + 1},{','.join(map(repr, box.tolist()))},1,{at % 3},0.9,-1"
        for at, box in enumerate(boxes)
    ]
    folder = write_sequence(mot / "long" / "a", "\n".join(rows))
    (folder / "tracks.csv").unlink()
    info = folder / "seqinfo.ini"
    info.write_text(info.read_text().replace("seqLength=3", "seqLength=40"))
    (folder / "frames.csv").unlink()
    prepare("--from", mot, "--split", "long", "--out", tmp_path / "truth")
    found = read_detections(tmp_path / "truth" / "long" / "a.txt", frames=40, classes=3)
    assert found.frame.tolist() == list(range(1, 41))
    assert np.array_equal(found.box, boxes[::-1])
    assert found.label.tolist() == [at % 3 for at in reversed(range(40))]


def test_a_split_or_a_sequence_alone(mot: Path, tmp_path: Path) -> None:
    for number, source in enumerate((mot / "val", mot / "val" / NAMES[0])):
        out = tmp_path / str(number)
        prepare("--from", source, "--out", out)
        assert {path.name for path in (out / "val").iterdir()} == {
            f"{name}.txt" for name in NAMES[: 2 - number]
        }
        assert read(out / MANIFEST).classes == CLASSES


def test_data_without_a_manifest_need_their_classes(tmp_path: Path) -> None:
    write_sequence(tmp_path / "MOT15" / "train" / "a", "1,1,10,20,30,40,1,-1,-1,-1\n")
    refused = CliRunner().invoke(
        app, ["prepare", "detections", "--from", str(tmp_path / "MOT15"), "--out", str(tmp_path / "out")]
    )
    assert refused.exit_code == 64
    assert "Say --classes with their names" in refused.output
    prepare("--from", tmp_path / "MOT15", "--out", tmp_path / "out", "--classes", "pedestrian")
    manifest = read(tmp_path / "out" / MANIFEST)
    assert manifest.splits["train"].counts.per_class == {"pedestrian": 1}
    assert manifest.frame_interval == pytest.approx(0.075)


def test_a_coco_file(tmp_path: Path) -> None:
    write_prepared(tmp_path / "coco")
    path = tmp_path / "coco" / "annotations" / "val.json"
    document = json.loads(path.read_text())
    document["annotations"][0] |= {"iscrowd": 1}
    document["annotations"][1]["bbox"] = [-3.125, 60.7, 24.3, 16.1]  # reaches out of the picture
    path.write_text(json.dumps(document))
    printed = json.loads(prepare("--from", path, "--out", tmp_path / "truth", "--json"))
    results = json.loads((tmp_path / "truth" / "val.json").read_text())
    assert results == [
        {"image_id": one["image_id"], "category_id": one["category_id"], "bbox": one["bbox"], "score": 1.0}
        for one in document["annotations"][1:]
    ]
    manifest = read(tmp_path / "truth" / MANIFEST)
    assert printed == json.loads(encode(manifest))
    assert (manifest.source.kind, manifest.classes) == ("coco", CLASSES)
    assert (manifest.splits["val"].counts.images, manifest.splits["val"].counts.annotations) == (4, 3)
    assert manifest.splits["val"].scenes == (scene(4),)


def test_pycocotools_finds_them_perfect(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    write_prepared(tmp_path / "coco")
    path = tmp_path / "coco" / "annotations" / "train.json"
    prepare("--from", path, "--out", tmp_path / "truth")
    truth = COCO(str(path))
    judged = COCOeval(truth, truth.loadRes(str(tmp_path / "truth" / "train.json")), "bbox")
    judged.evaluate()
    judged.accumulate()
    judged.summarize()
    capsys.readouterr()
    assert judged.stats[0] == pytest.approx(1.0)


def test_noise_is_a_function_of_the_seed(mot: Path, tmp_path: Path) -> None:
    rows = [f"{1 + at % 3},{at + 1},100,200,40,80,1,0,0.9,-1" for at in range(3000)]
    folder = write_sequence(mot / "many" / "a", "\n".join(rows))
    (folder / "tracks.csv").unlink()

    def made(name: str, **options: float) -> np.ndarray:
        export_detections(ExportOptions(mot / "many", **options), tmp_path / name)  # type: ignore[arg-type]
        return read_detections(tmp_path / name / "many" / "a.txt").box

    fewer = made("fewer", drop=0.25, seed=1)
    assert 0.22 < 1 - len(fewer) / 3000 < 0.28
    assert (fewer == [100, 200, 40, 80]).all()
    moved = made("moved", jitter=0.05, seed=1)
    assert len(moved) == 3000
    centres = moved[:, :2] + moved[:, 2:] / 2
    assert (centres.mean(axis=0) - [120, 240]) == pytest.approx([0, 0], abs=0.3)
    assert centres.std(axis=0) == pytest.approx([2, 4], rel=0.1)
    assert moved[:, 2:].std(axis=0) == pytest.approx([2, 4], rel=0.1)
    assert np.array_equal(made("again", jitter=0.05, seed=1), moved)
    assert not np.array_equal(made("other", jitter=0.05, seed=2), moved)
    manifest = read(tmp_path / "moved" / MANIFEST)
    assert manifest.command == "vistrain prepare detections --from many --jitter 0.05 --seed 1"
    assert manifest.notes == ("boxes are jittered by 5.0% of their sides",)


def test_what_is_made_is_left_and_another_never_overwritten(mot: Path, tmp_path: Path) -> None:
    out = tmp_path / "truth"
    made = export_detections(ExportOptions(mot), out)
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    assert export_detections(ExportOptions(mot), out) == made
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before
    with pytest.raises(BadInput, match="the folder holds vistrain prepare detections --from mot"):
        export_detections(ExportOptions(mot, drop=0.5), out)
    (mot / "val" / NAMES[0] / "gt" / "gt.txt").write_text(GT.replace("10.5", "11.5"))
    with pytest.raises(BadInput, match="remove this one first"):  # of other truth
        export_detections(ExportOptions(mot), out)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("keep me")
    with pytest.raises(BadInput, match="the folder holds something else"):
        export_detections(ExportOptions(mot), tmp_path / "mine")


def test_a_fault_in_the_middle_leaves_no_folder(mot: Path, tmp_path: Path) -> None:
    path = mot / "val" / NAMES[1] / "gt" / "gt.txt"
    path.write_text(GT + "3,2,oops")
    result = CliRunner().invoke(
        app, ["prepare", "detections", "--from", str(mot), "--out", str(tmp_path / "truth")]
    )
    assert result.exit_code == 64
    assert f"{path}:5: 3,2,oops: it has 3 values" in result.output
    assert [one.name for one in tmp_path.iterdir()] == ["mot"]


def test_a_full_disk_is_told(mot: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, content: bytes) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    monkeypatch.setattr(detections_export, "write_durably", full)
    result = CliRunner().invoke(
        app, ["prepare", "detections", "--from", str(mot), "--out", str(tmp_path / "truth"), "--json"]
    )
    assert result.exit_code == 74
    assert "No space left on device" in json.loads(result.stdout)["error"]
    assert [one.name for one in tmp_path.iterdir()] == ["mot"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--from", "nowhere"], "--from: nowhere: it does not exist"),
        (["--from", ".", "--classes", "car"], "it is no COCO file, and no folder of MOT sequences"),
        (["--from", "mot", "--split", "train"], "train: there is no sequence in"),
        (["--from", "mot", "--classes", "bus,car,bicycle"], "mot has car, bus, bicycle, in this order"),
        (["--from", "mot", "--drop", "1"], "--drop: 1.0: is out of bounds"),
        (["--from", "mot", "--jitter", "nan"], "--jitter: nan: is out of bounds"),
        (["--from", "mot/manifest.json"], "it is not a COCO detection file"),
    ],
)
def test_bad_input_ends_with_64(
    mot: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["prepare", "detections", *arguments, "--out", "truth"])
    assert result.exit_code == 64
    assert says in result.output
    assert not (tmp_path / "truth").exists()


def test_the_sequences_of_the_fixture_are_those_of_a_prepared_data_set(mot: Path) -> None:
    assert [one.truth.frame.tolist() for one in read_split(mot, "val", 3)] == [[1, 1, 2, 3]] * 2
