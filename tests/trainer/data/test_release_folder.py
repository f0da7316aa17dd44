"""A release as a folder: equal for equal options on any machine, whole or not there, clear refusals."""

from __future__ import annotations

import hashlib
import json
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from inspect import signature
from pathlib import Path
from typing import Any

import msgspec
import pytest
from numpy._core._multiarray_umath import __cpu_dispatch__, __cpu_features__
from typer.testing import CliRunner

from vistrain_trainer.data import manifest as manifests
from vistrain_trainer.data.cli import app
from vistrain_trainer.data.cli.synthetic import synthetic
from vistrain_trainer.data.nuscenes.splits import official
from vistrain_trainer.data.world.cameras import RIG
from vistrain_trainer.data.world.categories import CATEGORIES
from vistrain_trainer.data.world.release import ReleaseOptions, write_release
from vistrain_trainer.data.world.tables import TABLES
from vistrain_trainer.errors import BadInput

OPTIONS = ReleaseOptions(
    version="v1.0-mini",
    scenes=2,
    samples=3,
    cameras=("CAM_FRONT", "CAM_BACK"),
    height=64,
    width=112,
    seed=0,
    pictures="key",
)


def contents(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def table(folder: Path, name: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(next(folder.glob(f"v1.0-*/{name}.json")).read_text())
    return rows


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("release") / "nuscenes"
    write_release(OPTIONS, folder)
    return folder


def test_files_are_a_function_of_seed_and_options(made: Path, tmp_path: Path) -> None:
    again = write_release(OPTIONS, tmp_path / "again")
    assert contents(tmp_path / "again") == contents(made)
    other = write_release(replace(OPTIONS, seed=1, pictures="none"), tmp_path / "other")
    assert other.files["v1.0-mini/sample.json"] != again.files["v1.0-mini/sample.json"]


def test_tables_are_equal_on_processors_of_every_kind(tmp_path: Path) -> None:
    """NumPy computes by other instructions where a processor has no newer ones: no digit may depend on it."""
    options = replace(OPTIONS, samples=10, cameras=tuple(RIG), pictures="none")
    here = write_release(options, tmp_path / "here")
    code = (
        "import sys; from pathlib import Path; from vistrain_trainer.data.world.release import *;"
        f"print(write_release({options!r}, Path(sys.argv[1])).source.digest)"
    )
    without = [name for name in __cpu_dispatch__ if __cpu_features__[name]]
    assert without
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "there")],
        env={**os.environ, "NPY_DISABLE_CPU_FEATURES": " ".join(without)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == here.source.digest


def test_a_row_is_a_line(made: Path) -> None:
    for name in TABLES:
        lines = (made / "v1.0-mini" / f"{name}.json").read_text().splitlines()
        assert lines[0] == "["
        assert lines[-1] == "]"
        rows = [json.loads(line.removesuffix(",")) for line in lines[1:-1]]
        assert rows == table(made, name)
        assert len(rows) == len({row["token"] for row in rows}) > 0
        lengths = {1} if name == "visibility" else {32}
        assert {len(row["token"]) for row in rows} == lengths


def test_the_manifest_says_what_is_there(made: Path) -> None:
    manifest = manifests.read(made / "manifest.json")
    assert manifest.command == OPTIONS.command()
    assert manifest.source.kind == "synthetic"
    assert manifest.source.version == "v1.0-mini"
    assert manifest.classes == CATEGORIES
    digests = contents(made)
    assert set(manifest.files) == {f"v1.0-mini/{name}.json" for name in TABLES}
    assert manifest.files.items() <= digests.items()
    pictures = {name: digest for name, digest in digests.items() if name.endswith(".jpg")}
    assert manifest.pictures.digest == manifests.digest_of(pictures)
    rows = [row for row in table(made, "sample_data") if row["fileformat"] == "jpg"]
    counts = [split.counts for split in manifest.splits.values()]
    assert sum(one.images for one in counts) == len(rows)
    assert sum(one.key_frames or 0 for one in counts) == sum(row["is_key_frame"] for row in rows)
    assert sum(one.annotations for one in counts) == len(table(made, "sample_annotation"))
    assert sum(one.tracks or 0 for one in counts) == len(table(made, "instance"))
    assert [one.sequences for one in counts] == [2, 2]
    named = {scene.token for split in manifest.splits.values() for scene in split.scenes}
    assert named == {row["token"] for row in table(made, "scene")}
    assert manifest.frame_interval == pytest.approx(1 / 12, rel=0.15)


@pytest.mark.parametrize(("pictures", "sweeps"), [("none", False), ("key", False), ("all", True)])
def test_the_pictures_asked_for_are_there_and_the_tables_the_same(
    made: Path, tmp_path: Path, pictures: Any, sweeps: bool
) -> None:
    manifest = write_release(replace(OPTIONS, pictures=pictures), tmp_path / "data")
    usual = manifests.read(made / "manifest.json")
    assert manifest.files == usual.files
    assert manifest.source == usual.source
    assert (manifest.digest == usual.digest) == (pictures == "key")
    expected = {
        row["filename"]
        for row in table(made, "sample_data")
        if row["fileformat"] == "jpg" and (pictures == "all" or (pictures == "key" and row["is_key_frame"]))
    }
    assert any(name.startswith("sweeps/") for name in expected) == sweeps
    found = {str(path.relative_to(tmp_path / "data")) for path in (tmp_path / "data").rglob("*.jpg")}
    assert found == expected


def test_what_is_not_asked_for_leaves_the_rest_as_it_is(made: Path, tmp_path: Path) -> None:
    fewer = replace(OPTIONS, cameras=("CAM_BACK",), sensors="cameras", pictures="none")
    write_release(fewer, tmp_path / "data")
    kept = [row for row in table(made, "sample_data") if "/CAM_BACK/" in row["filename"]]
    assert table(tmp_path / "data", "sample_data") == kept
    for name in ("sample", "sample_annotation", "instance", "scene", "sensor"):
        assert table(tmp_path / "data", name) == table(made, name)


def test_the_test_version_has_scenes_of_its_own_and_no_annotations(tmp_path: Path) -> None:
    manifest = write_release(
        replace(OPTIONS, version="v1.0-test", scenes=1, pictures="none"), tmp_path / "data"
    )
    assert list(manifest.splits) == ["test"]
    assert [row["name"] for row in table(tmp_path / "data", "scene")] == ["scene-0077"]
    assert table(tmp_path / "data", "sample_annotation") == table(tmp_path / "data", "instance") == []
    assert len(table(tmp_path / "data", "sample_data")) > 100
    assert len(table(tmp_path / "data", "category")) == 23


@pytest.mark.parametrize("density", [10.0, 34.0, 80.0])
def test_samples_are_as_crowded_as_asked_for(tmp_path: Path, density: float) -> None:
    crowded = replace(OPTIONS, scenes=10, samples=20, pictures="none", sensors="cameras", density=density)
    manifest = write_release(crowded, tmp_path / "data")
    annotations = sum(split.counts.annotations for split in manifest.splits.values())
    assert annotations / len(table(tmp_path / "data", "sample")) == pytest.approx(density, rel=0.1)
    if density == 34.0:
        met = {
            name
            for split in manifest.splits.values()
            for name, count in split.counts.per_class.items()
            if count
        }
        assert met == set(CATEGORIES)


def test_a_made_folder_is_left_as_it_is_and_another_never_overwritten(made: Path, tmp_path: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in made.rglob("*")}
    assert write_release(OPTIONS, made) == manifests.read(made / "manifest.json")
    assert {path: path.stat().st_mtime_ns for path in made.rglob("*")} == before
    with pytest.raises(BadInput, match="the folder holds vistrain prepare synthetic --format nuscenes"):
        write_release(replace(OPTIONS, seed=1), made)
    (tmp_path / "thesis.txt").touch()
    with pytest.raises(BadInput, match="the folder holds something else"):
        write_release(OPTIONS, tmp_path)


def test_a_half_made_folder_never_bears_the_name(tmp_path: Path) -> None:
    calls = []

    def stop(_: float) -> None:
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_release(OPTIONS, tmp_path / "data", stop)
    assert not (tmp_path / "data").exists()
    write_release(OPTIONS, tmp_path / "data")
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


@contextmanager
def files_at_most(size: int) -> Iterator[None]:
    """Let the system refuse to write files beyond a size, as a full volume does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("size", [100_000, 1_000])
def test_a_refused_write_is_told_and_leaves_no_folder(tmp_path: Path, size: int) -> None:
    with (
        files_at_most(size),
        pytest.raises(BadInput, match=r"--out: .*data: .*File too large\. give a folder"),
    ):
        write_release(replace(OPTIONS, pictures="none"), tmp_path / "data")
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": "v1.0"}, "--version: v1.0: .*choose from v1.0-trainval, v1.0-mini, v1.0-test"),
        ({"scenes": 1}, "--scenes: 1: .*give 2 to 10"),
        ({"version": "v1.0-test", "scenes": 151}, "--scenes: 151: .*give 1 to 150"),
        ({"samples": 0}, "--samples: 0"),
        ({"seed": -1}, "--seed: -1"),
        ({"height": 8}, "--image-size: 8x112"),
        ({"cameras": ("CAM_TOP",)}, "--cameras: CAM_TOP: .*choose from CAM_FRONT, "),
        ({"cameras": ("CAM_FRONT", "CAM_FRONT")}, "--cameras: CAM_FRONT,CAM_FRONT: .*none twice"),
        ({"cameras": ()}, "--cameras"),
        ({"pictures": "some"}, "--pictures: some: .*choose from none, key, all"),
        ({"sensors": "radar"}, "--sensors: radar: .*choose from cameras, all"),
        ({"density": 0.0}, "--density: 0.0"),
        ({"density": 500.0}, "--density: 500.0: .*at most 120"),
        ({"dropped_keyframes": 1.0}, "--dropped-keyframes: 1.0"),
        ({"dropped_sweeps": -0.1}, "--dropped-sweeps: -0.1"),
    ],
)
def test_options_out_of_bounds_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        replace(OPTIONS, **changes)


ARGUMENTS = ["synthetic", "--format", "nuscenes", "--scenes", "2", "--samples", "1", "--pictures", "none"]


def test_the_command_prints_counts_or_json_and_repeats_itself(tmp_path: Path) -> None:
    runner, out, split = CliRunner(), tmp_path / "data", next(iter(official("v1.0-mini")))
    plain = runner.invoke(app, [*ARGUMENTS, "--out", str(out)])
    assert plain.exit_code == 0, plain.output
    assert f"{split}: 1 scenes, 6 keyframes and 12 sweeps of 6 cameras, " in plain.stdout
    assert "making 2 scenes in " in plain.stderr
    printed = runner.invoke(app, [*ARGUMENTS, "--out", str(out), "--json"])
    assert printed.stdout.encode() == (out / "manifest.json").read_bytes()
    command = msgspec.json.decode(printed.stdout)["command"].split()
    assert command[:3] == ["vistrain", "prepare", "synthetic"]
    again = runner.invoke(app, [*command[2:], "--out", str(tmp_path / "again"), "--json"])
    assert again.stdout == printed.stdout


def test_the_help_states_the_defaults_that_are_used() -> None:
    defaults = {field.name: field.default for field in fields(ReleaseOptions)}
    stated = signature(synthetic, eval_str=True).parameters
    for name in (
        "pictures",
        "sensors",
        "density",
        "dropped_sweeps",
        "dropped_keyframes",
        "dropped_annotations",
    ):
        (option,) = stated[name].annotation.__metadata__
        assert option.show_default == str(defaults[name]).removesuffix(".0")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--format", "nuscenes", "--classes", "car"], "--classes: car: means nothing to --format nuscenes"),
        (["--format", "coco", "--density", "3"], "--density: 3.0: means nothing to --format coco"),
        (["--format", "nuscenes", "--scenes", "11"], "--scenes: 11: is out of bounds. give 2 to 10"),
        (["--format", "nuscenes", "--image-size", "900"], "--image-size: 900: is not HEIGHTxWIDTH"),
    ],
)
def test_the_command_ends_with_64_and_says_why(tmp_path: Path, arguments: list[str], message: str) -> None:
    result = CliRunner().invoke(app, ["synthetic", "--out", str(tmp_path / "data"), *arguments])
    assert result.exit_code == 64
    assert message in result.stderr
    assert not (tmp_path / "data").exists()
