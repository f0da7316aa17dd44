"""Tables read as the devkit reads them, and refused with file and token where they are wrong."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from nuscenes.nuscenes import NuScenes

from vistrain_trainer.data.nuscenes import lookup, reader, table_rows
from vistrain_trainer.data.nuscenes.interpolation import boxes_at
from vistrain_trainer.data.nuscenes.reader import read_release
from vistrain_trainer.data.nuscenes.release import Release
from vistrain_trainer.errors import BadInput

VERSION = "v1.0-mini"


def test_frames_are_those_of_the_cameras_in_order(release: Release, devkit: NuScenes) -> None:
    frames = release.frames
    records = [devkit.get("sample_data", token.decode()) for token in frames.token]
    assert len(records) == sum(row["sensor_modality"] == "camera" for row in devkit.sample_data)
    for at, record in enumerate(records):
        assert release.cameras[frames.camera[at]] == record["channel"]
        assert release.samples.token[frames.sample[at]].decode() == record["sample_token"]
        assert frames.file_name[at].decode() == record["filename"]
        assert (frames.timestamp[at], frames.keyframe[at]) == (record["timestamp"], record["is_key_frame"])
        assert tuple(frames.size[at]) == (record["width"], record["height"])
        pose = devkit.get("ego_pose", record["ego_pose_token"])
        assert frames.ego_translation[at].tolist() == pose["translation"]
        assert frames.ego_rotation[at].tolist() == pose["rotation"]
        mounted = devkit.get("calibrated_sensor", record["calibrated_sensor_token"])
        kind = frames.calibration[at]
        assert release.calibrations.intrinsic[kind].tolist() == mounted["camera_intrinsic"]
        assert release.calibrations.translation[kind].tolist() == mounted["translation"]
        assert release.calibrations.rotation[kind].tolist() == mounted["rotation"]


def test_each_scene_is_a_slice_of_every_table(release: Release, devkit: NuScenes) -> None:
    assert [scene.name for scene in release.scenes] == sorted(row["name"] for row in devkit.scene)
    for number, scene in enumerate(release.scenes):
        record = devkit.get("scene", scene.token)
        assert scene.location == devkit.get("log", record["log_token"])["location"]
        tokens = [token.decode() for token in release.samples.token[scene.samples]]
        assert len(tokens) == record["nbr_samples"]
        assert (tokens[0], tokens[-1]) == (record["first_sample_token"], record["last_sample_token"])
        anns = [token for sample in tokens for token in devkit.get("sample", sample)["anns"]]
        assert [token.decode() for token in release.annotations.token[scene.annotations]] == anns
        for camera, rows in enumerate(scene.frames):
            assert set(release.frames.camera[rows]) == {camera}
            assert set(release.samples.scene[release.frames.sample[rows]]) == {number}
            assert (np.diff(release.frames.timestamp[rows]) > 0).all()
    assert sum(rows.stop - rows.start for scene in release.scenes for rows in scene.frames) == len(
        release.frames.token
    )


def test_annotations_and_samples_are_the_devkits(release: Release, devkit: NuScenes) -> None:
    table = release.annotations
    assert len(table.token) == len(devkit.sample_annotation) > 500
    for at in range(len(table.token)):
        record = devkit.get("sample_annotation", table.token[at].decode())
        assert release.samples.token[table.sample[at]].decode() == record["sample_token"]
        assert release.instances.token[table.instance[at]].decode() == record["instance_token"]
        category = release.instances.category[table.instance[at]]
        assert release.categories[category] == record["category_name"]
        assert table.translation[at].tolist() == record["translation"]
        assert table.size[at].tolist() == record["size"]
        assert table.rotation[at].tolist() == record["rotation"]
        before = int(table.previous[at])
        if before >= 0:
            assert table.token[before].decode() == record["prev"]
        elif record["prev"]:  # it has none in the sample before, but in an earlier one
            sample = devkit.get("sample_annotation", record["prev"])["sample_token"]
            assert sample != devkit.get("sample", record["sample_token"])["prev"]
        assert str(table.visibility[at]) == record["visibility_token"]
        assert table.points[at] == record["num_lidar_pts"] + record["num_radar_pts"]
    for at in range(len(release.samples.token)):
        record = devkit.get("sample", release.samples.token[at].decode())
        before = int(release.samples.previous[at])
        assert (release.samples.token[before].decode() if before >= 0 else "") == record["prev"]
        rows = slice(*release.samples.annotations[at : at + 2])
        assert [token.decode() for token in table.token[rows]] == record["anns"]


def test_only_what_is_asked_for_is_read(root: Path, release: Release) -> None:
    front = read_release(root, VERSION, ("CAM_BACK", "CAM_FRONT"), sweeps=False)
    assert front.cameras == ("CAM_BACK", "CAM_FRONT")
    assert front.frames.keyframe.all()
    assert len(front.frames.token) == 2 * len(release.samples.token)
    assert front.digest == release.digest
    assert [rows.stop - rows.start for rows in front.scenes[0].frames] == [
        front.scenes[0].samples.stop - front.scenes[0].samples.start
    ] * 2


def test_tables_of_many_short_lines_are_read_too(
    copy: Path, release: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the release itself has them, each value on a line."""
    for path in (copy / VERSION).glob("*.json"):
        path.write_text(json.dumps(json.loads(path.read_text()), indent=0) + "\n")
    monkeypatch.setattr(table_rows, "CHUNK", 10_000)
    assert same(read_release(copy, VERSION, (), sweeps=True), release)


def test_a_large_table_is_read_by_another_process(
    root: Path, release: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "LARGE", 1)
    assert same(read_release(root, VERSION, (), sweeps=True), release)


def test_chunks_of_any_size_give_the_same(
    root: Path, release: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    for size in (1, 700, 5003):
        monkeypatch.setattr(table_rows, "CHUNK", size)
        assert same(read_release(root, VERSION, ("CAM_FRONT",), sweeps=False), of_camera(root))
    assert release.cameras[0] == "CAM_FRONT"


def of_camera(root: Path) -> Release:
    return read_release(root, VERSION, ("CAM_FRONT",), sweeps=False)


def same(one: Release, other: Release) -> bool:
    return one.scenes == other.scenes and all(
        np.array_equal(getattr(getattr(one, table), column), values)
        for table in ("samples", "frames", "annotations", "instances", "calibrations")
        for column, values in vars(getattr(other, table)).items()
    )


class Note(msgspec.Struct):
    token: str
    text: str


def test_a_border_inside_a_string_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notes = [Note(str(number), '"}, {"' * (number % 5) + "[{}]" * 3) for number in range(50)]
    path = tmp_path / "notes.json"
    path.write_bytes(msgspec.json.encode(notes))
    for size in range(1, 400, 7):
        monkeypatch.setattr(table_rows, "CHUNK", size)
        chunks = list(table_rows.table_rows(path, Note))
        assert [note for chunk in chunks for note in chunk] == notes


def test_a_table_cut_short_anywhere_is_no_whole_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "sensor.json"
    whole = (
        b'[{"token": "\xc3\xa9\\u00e9", "n": -1.5e-3, "flag": true}, {"token": "b", "n": null, "flag": true}]'
    )
    for chunk in (1, 1000):
        monkeypatch.setattr(table_rows, "CHUNK", chunk)
        for size in range(len(whole)):
            path.write_bytes(whole[:size])
            with pytest.raises(
                BadInput, match=r"sensor\.json: the table is no whole JSON list: it ends too early"
            ):
                list(table_rows.table_rows(path, Flagged))
        path.write_bytes(whole + b"\n")
        assert sum(map(len, table_rows.table_rows(path, Flagged))) == 2


class Flagged(msgspec.Struct):
    token: str
    n: float | None
    flag: bool


@pytest.mark.parametrize("value", [b"NaN", b"-Infinity", b"nought"])
@pytest.mark.parametrize("chunk", [1, 1000, 1_000_000])
def test_what_is_no_json_is_named_with_its_row(
    copy: Path, monkeypatch: pytest.MonkeyPatch, value: bytes, chunk: int
) -> None:
    """Python writes NaN, which no other reader takes for a number."""
    path = copy / VERSION / "ego_pose.json"
    rows = json.loads(path.read_text())
    whole, token = path.read_bytes(), rows[40]["token"]
    at = whole.index(token.encode())
    number = whole.index(b'"translation":[', at) + len(b'"translation":[')
    path.write_bytes(whole[:number] + value + whole[whole.index(b",", number) :])
    monkeypatch.setattr(table_rows, "CHUNK", chunk)
    with pytest.raises(BadInput, match=rf"ego_pose\.json: the row of token {token}: ") as refusal:
        read_release(copy, None, (), sweeps=True)
    assert value.decode() in str(refusal.value)


@pytest.mark.parametrize("chunk", [1, 1_000_000])
def test_a_name_in_another_encoding_is_named_with_its_row(
    copy: Path, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    path = copy / VERSION / "sample_data.json"
    token = json.loads(path.read_text())[50]["token"]
    whole = path.read_bytes()
    at = whole.index(b"samples/", whole.index(token.encode()))
    path.write_bytes(whole[:at] + b"M\xfcnchen-" + whole[at:])
    monkeypatch.setattr(table_rows, "CHUNK", chunk)
    with pytest.raises(BadInput, match=rf"sample_data\.json: the row of token {token}: .*M.nchen"):
        read_release(copy, None, (), sweeps=True)


@pytest.fixture
def copy(root: Path, tmp_path: Path) -> Path:
    """A release of one's own."""
    return shutil.copytree(root, tmp_path / "copy")


def changed(copy: Path, table: str, change: Callable[[list[dict[str, Any]]], object]) -> str:
    """Change a table; the text of the refusal that follows."""
    path = copy / VERSION / f"{table}.json"
    rows = json.loads(path.read_text())
    change(rows)
    path.write_text(json.dumps(rows))
    with pytest.raises(BadInput) as refusal:
        read_release(copy, None, (), sweeps=True)
    assert f"{table}.json" in str(refusal.value)
    return str(refusal.value)


@pytest.mark.parametrize("table", sorted(reader.TABLES))
def test_a_missing_table_is_named(copy: Path, table: str) -> None:
    (copy / VERSION / f"{table}.json").unlink()
    with pytest.raises(BadInput, match=rf"{table}\.json: the table is not there"):
        read_release(copy, None, (), sweeps=False)


@pytest.mark.parametrize("table", sorted(reader.TABLES))
@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_a_truncated_table_is_named(copy: Path, table: str, share: float) -> None:
    path = copy / VERSION / f"{table}.json"
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(BadInput, match=rf"{table}\.json: the table is no whole JSON list"):
        read_release(copy, None, (), sweeps=False)


LINKS = [
    ("instance", "category_token"),
    ("sample", "scene_token"),
    ("sample", "prev"),
    ("sample_annotation", "instance_token"),
    ("sample_annotation", "sample_token"),
    ("sample_data", "ego_pose_token"),
    ("sample_data", "sample_token"),
    ("scene", "log_token"),
]


@pytest.mark.parametrize(("table", "field"), LINKS)
def test_a_token_that_leads_nowhere_is_named_with_its_row(copy: Path, table: str, field: str) -> None:
    rows = json.loads((copy / VERSION / f"{table}.json").read_text())
    row = next(number for number, row in enumerate(rows) if row[field] and "RADAR" not in str(row))
    camera = [number for number, row in enumerate(rows) if "CAM_" in row.get("filename", "")]
    at = camera[0] if camera else row

    def lose(rows: list[dict[str, Any]]) -> None:
        rows[at][field] = "f" * 32

    said = changed(copy, table, lose)
    assert f"the row of token {rows[at]['token']}: its {field} 'ffff" in said


WRONG: dict[str, tuple[str, Callable[[dict[str, Any]], object], str]] = {
    "a size of nought": ("sample_annotation", lambda row: row.update(size=[1.0, 0.0, 2.0]), "not above 0 m"),
    "a size below nought": ("sample_annotation", lambda row: row.update(size=[-1, 1, 2]), "not above 0 m"),
    "no rotation": ("sample_annotation", lambda row: row.update(rotation=[0, 0, 0, 0]), "is no rotation"),
    "a word for a number": (
        "sample_annotation",
        lambda row: row.update(translation=["far", 1, 2]),
        "Expected `float`, got `str`",
    ),
    "two numbers of three": ("sample_annotation", lambda row: row.update(translation=[1, 2]), "translation"),
    "an unknown visibility": ("sample_annotation", lambda row: row.update(visibility_token="9"), "'9'"),
    "a number beyond all": (
        "sample_annotation",
        lambda row: row.update(translation=[10**400, 1, 2]),
        "range",
    ),
    "a lost column": ("sample_annotation", lambda row: row.pop("size"), "missing required field `size`"),
    "a pose that is a word": ("ego_pose", lambda row: row.update(rotation=["a", 0, 0, 1]), "its rotation"),
    "a pose without rotation": ("ego_pose", lambda row: row.update(rotation=[0, 0, 0, 0]), "is no rotation"),
    "a picture without size": ("sample_data", lambda row: row.update(width=0), "has no area"),
    "a camera without lens": (
        "calibrated_sensor",
        lambda row: row.update(camera_intrinsic=[]),
        "is no 3×3 matrix",
    ),
    "a camera that sees all at one point": (
        "calibrated_sensor",
        lambda row: row["camera_intrinsic"][1].__setitem__(1, 0.0),
        "focal length",
    ),
    "a matrix that is none of a camera": (
        "calibrated_sensor",
        lambda row: row["camera_intrinsic"].__setitem__(2, [0, 0, 2]),
        "third row",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_row_is_named(copy: Path, case: str) -> None:
    table, spoil, expected = WRONG[case]
    tokens = []

    def change(rows: list[dict[str, Any]]) -> None:
        row = rows[0]  # a camera's, in sample_data, ego_pose and calibrated_sensor
        tokens.append(row["token"])
        spoil(row)

    said = changed(copy, table, change)
    assert tokens[0] in said
    assert expected in said


def test_what_another_process_finds_wrong_is_named_too(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "LARGE", 1)

    def flatten(rows: list[dict[str, Any]]) -> None:
        rows[3]["size"] = [1, 1, 0]

    assert "not above 0 m" in changed(copy, "sample_annotation", flatten)


def test_a_table_of_something_else_is_named(copy: Path) -> None:
    (copy / VERSION / "sample.json").write_text('{"token": "a"}')
    with pytest.raises(BadInput, match=r"sample\.json: the table is no whole JSON list: Expected `array`"):
        read_release(copy, None, (), sweeps=True)


def test_samples_form_a_chain_in_time(copy: Path) -> None:
    def skip(rows: list[dict[str, Any]]) -> None:
        rows[3]["prev"] = rows[1]["token"]

    assert "its prev is not the sample before it in its scene" in changed(copy, "sample", skip)


def test_scenes_have_names_of_their_own(copy: Path) -> None:
    def rename(rows: list[dict[str, Any]]) -> None:
        rows[1]["name"] = rows[0]["name"]

    assert "is that of another scene too" in changed(copy, "scene", rename)


def twice(rows: list[dict[str, Any]]) -> None:
    rows.append(dict(rows[0]))


@pytest.mark.parametrize(
    "table",
    [
        "calibrated_sensor",
        "category",
        "ego_pose",
        "instance",
        "log",
        "sample",
        "sample_annotation",
        "sample_data",
    ],
)
def test_a_token_that_comes_twice_is_named(copy: Path, table: str) -> None:
    assert "the token comes twice" in changed(copy, table, twice)


def test_tokens_of_any_length_may_begin_alike(tmp_path: Path) -> None:
    path = tmp_path / "sample_data.json"
    for tokens in ([], ["a"], ["a", "b"], ["01234567-a", "01234567-b", "01234567"]):
        lookup.require_once(path, lookup.token_column(tokens))
    with pytest.raises(BadInput, match="the row of token 01234567-b: the token comes twice"):
        lookup.require_once(path, lookup.token_column(["01234567-b", "01234567-a", "01234567-b"]))


def test_an_instance_has_one_box_in_a_sample(copy: Path) -> None:
    def again(rows: list[dict[str, Any]]) -> None:
        rows.append({**rows[0], "token": "e" * 32})

    said = changed(copy, "sample_annotation", again)
    assert f"token {'e' * 32}: its instance has another box in the same sample" in said


def test_the_version_is_the_only_one_or_asked_for(copy: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"--version: v1\.0-trainval: .* holds v1\.0-mini"):
        read_release(copy, "v1.0-trainval", (), sweeps=False)
    shutil.copytree(copy / VERSION, copy / "v1.0-other")
    with pytest.raises(BadInput, match=r"--version: not given: .* holds v1\.0-mini, v1\.0-other"):
        read_release(copy, None, (), sweeps=False)
    assert read_release(copy, "v1.0-other", ("CAM_BACK",), sweeps=False).version == "v1.0-other"
    with pytest.raises(BadInput, match="no folder v1"):
        read_release(tmp_path, None, (), sweeps=False)
    with pytest.raises(BadInput, match="there is no such folder"):
        read_release(tmp_path / "none", None, (), sweeps=False)


def test_cameras_are_known_and_named_once(root: Path) -> None:
    with pytest.raises(BadInput, match=r"--cameras: CAM_TOP: .*CAM_FRONT, CAM_FRONT_RIGHT"):
        read_release(root, None, ("CAM_FRONT", "CAM_TOP"), sweeps=False)
    with pytest.raises(BadInput, match="LIDAR_TOP"):
        read_release(root, None, ("LIDAR_TOP",), sweeps=False)
    with pytest.raises(BadInput, match="a camera comes twice"):
        read_release(root, None, ("CAM_FRONT", "CAM_FRONT"), sweeps=False)


@pytest.mark.parametrize("text", [None, "[]", "[\n]\n"])
def test_the_version_for_testing_needs_no_annotations(copy: Path, text: str | None) -> None:
    (copy / VERSION).rename(copy / "v1.0-test")
    table = copy / "v1.0-test" / "sample_annotation.json"
    table.unlink()
    if text is not None:
        table.write_text(text)
        table.with_name("instance.json").write_text(text)
    release = read_release(copy, None, ("CAM_FRONT",), sweeps=True)
    assert len(release.annotations.token) == len(boxes_at(release, slice(None)).frame) == 0
    assert not release.samples.annotations.any()
    assert len(release.frames.token) > 100


def test_the_digest_is_that_of_the_contents(root: Path, copy: Path) -> None:
    assert read_release(copy, None, ("CAM_FRONT",), sweeps=False).digest == of_camera(root).digest
    path = copy / VERSION / "scene.json"
    path.write_bytes(path.read_bytes() + b"\n")
    assert read_release(copy, None, ("CAM_FRONT",), sweeps=False).digest != of_camera(root).digest
