"""A nuScenes release small enough to be reckoned by hand, and pictures for one of any size."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import simplejpeg

START = 1_532_402_927_000_000
STEPS = (0, 83_333, 166_667, 250_000, 333_333, 416_667, 500_000)
"""Times of the pictures of a scene, in microseconds since its start; the first and the last are keyframes."""
WIDTH, HEIGHT = 100, 80
NO_TURN = [1.0, 0.0, 0.0, 0.0]


def write_release(
    root: Path,
    *,
    scenes: tuple[str, ...] = ("scene-0001", "scene-0002", "scene-0003"),
    cameras: tuple[str, ...] = ("CAM_FRONT",),
    version: str = "v1.0-trainval",
    description: str = "Night, after rain, parked cars",
) -> Path:
    """Write the tables, and give their folder.

    Every camera looks along z of the global frame with a focal length of 100 pixels. In each scene a car
    moves by a metre to the right between its two samples, and is seen less in the second; a pedestrian
    stands still; a bus is in the second sample only; a barrier belongs to no class of the presets; and a
    bicycle is behind the camera.
    """
    folder = root / version
    folder.mkdir(parents=True)
    tables: dict[str, list[dict[str, Any]]] = {
        name: [] for name in ("scene", "sample", "sample_data", "ego_pose", "sample_annotation", "instance")
    }
    kinds = {
        "car": "vehicle.car",
        "pedestrian": "human.pedestrian.adult",
        "bus": "vehicle.bus.rigid",
        "barrier": "movable_object.barrier",
        "bicycle": "vehicle.bicycle",
    }
    for number, name in enumerate(scenes):
        _add_scene(tables, number, name, cameras, description)
    for name, rows in {
        **tables,
        "category": [{"token": kind, "name": category} for kind, category in kinds.items()],
        "log": [{"token": "log", "location": "nowhere"}],
        "sensor": [{"token": name, "channel": name, "modality": "camera"} for name in cameras],
        "calibrated_sensor": [
            {
                "token": f"calibrated-{name}",
                "sensor_token": name,
                "translation": [0, 0, 0],
                "rotation": NO_TURN,
                "camera_intrinsic": [[100, 0, 50], [0, 100, 40], [0, 0, 1]],
            }
            for name in cameras
        ],
    }.items():
        (folder / f"{name}.json").write_text(json.dumps(rows))
    return folder


def write_pictures(root: Path, version: str = "v1.0-trainval") -> list[Path]:
    """Write a grey picture of the right size under the name of each row of sample_data."""
    written = []
    for row in json.loads((root / version / "sample_data.json").read_text()):
        if not row["filename"].endswith(".jpg"):
            continue
        path = root / row["filename"]
        path.parent.mkdir(parents=True, exist_ok=True)
        grey = np.full((row["height"], row["width"], 3), 90, np.uint8)
        path.write_bytes(simplejpeg.encode_jpeg(grey) + row["token"].encode())
        written.append(path)
    return written


def _add_scene(
    tables: dict[str, list[dict[str, Any]]],
    number: int,
    name: str,
    cameras: tuple[str, ...],
    description: str,
) -> None:
    start = START + number * 60_000_000
    scene = f"scene-token-{number}"
    samples = [f"sample-{number}-0", f"sample-{number}-1"]
    tables["scene"].append({"token": scene, "name": name, "log_token": "log", "description": description})
    for at, (token, previous) in enumerate(zip(samples, ("", samples[0]), strict=True)):
        row = {"token": token, "timestamp": start + at * STEPS[-1], "scene_token": scene, "prev": previous}
        tables["sample"].append(row)
    for camera in cameras:
        for at, step in enumerate(STEPS):
            token = f"data-{number}-{camera}-{at}"
            folder = "samples" if step in (STEPS[0], STEPS[-1]) else "sweeps"
            tables["ego_pose"].append({"token": token, "translation": [0, 0, 0], "rotation": NO_TURN})
            tables["sample_data"].append(
                {
                    "token": token,
                    "sample_token": samples[0 if step == 0 else 1],
                    "ego_pose_token": token,
                    "calibrated_sensor_token": f"calibrated-{camera}",
                    "timestamp": start + step,
                    "is_key_frame": folder == "samples",
                    "filename": f"{folder}/{camera}/drive{number}__{camera}__{start + step}.jpg",
                    "width": WIDTH,
                    "height": HEIGHT,
                }
            )
    objects = (
        ("barrier", ([0, 0, 20], [0, 0, 20]), ("4", "4")),
        ("car", ([0, 0, 10], [1, 0, 10]), ("4", "2")),
        ("bicycle", ([0, 0, -10], [0, 0, -10]), ("1", "1")),
        ("bus", (None, [0, 0, 25]), ("", "3")),
        ("pedestrian", ([-2, 0, 9], [-2, 0, 9]), ("3", "3")),
    )
    for kind, places, visibility in objects:
        # Tokens whose order is not that of the rows: the pedestrian's comes first.
        instance = f"{'a' if kind == 'pedestrian' else 'b'}-{number}-{kind}"
        tables["instance"].append({"token": instance, "category_token": kind})
        for at, place in enumerate(places):
            if place is not None:
                tables["sample_annotation"].append(
                    {
                        "token": f"box-{number}-{kind}-{at}",
                        "sample_token": samples[at],
                        "instance_token": instance,
                        "visibility_token": visibility[at],
                        "translation": place,
                        "size": [2, 2, 2],
                        "rotation": NO_TURN,
                        "num_lidar_pts": 5,
                        "num_radar_pts": 0,
                    }
                )
