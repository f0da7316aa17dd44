"""`vistrain prepare synthetic`: whole folders, equal for equal seeds, and clear refusals."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from vistrain_trainer.data import synthetic
from vistrain_trainer.data.classes import PRESETS
from vistrain_trainer.data.cli import app
from vistrain_trainer.data.coco import CocoDetection
from vistrain_trainer.data.manifest import MANIFEST, read
from vistrain_trainer.data.synthetic import SyntheticOptions, make_synthetic
from vistrain_trainer.errors import BadInput
from vistrain_trainer.evaluation.slices import slices

OPTIONS = SyntheticOptions(
    scenes=5,
    samples=2,
    cameras=("CAM_FRONT",),
    height=96,
    width=160,
    classes=PRESETS["nuscenes-vehicles"],
    seed=0,
)


def contents(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def replaced(**changes: object) -> SyntheticOptions:
    return SyntheticOptions(**{**OPTIONS.__dict__, **changes})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("synthetic") / "data"
    make_synthetic(OPTIONS, folder)
    return folder


def test_files_are_a_function_of_seed_and_options(made: Path, tmp_path: Path) -> None:
    again = make_synthetic(OPTIONS, tmp_path / "again")
    assert contents(tmp_path / "again") == contents(made)
    other = make_synthetic(replaced(seed=1), tmp_path / "other")
    assert other.digest != again.digest
    assert not set(contents(tmp_path / "other").values()) & set(contents(made).values())


def test_the_folder_reads_as_a_dataset(made: Path) -> None:
    manifest = read(made / MANIFEST)
    assert (manifest.format, manifest.source.kind) == ("coco", "synthetic")
    assert (manifest.classes, manifest.cameras, manifest.seed) == (OPTIONS.classes, ("CAM_FRONT",), 0)
    assert manifest.command.startswith("vistrain prepare synthetic --scenes 5 --samples 2")
    for name, images in (("train", 8), ("val", 2)):
        data = CocoDetection(made / "annotations" / f"{name}.json", made / "images", OPTIONS.classes)
        data.verify_images()
        counts = manifest.splits[name].counts
        assert len(data) == images == counts.images
        assert data.annotation_count == counts.annotations == sum(counts.per_class.values())
        assert manifest.files[f"annotations/{name}.json"] == contents(made)[f"annotations/{name}.json"]
        assert all(data.read_image(index).shape == (96, 160, 3) for index in range(len(data)))


def test_annotations_say_what_an_evaluation_slices_by(made: Path) -> None:
    document = json.loads((made / "annotations" / "train.json").read_text())
    assert {tag for image in document["images"] for tag in image["tags"]} == {"noon", "dusk"}
    by_scene = {(image["scene"], *image["tags"]) for image in document["images"]}
    assert len(by_scene) == 4  # a scene is of one time of day
    data = CocoDetection(made / "annotations" / "train.json", made / "images", OPTIONS.classes)
    found = slices(document, data.category_ids, data.classes, np.zeros((0, 7)))
    assert set(found.parts) == {"size", "distance", "visibility", "tag"}
    for kind in ("distance", "visibility"):
        assert sum(part.boxes for part in found.parts[kind].values()) == found.whole.boxes


def test_no_scene_is_in_two_splits(made: Path) -> None:
    scenes = [
        {
            (image["scene"], image["scene_token"])
            for image in json.loads((made / "annotations" / f"{name}.json").read_text())["images"]
        }
        for name in ("train", "val")
    ]
    splits = read(made / MANIFEST).splits
    assert scenes == [
        {(scene.name, scene.token) for scene in splits[name].scenes} for name in ("train", "val")
    ]
    assert scenes[0].isdisjoint(scenes[1])
    assert len(scenes[0]) == 4
    assert len(scenes[1]) == 1


def test_a_made_folder_is_left_as_it_is_and_another_never_overwritten(made: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in made.rglob("*")}
    assert make_synthetic(OPTIONS, made) == read(made / MANIFEST)
    assert {path: path.stat().st_mtime_ns for path in made.rglob("*")} == before
    with pytest.raises(BadInput, match="give a new folder, or remove this one first"):
        make_synthetic(replaced(seed=1), made)


@pytest.mark.parametrize("text", ["{", '{"name": "another program"}'])
def test_a_folder_of_another_program_is_left_alone(tmp_path: Path, text: str) -> None:
    (tmp_path / MANIFEST).write_text(text)
    with pytest.raises(BadInput, match=r"--out: .* the folder holds something else"):
        make_synthetic(OPTIONS, tmp_path)
    assert (tmp_path / MANIFEST).read_text() == text


def test_a_half_made_folder_never_bears_the_name(tmp_path: Path) -> None:
    out, calls = tmp_path / "data", []

    def stop() -> None:
        calls.append(1)
        if len(calls) == 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_synthetic(OPTIONS, out, stop)
    assert not out.exists()
    make_synthetic(OPTIONS, out)
    assert (out / "manifest.json").is_file()
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_a_full_disk_is_told_and_leaves_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(synthetic, "sync_file", full)
    with pytest.raises(BadInput, match="No space left on device"):
        make_synthetic(OPTIONS, tmp_path / "data")
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scenes": 1}, "--scenes: 1: .*at least 2"),
        ({"samples": 0}, "--samples: 0"),
        ({"seed": -1}, "--seed: -1"),
        ({"height": 8}, "--image-size: 8x160"),
        ({"cameras": ("CAM_TOP",)}, "'CAM_TOP' is unknown. choose from CAM_FRONT, "),
        ({"classes": ("car", "tram")}, "'tram' is unknown"),
        ({"classes": ("car", "car")}, "comes twice"),
    ],
)
def test_options_out_of_bounds_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        replaced(**changes)


ARGUMENTS = ["synthetic", "--scenes", "2", "--samples", "1", "--image-size", "64x112"]


def test_the_command_prints_counts_or_json(tmp_path: Path) -> None:
    runner = CliRunner()
    out = tmp_path / "data"
    plain = runner.invoke(app, [*ARGUMENTS, "--out", str(out), "--classes", "nuscenes-tracking"])
    assert plain.exit_code == 0, plain.output
    assert "train: 1 images, " in plain.stdout
    assert "rendering 2 pictures" in plain.stderr
    printed = runner.invoke(app, [*ARGUMENTS, "--out", str(out), "--classes", "nuscenes-tracking", "--json"])
    assert json.loads(printed.stdout) == json.loads((out / "manifest.json").read_text())
    assert json.loads(printed.stdout)["classes"] == list(PRESETS["nuscenes-tracking"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--image-size", "big"], "--image-size: big: is not HEIGHTxWIDTH"),
        (["--format", "voc"], "--format: voc"),
        (["--cameras", "CAM_FRONT,CAM_TOP"], "'CAM_TOP' is unknown"),
    ],
)
def test_the_command_ends_with_64_and_says_why(tmp_path: Path, arguments: list[str], message: str) -> None:
    result = CliRunner().invoke(app, ["synthetic", "--out", str(tmp_path / "data"), *arguments])
    assert result.exit_code == 64
    assert message in result.stderr
    assert not (tmp_path / "data").exists()
