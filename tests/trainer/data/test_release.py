"""A synthetic release as the nuScenes devkit sees it: every table loads, every link holds."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from nuscenes.nuscenes import NuScenes

from vistrain_trainer.data.nuscenes.splits import official
from vistrain_trainer.data.world.cameras import RIG
from vistrain_trainer.data.world.categories import CATEGORIES
from vistrain_trainer.data.world.release import ReleaseOptions, write_release
from vistrain_trainer.data.world.timing import OFFSETS

OPTIONS = ReleaseOptions(
    version="v1.0-mini",
    scenes=4,
    samples=12,
    cameras=tuple(RIG),
    height=900,
    width=1600,
    seed=0,
    pictures="none",
    dropped_sweeps=0.05,
    dropped_keyframes=0.1,
    dropped_annotations=0.05,
)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("release") / "nuscenes"
    write_release(OPTIONS, folder)
    return folder


@pytest.fixture(scope="module")
def nusc(root: Path) -> NuScenes:
    return NuScenes("v1.0-mini", str(root), verbose=False)


def chain(nusc: NuScenes, table: str, token: str) -> list[dict]:
    """A record and all that follow it, each linked both ways."""
    records = [nusc.get(table, token)]
    assert records[0]["prev"] == ""
    while records[-1]["next"]:
        records.append(nusc.get(table, records[-1]["next"]))
        assert records[-1]["prev"] == records[-2]["token"]
    return records


def test_scenes_bear_official_names_of_both_splits(nusc: NuScenes) -> None:
    names = [scene["name"] for scene in nusc.scene]
    lists = official("v1.0-mini")
    assert len(names) == len(set(names)) == 4
    assert [sum(name in lists[split] for name in names) for split in lists] == [3, 1]


def test_the_taxonomy_is_nuscenes_own(nusc: NuScenes) -> None:
    assert [category["name"] for category in nusc.category] == list(CATEGORIES)
    assert set(CATEGORIES) <= set(nusc.colormap)
    assert [(row["token"], row["level"]) for row in nusc.visibility] == [
        ("1", "v0-40"),
        ("2", "v40-60"),
        ("3", "v60-80"),
        ("4", "v80-100"),
    ]
    assert len(nusc.attribute) == 8
    assert len(nusc.sensor) == 12


def test_samples_are_chained_and_some_are_left_out(nusc: NuScenes) -> None:
    steps = []
    for scene in nusc.scene:
        samples = chain(nusc, "sample", scene["first_sample_token"])
        assert len(samples) == scene["nbr_samples"]
        assert samples[-1]["token"] == scene["last_sample_token"]
        assert {sample["scene_token"] for sample in samples} == {scene["token"]}
        assert all(set(sample["data"]) == {row["channel"] for row in nusc.sensor} for sample in samples)
        steps += [b["timestamp"] - a["timestamp"] for a, b in pairwise(samples)]
    assert 0.34e6 < min(steps) <= max(steps) < 1.11e6
    assert sum(step > 0.7e6 for step in steps) == 4 * 12 - len(nusc.sample) > 0


def test_every_sensor_is_chained_at_its_own_rate(nusc: NuScenes) -> None:
    rates = {"camera": 12, "lidar": 20, "radar": 13}
    for first in (row for row in nusc.sample_data if not row["prev"]):
        rows = chain(nusc, "sample_data", first["token"])
        assert len({row["channel"] for row in rows}) == 1
        times = np.array([row["timestamp"] for row in rows])
        assert (np.diff(times) > 0).all()
        assert 1e6 * (len(times) - 1) / (times[-1] - times[0]) == pytest.approx(
            rates[first["sensor_modality"]], rel=0.12
        )
        folder = "samples" if first["is_key_frame"] else "sweeps"
        log = nusc.get(
            "log", nusc.get("scene", nusc.get("sample", first["sample_token"])["scene_token"])["log_token"]
        )
        suffix = {"camera": "jpg", "lidar": "pcd.bin", "radar": "pcd"}[first["sensor_modality"]]
        name = f"{log['logfile']}__{first['channel']}__{first['timestamp']}.{suffix}"
        assert first["filename"] == f"{folder}/{first['channel']}/{name}"
    assert sum(not row["prev"] for row in nusc.sample_data) == 4 * 12


def test_sweeps_belong_to_the_sample_that_follows(nusc: NuScenes) -> None:
    position = {}
    for scene in nusc.scene:
        for number, sample in enumerate(chain(nusc, "sample", scene["first_sample_token"])):
            position[sample["token"]] = number
    for first in (row for row in nusc.sample_data if not row["prev"]):
        rows = chain(nusc, "sample_data", first["token"])
        keys = [number for number, row in enumerate(rows) if row["is_key_frame"]]
        assert [position[rows[number]["sample_token"]] for number in keys] == list(range(len(keys)))
        for number, row in enumerate(rows):
            later = [key for key in keys if key >= number]
            assert row["sample_token"] == rows[later[0] if later else keys[-1]]["sample_token"]


def test_cameras_alternate_and_fire_beside_the_lidar(nusc: NuScenes) -> None:
    steps = []
    for channel, offset in OFFSETS.items():
        for sample in nusc.sample:
            row = nusc.get("sample_data", sample["data"][channel])
            assert row["timestamp"] - sample["timestamp"] == pytest.approx(offset, abs=2_800)
            assert nusc.get("sample_data", sample["data"]["LIDAR_TOP"])["timestamp"] == sample["timestamp"]
            if row["next"]:
                steps.append(nusc.get("sample_data", row["next"])["timestamp"] - row["timestamp"])
    rounded = np.round(np.array(steps) / 50_000)
    assert np.abs(np.array(steps) - rounded * 50_000).max() < 2_100
    assert {1, 2, 3} <= set(rounded)  # 3: a picture is missing


def test_instances_are_chained_and_some_vanish_for_a_while(nusc: NuScenes) -> None:
    order = {sample["token"]: number for number, sample in enumerate(nusc.sample)}
    vanished = 0
    for instance in nusc.instance:
        boxes = chain(nusc, "sample_annotation", instance["first_annotation_token"])
        assert len(boxes) == instance["nbr_annotations"]
        assert boxes[-1]["token"] == instance["last_annotation_token"]
        assert {box["instance_token"] for box in boxes} == {instance["token"]}
        steps = np.diff([order[box["sample_token"]] for box in boxes])
        assert (steps > 0).all()
        vanished += int((steps > 1).sum())
    assert vanished > 5
    assert sum(instance["nbr_annotations"] for instance in nusc.instance) == len(nusc.sample_annotation)


def test_boxes_lie_around_the_vehicle_and_are_turned_every_way(nusc: NuScenes) -> None:
    boxes = [nusc.get_box(row["token"]) for row in nusc.sample_annotation]
    for box, row in zip(boxes, nusc.sample_annotation, strict=True):
        data = nusc.get("sample", row["sample_token"])["data"]["LIDAR_TOP"]
        ego = nusc.get("ego_pose", nusc.get("sample_data", data)["ego_pose_token"])
        assert np.linalg.norm(np.array(ego["translation"])[:2] - box.center[:2]) < 80.1
        assert box.wlh.min() > 0
        assert box.center[2] == pytest.approx(box.wlh[2] / 2, abs=0.02)
    tilts = np.array([box.rotation_matrix[2, :2] for box in boxes])
    assert (np.abs(tilts).max(axis=0) > 0.03).all()
    assert np.linalg.norm(tilts, axis=1).max() < 0.08
    speeds = np.array([nusc.box_velocity(row["token"]) for row in nusc.sample_annotation])
    assert np.isnan(speeds[:, 0]).mean() < 0.05
    assert 3 < np.nanmax(np.linalg.norm(speeds, axis=1)) < 14


def test_every_camera_sees_boxes_between_the_samples_too(nusc: NuScenes) -> None:
    seen = dict.fromkeys(RIG, 0)
    for row in nusc.sample_data[::7]:
        if row["sensor_modality"] == "camera":
            path, boxes, intrinsic = nusc.get_sample_data(row["token"])
            assert path.endswith(row["filename"])
            assert intrinsic.shape == (3, 3)
            seen[row["channel"]] += len(boxes)
    assert min(seen.values()) > 0


def test_the_vehicle_drives_where_the_map_is_white(nusc: NuScenes) -> None:
    for scene in nusc.scene:
        mask = nusc.get("map", nusc.get("log", scene["log_token"])["map_token"])["mask"]
        for sample in chain(nusc, "sample", scene["first_sample_token"])[::5]:
            data = nusc.get("sample_data", sample["data"]["CAM_FRONT"])
            x, y, _ = nusc.get("ego_pose", data["ego_pose_token"])["translation"]
            assert mask.is_on_mask(x, y).all()
