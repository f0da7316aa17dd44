"""Data sets are whole or not there: kills, full disks, second runs, faulty releases."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from support.nuscenes_release import write_pictures, write_release
from vistrain_trainer.cli.app import app
from vistrain_trainer.data.artifact import alone
from vistrain_trainer.data.manifest import digest_of
from vistrain_trainer.data.nuscenes import prepare as preparing
from vistrain_trainer.data.nuscenes.options import PrepareOptions
from vistrain_trainer.data.nuscenes.prepare import prepare_nuscenes
from vistrain_trainer.data.progress import Advance
from vistrain_trainer.errors import BadInput

ALL = {"formats": ("coco", "yolo", "mot"), "pictures": "copy"}


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    write_release(tmp_path / "raw", cameras=("CAM_FRONT", "CAM_BACK"))
    write_pictures(tmp_path / "raw")
    return tmp_path / "raw"


def prepare(raw: Path, out: Path, **options: Any) -> None:
    prepare_nuscenes(PrepareOptions(root=raw, **options), out)


def contents(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def vistrain(*words: object, before: str = "") -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, which runs some Python before it."""
    code = f"import sys; {before}\nfrom vistrain_trainer.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, "prepare", "nuscenes", *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_second_run_gives_equal_bytes(raw: Path, tmp_path: Path) -> None:
    for out in ("one", "two"):
        prepare(raw, tmp_path / out, cameras=(), **ALL)
    found = contents(tmp_path / "one")
    assert found == contents(tmp_path / "two")
    assert len(found) > 100


def test_several_processes_write_the_same(raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare(raw, tmp_path / "one", **ALL)
    monkeypatch.setattr(preparing, "MANY", 1)
    monkeypatch.setattr(preparing, "processes", lambda: 2)
    prepare(raw, tmp_path / "two", **ALL)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_a_refusal_found_by_another_process_is_told_whole(
    raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = raw / "v1.0-trainval" / "sample_data.json"
    path.write_text(path.read_text().replace('"width": 100', '"width": 120', 1))
    monkeypatch.setattr(preparing, "MANY", 1)
    monkeypatch.setattr(preparing, "processes", lambda: 2)
    with pytest.raises(BadInput, match="data-0-CAM_FRONT-1: its picture is of another size") as refused:
        prepare(raw, tmp_path / "out", formats=("mot",))
    assert refused.value.remedy == "leave this scene or camera out"


def test_the_manifest_tells_what_the_folder_holds(raw: Path, tmp_path: Path) -> None:
    prepare(raw, tmp_path / "out", **ALL)
    for layout in ("coco", "yolo", "mot"):
        folder = tmp_path / "out" / layout
        manifest = json.loads((folder / "manifest.json").read_text())
        found = contents(folder)
        listed = {name for name in found if not name.endswith(".jpg")} - {"manifest.json"}
        assert manifest["files"] == {name: found[name] for name in listed}
        assert manifest["digest"] == digest_of(manifest["files"])
        assert manifest["format"] == layout
        assert manifest["source"] == {
            "kind": "nuscenes",
            "version": "v1.0-trainval",
            "digest": manifest["source"]["digest"],
        }
        assert manifest["imageSize"] == {"height": 80, "width": 100}


def test_what_is_there_is_left_and_something_else_never_overwritten(raw: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    prepare(raw, out)
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    prepare(raw, out, version="v1.0-trainval", visibility=(4, 3, 2, 1), fps=2)
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before
    for options in ({"sweeps": True}, {"cameras": ()}, {"pictures": "link"}, {"classes": ("car",)}):
        with pytest.raises(BadInput, match="the folder holds what `vistrain prepare nuscenes --version"):
            prepare(raw, out, **options)
    path = raw / "v1.0-trainval" / "sample_annotation.json"
    path.write_text(path.read_text().replace("[1, 0, 10]", "[1, 0, 11]"))
    with pytest.raises(BadInput, match="of other tables, splits or pictures"):
        prepare(raw, out)
    (tmp_path / "own" / "coco").mkdir(parents=True)
    (tmp_path / "own" / "coco" / "notes.txt").touch()
    with pytest.raises(BadInput, match="the folder holds something else"):
        prepare(raw, tmp_path / "own")
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before


def test_a_layout_is_added_beside_those_that_are_whole(raw: Path, tmp_path: Path) -> None:
    prepare(raw, tmp_path / "out")
    before = (tmp_path / "out" / "coco").stat().st_mtime_ns
    prepare(raw, tmp_path / "out", formats=("coco", "mot"))
    assert (tmp_path / "out" / "coco").stat().st_mtime_ns == before
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["coco", "mot"]


@pytest.mark.parametrize("processes", [1, 2])
def test_a_kill_leaves_nothing_that_passes_for_whole(raw: Path, tmp_path: Path, processes: int) -> None:
    """Killed while scenes are written, then while pictures are copied; each time the next run goes on."""
    code = """
import os, signal, sys
from contextlib import contextmanager
from pathlib import Path
from vistrain_trainer.data.nuscenes import prepare as preparing
from vistrain_trainer.data.nuscenes.options import PrepareOptions
raw, out, at, processes = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])
preparing.MANY, preparing.processes = 1, lambda: processes
@contextmanager
def progress(what, total):
    left = [2]
    def advance(done):
        left[0] -= done
        if what.startswith(at) and not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)
    yield advance
options = PrepareOptions(root=raw, formats=("coco", "mot"), pictures="copy")
preparing.prepare_nuscenes(options, out, progress)
"""
    out = tmp_path / "out"

    def run(at: str) -> int:
        words = [sys.executable, "-c", code, str(raw), str(out), at, str(processes)]
        return subprocess.run(words, check=False).returncode

    assert run("writing coco") == -9
    assert not (out / "coco").exists()
    assert run("copying") == -9
    assert not (out / "coco").exists()
    copied = list((out / ".coco.partial" / "images").rglob("*.jpg"))
    assert len(copied) == 2
    times = {path.name: path.stat().st_mtime_ns for path in copied}
    assert run("writing mot") == -9
    pictures = {path.name: path.stat().st_mtime_ns for path in (out / "coco" / "images").rglob("*.jpg")}
    assert pictures.items() >= times.items()
    made = (out / "coco").stat().st_mtime_ns
    assert run("nothing") == 0
    assert (out / "coco").stat().st_mtime_ns == made
    prepare(raw, tmp_path / "untouched", formats=("coco", "mot"), pictures="copy")
    assert contents(out) == contents(tmp_path / "untouched")
    assert sorted(path.name for path in out.iterdir()) == ["coco", "mot"]


def test_an_interruption_without_pictures_leaves_no_rest(raw: Path, tmp_path: Path) -> None:
    @contextmanager
    def interrupted(what: str, _total: int) -> Iterator[Advance]:
        def advance(_done: int) -> None:
            if what.startswith("writing"):
                raise KeyboardInterrupt

        yield advance

    with pytest.raises(KeyboardInterrupt):
        prepare_nuscenes(PrepareOptions(root=raw), tmp_path / "out", interrupted)
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(("layout", "limit"), [("coco", 3000), ("mot", 400)])
def test_a_full_disk_is_told_with_the_file(raw: Path, tmp_path: Path, layout: str, limit: int) -> None:
    words = ("--root", raw, "--out", tmp_path / "out", "--format", layout)
    full = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))"
    refused = vistrain(*words, before=full)
    assert refused.returncode == 74
    assert re.search(r"error: \S+\.(json|txt|csv): cannot be written \(File too large\)", refused.stderr)
    assert list((tmp_path / "out").iterdir()) == []
    assert vistrain(*words).returncode == 0


def test_two_at_once_do_not_write_into_one_folder(raw: Path, tmp_path: Path) -> None:
    holder = (
        "import sys; from pathlib import Path; from vistrain_trainer.data.artifact import alone\n"
        "with alone(Path(sys.argv[1])):\n    print('mine', flush=True); sys.stdin.read()"
    )
    words = [sys.executable, "-c", holder, str(tmp_path / "out" / "coco")]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "mine\n"
        with pytest.raises(BadInput, match="another preparation writes there now"):
            prepare(raw, tmp_path / "out")
        process.communicate()
    prepare(raw, tmp_path / "out")
    with alone(tmp_path / "out" / "coco"):
        assert (tmp_path / "out" / ".coco.lock").exists()
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["coco"]


def test_a_missing_picture_matters_only_where_pictures_are_asked_for(raw: Path, tmp_path: Path) -> None:
    sweep = next((raw / "sweeps" / "CAM_FRONT").iterdir())
    sweep.unlink()
    prepare(raw, tmp_path / "none", formats=("coco", "mot"))
    prepare(raw, tmp_path / "keyframes", pictures="link")
    token = next(
        row["token"]
        for row in json.loads((raw / "v1.0-trainval" / "sample_data.json").read_text())
        if row["filename"].endswith(sweep.name)
    )
    with pytest.raises(
        BadInput, match=f"{sweep}: the picture of sample_data {token} is not there, and 1 of 21"
    ):
        prepare(raw, tmp_path / "all", formats=("mot",), pictures="link")
    assert not list((tmp_path / "all").iterdir())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--cameras", "CAM_TOP"), "--cameras: CAM_TOP: .*sensor.json has no such camera"),
        (
            ("--classes", "car,vehicle.bus"),
            "--classes: .*'vehicle.bus' is no class. choose from car",
        ),
        (("--format", "coco,voc"), "--format: coco,voc: is unknown.*choose from coco, yolo, mot"),
        (("--fps", "10"), "--fps: 10: is unknown.*choose from 2, 12"),
        (("--visibility", "5"), "--visibility: 5: is unknown.*choose from 1, 2, 3, 4"),
        (("--visibility", "high"), "--visibility: high: is no list of bins"),
        (("--version", "v1.0-mini"), "--version: v1.0-mini: .*holds v1.0-trainval"),
        (("--format", "yolo"), "say --pictures link"),
    ],
)
def test_options_that_cannot_be_met_are_refused(
    raw: Path, tmp_path: Path, options: tuple[str, ...], message: str
) -> None:
    words = ["prepare", "nuscenes", "--root", str(raw), "--out", str(tmp_path / "out"), *options]
    refused = CliRunner().invoke(app, words)
    assert refused.exit_code == 64
    assert re.search(message, refused.stderr)
    assert not (tmp_path / "out" / "coco").exists()


@pytest.mark.parametrize("fault", ["missing", "cut short"])
def test_faulty_tables_are_refused_with_the_file(raw: Path, tmp_path: Path, fault: str) -> None:
    table = raw / "v1.0-trainval" / "sample_annotation.json"
    if fault == "missing":
        table.unlink()
    else:
        table.write_bytes(table.read_bytes()[:-200])
    words = ["prepare", "nuscenes", "--root", str(raw), "--out", str(tmp_path / "out"), "--json"]
    refused = CliRunner().invoke(app, words)
    assert refused.exit_code == 64
    assert str(table) in json.loads(refused.stdout)["error"]
    assert not (tmp_path / "out" / "coco").exists()


def test_defaults_suffice_and_the_summary_tells_what_was_made(raw: Path, tmp_path: Path) -> None:
    words = ["prepare", "nuscenes", "--root", str(raw), "--out", str(tmp_path / "out")]
    said = CliRunner().invoke(app, words)
    assert said.exit_code == 0
    manifest = json.loads((tmp_path / "out" / "coco" / "manifest.json").read_text())
    assert "100.0% keyframes, 0.0% between them, 500.0 ms apart" in said.stdout
    assert "counted in each picture: 6 otherClass, 0 lineOrPoint, 6 outsideThePicture" in said.stdout
    assert "note: val: the release has 1 of its 150 scenes" in said.stdout
    assert f"{tmp_path / 'out' / 'coco'}: digest {manifest['digest']}" in said.stdout
    assert [line.split() for line in said.stdout.splitlines() if "pedestrian" in line] == [
        ["│", "pedestrian", "│", "4", "│", "2", "│"]
    ]
    assert f"vistrain prepare check {tmp_path / 'out'}" in said.stdout
    printed = CliRunner().invoke(app, [*words, "--json"])
    assert json.loads(printed.stdout) == {"coco": manifest}
