"""MOT sequences of a release: bytes that are reckoned by hand, boxes as the devkit interpolates them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from nuscenes.eval.detection.utils import category_to_detection_name
from nuscenes.nuscenes import NuScenes
from nuscenes.scripts.export_2d_annotations_as_json import post_process_coords
from nuscenes.utils.geometry_utils import view_points
from pyquaternion import Quaternion

from support.nuscenes_release import START, STEPS, write_pictures, write_release
from vistrain_trainer.data.classes import PRESETS
from vistrain_trainer.data.nuscenes.options import PrepareOptions
from vistrain_trainer.data.nuscenes.prepare import prepare_nuscenes
from vistrain_trainer.errors import BadInput

TRACKING = PRESETS["nuscenes-tracking"]
PEDESTRIAN = "12.5,27.5,27.5,25.0,1,4,0.7,-1"
GT = f"""\
1,1,{PEDESTRIAN}
1,2,38.889,28.889,22.222,22.222,1,0,0.9,-1
2,1,{PEDESTRIAN}
2,2,40.741,28.889,22.222,22.222,1,0,0.5,-1
3,1,{PEDESTRIAN}
3,2,42.593,28.889,22.222,22.222,1,0,0.5,-1
4,1,{PEDESTRIAN}
4,2,44.444,28.889,22.222,22.222,1,0,0.5,-1
5,1,{PEDESTRIAN}
5,2,46.296,28.889,22.222,22.222,1,0,0.5,-1
6,1,{PEDESTRIAN}
6,2,48.148,28.889,22.222,22.222,1,0,0.5,-1
7,1,{PEDESTRIAN}
7,2,50.0,28.889,22.222,22.222,1,0,0.5,-1
7,3,45.833,35.833,8.333,8.333,1,2,0.7,-1
"""


def prepare(root: Path, out: Path, **options: Any) -> dict[str, Any]:
    """Make the sequences, and give the manifest."""
    prepare_nuscenes(PrepareOptions(root=root, formats=("mot",), **options), out)
    manifest: dict[str, Any] = json.loads((out / "mot" / "manifest.json").read_text())
    return manifest


def test_the_files_of_a_sequence_are_exact_to_the_byte(tmp_path: Path) -> None:
    write_release(tmp_path / "raw")
    prepare(tmp_path / "raw", tmp_path / "out")
    folder = tmp_path / "out" / "mot"
    sequence = folder / "train" / "scene-0001_CAM_FRONT"
    contents = {
        path.relative_to(sequence).as_posix(): path.read_bytes().decode()
        for path in sequence.rglob("*")
        if path.is_file()
    }
    frames = "".join(
        f"{at + 1},data-0-CAM_FRONT-{at},{START + step},{at in (0, 6):d}\n" for at, step in enumerate(STEPS)
    )
    assert contents == {
        "gt/gt.txt": GT,
        "seqinfo.ini": "[Sequence]\nname=scene-0001_CAM_FRONT\nimDir=img1\nframeRate=12\nseqLength=7\n"
        "imWidth=100\nimHeight=80\nimExt=.jpg\n",
        "frames.csv": "frame,sample_data_token,timestamp,keyframe\n" + frames,
        "tracks.csv": "id,instance_token\n1,a-0-pedestrian\n2,b-0-car\n3,b-0-bus\n",
    }
    maps = folder / "seqmaps"
    assert (maps / "train.txt").read_bytes() == b"name\nscene-0001_CAM_FRONT\nscene-0002_CAM_FRONT\n"
    assert (maps / "val.txt").read_bytes() == b"name\nscene-0003_CAM_FRONT\n"
    assert (folder / "gaps.csv").read_bytes() == b"split,sequence,frame,seconds\n"


def test_two_pictures_a_second_are_the_keyframes(tmp_path: Path) -> None:
    write_release(tmp_path / "raw")
    manifest = prepare(tmp_path / "raw", tmp_path / "out", fps=2)
    sequence = tmp_path / "out" / "mot" / "train" / "scene-0001_CAM_FRONT"
    assert (sequence / "gt" / "gt.txt").read_text().splitlines() == [
        f"1,1,{PEDESTRIAN}",
        "1,2,38.889,28.889,22.222,22.222,1,0,0.9,-1",
        f"2,1,{PEDESTRIAN}",
        "2,2,50.0,28.889,22.222,22.222,1,0,0.5,-1",
        "2,3,45.833,35.833,8.333,8.333,1,2,0.7,-1",
    ]
    assert "frameRate=2\nseqLength=2\n" in (sequence / "seqinfo.ini").read_text()
    assert (manifest["fps"], manifest["frameInterval"], "sweeps" in manifest) == (2, 0.5, False)


def test_the_manifest_tells_sequences_tracks_and_shares(tmp_path: Path) -> None:
    write_release(tmp_path / "raw", cameras=("CAM_FRONT", "CAM_BACK"))
    manifest = prepare(tmp_path / "raw", tmp_path / "out", cameras=())
    counts = manifest["splits"]["train"]["counts"]
    assert (counts["sequences"], counts["tracks"]) == (4, 12)
    assert (counts["keyFrames"], counts["interpolatedFrames"]) == (8, 20)
    assert (manifest["fps"], manifest["frameInterval"]) == (12, 0.083333)
    assert manifest["cameras"] == ["CAM_FRONT", "CAM_BACK"]


def boxes_of_devkit(nusc: NuScenes, token: str) -> dict[str, tuple[str, tuple[float, ...]]]:
    """Class and corners by instance, of the instances that both samples have."""
    path, _, intrinsic = nusc.get_sample_data(token)
    del path
    row = nusc.get("sample_data", token)
    sample = nusc.get("sample", row["sample_token"])
    known = {nusc.get("sample_annotation", each)["instance_token"] for each in sample["anns"]}
    if not row["is_key_frame"]:
        earlier = nusc.get("sample", sample["prev"])["anns"] if sample["prev"] else []
        known &= {nusc.get("sample_annotation", each)["instance_token"] for each in earlier}
    found = {}
    for box in nusc.get_boxes(token):
        annotation = nusc.get("sample_annotation", box.token)
        if annotation["instance_token"] not in known:
            continue
        for table, key in (("ego_pose", "ego_pose_token"), ("calibrated_sensor", "calibrated_sensor_token")):
            frame = nusc.get(table, row[key])
            box.translate(-np.array(frame["translation"]))
            box.rotate(Quaternion(frame["rotation"]).inverse)
        corners = box.corners()
        corners = view_points(corners[:, corners[2] > 0], intrinsic, True).T[:, :2]
        hull = post_process_coords(corners.tolist()) if len(corners) else None
        name = category_to_detection_name(annotation["category_name"])
        if hull is not None and name in TRACKING and hull[2] - hull[0] >= 1 and hull[3] - hull[1] >= 1:
            found[annotation["instance_token"]] = (name, hull)
    return found


def test_boxes_between_keyframes_are_those_of_the_devkits_get_boxes(
    root: Path, tmp_path: Path, devkit: NuScenes
) -> None:
    manifest = prepare(root, tmp_path, cameras=("CAM_FRONT",))
    compared = between = 0
    for split, record in manifest["splits"].items():
        for scene in record["scenes"]:
            folder = tmp_path / "mot" / split / f"{scene['name']}_CAM_FRONT"
            tracks = dict(line.split(",") for line in (folder / "tracks.csv").read_text().splitlines()[1:])
            rows = [line.split(",") for line in (folder / "gt" / "gt.txt").read_text().splitlines()]
            for line in (folder / "frames.csv").read_text().splitlines()[1:]:
                frame, token, _, key = line.split(",")
                expected = boxes_of_devkit(devkit, token)
                here = {tracks[row[1]]: row for row in rows if row[0] == frame}
                assert here.keys() == expected.keys()
                for instance, (name, (left, top, right, bottom)) in expected.items():
                    box = [float(value) for value in here[instance][2:6]]
                    assert box == pytest.approx((left, top, right - left, bottom - top), abs=6e-4)
                    assert TRACKING[int(here[instance][7])] == name
                compared += len(expected)
                between += len(expected) * (key == "0")
    assert compared > between > 300


def test_track_ids_count_by_first_appearance(root: Path, tmp_path: Path) -> None:
    prepare(root, tmp_path, cameras=("CAM_BACK",))
    seen = 0
    for path in (tmp_path / "mot").glob("*/*/gt/gt.txt"):
        lines = [line.split(",") for line in path.read_text().splitlines()]
        frame, track = np.array([[int(cell) for cell in line[:2]] for line in lines]).T
        assert np.array_equal(np.lexsort((track, frame)), np.arange(len(lines)))
        ids, first = np.unique(track, return_index=True)
        assert ids.tolist() == list(range(1, len(ids) + 1))
        assert (np.diff(frame[first]) >= 0).all()
        lines = [line.split(",") for line in (path.parents[1] / "tracks.csv").read_text().splitlines()]
        tokens = [line[1] for line in lines[1:]]
        order = list(zip(frame[first].tolist(), tokens, strict=True))
        assert order == sorted(order)
        seen += len(ids)
    assert seen > 10


def test_gaps_are_listed_and_sequences_off_the_rate_named(tmp_path: Path) -> None:
    folder = write_release(tmp_path / "raw")
    rows = json.loads((folder / "sample_data.json").read_text())
    # The third picture of the first scene is lost.
    (folder / "sample_data.json").write_text(
        json.dumps([row for row in rows if row["token"] != "data-0-CAM_FRONT-2"])
    )
    manifest = prepare(tmp_path / "raw", tmp_path / "out")
    assert (tmp_path / "out" / "mot" / "gaps.csv").read_text() == (
        "split,sequence,frame,seconds\ntrain,scene-0001_CAM_FRONT,3,0.166667\n"
    )
    assert (
        "1 sequences are off 12 ± 0.6 pictures a second: train/scene-0001_CAM_FRONT has 10.00"
        in manifest["notes"]
    )
    assert "1 of 17 steps from picture to picture are over 150 ms; gaps.csv lists them" in manifest["notes"]
    assert manifest["frameInterval"] == round(3 * 0.5 / 17, 6)


def test_a_rate_that_is_not_the_datas_is_refused(tmp_path: Path) -> None:
    folder = write_release(tmp_path / "raw")
    rows = json.loads((folder / "sample_data.json").read_text())
    (folder / "sample_data.json").write_text(json.dumps([row for row in rows if row["is_key_frame"]]))
    with pytest.raises(BadInput, match=r"--fps: 12: the pictures come 2\.00 times a second"):
        prepare(tmp_path / "raw", tmp_path / "out")
    assert not (tmp_path / "out" / "mot").exists()


def test_a_camera_that_took_nothing_is_told(tmp_path: Path) -> None:
    folder = write_release(tmp_path / "raw", cameras=("CAM_FRONT", "CAM_BACK"))
    rows = json.loads((folder / "sample_data.json").read_text())
    kept = [row for row in rows if "CAM_BACK" not in row["token"] or row["token"].startswith("data-1")]
    (folder / "sample_data.json").write_text(json.dumps(kept))
    manifest = prepare(tmp_path / "raw", tmp_path / "out", cameras=())
    assert (tmp_path / "out" / "mot" / "seqmaps" / "val.txt").read_text() == "name\nscene-0003_CAM_FRONT\n"
    assert manifest["splits"]["train"]["counts"]["sequences"] == 3
    assert (
        "2 sequences have no picture: train/scene-0001_CAM_BACK, val/scene-0003_CAM_BACK" in manifest["notes"]
    )
    kept = [row for row in rows if "CAM_BACK" not in row["token"]]
    (folder / "sample_data.json").write_text(json.dumps(kept))
    with pytest.raises(BadInput, match="--cameras: CAM_BACK: the release has no picture of it"):
        prepare(tmp_path / "raw", tmp_path / "other", cameras=())


def test_two_pictures_of_one_time_are_refused(tmp_path: Path) -> None:
    folder = write_release(tmp_path / "raw")
    rows = json.loads((folder / "sample_data.json").read_text())
    rows[3]["timestamp"] = rows[2]["timestamp"]
    (folder / "sample_data.json").write_text(json.dumps(rows))
    with pytest.raises(BadInput, match=f"{START + STEPS[2]}: two pictures of scene-0001_CAM_FRONT have this"):
        prepare(tmp_path / "raw", tmp_path / "out")


def test_pictures_of_two_sizes_in_a_sequence_are_refused_with_the_token(tmp_path: Path) -> None:
    folder = write_release(tmp_path / "raw")
    rows = json.loads((folder / "sample_data.json").read_text())
    rows[3]["width"] = 120
    (folder / "sample_data.json").write_text(json.dumps(rows))
    with pytest.raises(BadInput, match="data-0-CAM_FRONT-3: its picture is of another size"):
        prepare(tmp_path / "raw", tmp_path / "out")


def test_pictures_are_numbered_as_the_frames_are(tmp_path: Path) -> None:
    write_release(tmp_path / "raw")
    write_pictures(tmp_path / "raw")
    manifest = prepare(tmp_path / "raw", tmp_path / "out", pictures="copy")
    sequence = tmp_path / "out" / "mot" / "val" / "scene-0003_CAM_FRONT"
    pictures = sorted((sequence / "img1").iterdir())
    assert [path.name for path in pictures] == [f"{frame:06d}.jpg" for frame in range(1, 8)]
    lines = (sequence / "frames.csv").read_text().splitlines()[1:]
    for path, line in zip(pictures, lines, strict=True):
        assert path.read_bytes().endswith(line.split(",")[1].encode())
    assert manifest["pictures"] == {"mode": "copy", "root": "."}
