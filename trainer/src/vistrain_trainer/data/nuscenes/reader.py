"""Reading of a nuScenes release from its tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import numpy as np
from blake3 import blake3

from vistrain_trainer.data.beside import beside
from vistrain_trainer.data.nuscenes import records
from vistrain_trainer.data.nuscenes.annotation_table import read_annotations
from vistrain_trainer.data.nuscenes.frame_table import Mounted, read_frames
from vistrain_trainer.data.nuscenes.lookup import Lookup, token_column, wrong_row
from vistrain_trainer.data.nuscenes.release import (
    Annotations,
    Calibrations,
    Frames,
    Instances,
    Release,
    Samples,
    Scene,
)
from vistrain_trainer.data.nuscenes.table_rows import Row, table_rows
from vistrain_trainer.data.nuscenes.version_folder import version_folder
from vistrain_trainer.errors import BadInput

TABLES = (
    "calibrated_sensor",
    "category",
    "ego_pose",
    "instance",
    "log",
    "sample",
    "sample_annotation",
    "sample_data",
    "scene",
    "sensor",
)
"""The tables that are read; attribute, map and visibility add nothing to boxes in pictures."""
LARGE = 64 << 20
"""Bytes of annotations from which a second process, which takes half a second to start, is worth it."""
HASHED = 1 << 20
"""Bytes that are read for the digest at once; a mapped file would count as memory of ours."""
UNANNOTATED = "v1.0-test"
"""The version that comes without boxes, and mostly without their table."""


def read_release(root: Path, version: str | None, cameras: Sequence[str], *, sweeps: bool) -> Release:
    """Read what concerns the cameras asked for.

    Args:
        root: the folder that holds the version's folder.
        version: such as v1.0-trainval; None for the only one that there is.
        cameras: channels, such as CAM_FRONT, in the order of `Release.cameras`; empty for all.
        sweeps: whether frames between keyframes are read too.

    Raises:
        BadInput: a table is missing or wrong, or there is no such version or camera.
    """
    folder = version_folder(root, version)
    with ThreadPoolExecutor(1) as hashing:
        digest = hashing.submit(_digest, folder)
        categories = _read(folder, "category", records.Named)
        instance_rows = _read(folder, "instance", records.Instance)
        scenes = _scene_rows(folder)
        samples, tokens = _samples(folder, scenes)
        table = folder / "sample_annotation.json"
        with beside(
            read_annotations,
            table,
            tokens,
            samples.previous,
            [row.token for row in instance_rows],
            folder.name == UNANNOTATED,
            process=_large(table),
        ) as annotated:
            names, calibrations, mounted = _cameras(folder, cameras)
            frames = read_frames(
                folder, Lookup(folder / "sample.json", tokens), samples.scene, mounted, sweeps=sweeps
            )
            annotations = annotated()
        return Release(
            root=root,
            version=folder.name,
            digest=digest.result(),
            cameras=names,
            categories=tuple(row.name for row in categories),
            scenes=_scenes(folder, scenes, samples, frames, annotations, len(names)),
            samples=_with_annotations(samples, annotations),
            frames=frames,
            calibrations=calibrations,
            annotations=annotations,
            instances=_instances(folder, instance_rows, categories),
        )


def _large(path: Path) -> bool:
    return path.is_file() and path.stat().st_size >= LARGE


def _read(folder: Path, table: str, row: type[Row]) -> list[Row]:
    """A small table as a whole."""
    return [entry for chunk in table_rows(folder / f"{table}.json", row) for entry in chunk]


def _digest(folder: Path) -> str:
    """blake3 of the tables' names and contents. A missing one is told by who reads it."""
    whole = blake3()
    for table in TABLES:
        path = folder / f"{table}.json"
        if path.is_file():
            part = blake3()
            with path.open("rb") as file:
                while block := file.read(HASHED):
                    part.update(block)
            whole.update(f"{table} {part.hexdigest()}\n".encode())
    return whole.hexdigest()


def _scene_rows(folder: Path) -> list[records.Scene]:
    """By name; splits are lists of names."""
    rows = sorted(_read(folder, "scene", records.Scene), key=lambda scene: scene.name)
    for one, other in pairwise(rows):
        if one.name == other.name:
            path = folder / "scene.json"
            raise wrong_row(path, other.token, f"its name {other.name} is that of another scene too")
    return rows


def _samples(folder: Path, scenes: Sequence[records.Scene]) -> tuple[Samples, list[str]]:
    """The samples by scene and time, without their annotations yet; and their tokens."""
    path = folder / "sample.json"
    rows = _read(folder, "sample", records.Sample)
    scene_of = Lookup(folder / "scene.json", [scene.token for scene in scenes]).rows(
        (row.scene_token for row in rows), path, [row.token for row in rows], "scene_token"
    )
    order = np.lexsort((np.array([row.timestamp for row in rows], np.int64), scene_of))
    rows = [rows[at] for at in order]
    tokens = [row.token for row in rows]
    lookup = Lookup(path, tokens)
    later = [row for row in rows if row.prev]
    previous = np.full(len(rows), -1, np.int32)
    has_previous = np.array([bool(row.prev) for row in rows], bool)
    previous[has_previous] = lookup.rows(
        (row.prev for row in later), path, [row.token for row in later], "prev"
    )
    scene, timestamp = scene_of[order], np.array([row.timestamp for row in rows], np.int64)
    first = np.diff(scene, prepend=-1) > 0
    wrong = previous != np.where(first, -1, np.arange(len(rows)) - 1)
    wrong |= ~first & (np.diff(timestamp, prepend=0) <= 0)
    if wrong.any():
        raise wrong_row(
            path, tokens[int(wrong.argmax())], "its prev is not the sample before it in its scene"
        )
    return Samples(
        token=token_column(tokens),
        timestamp=timestamp,
        scene=scene,
        previous=previous,
        annotations=np.zeros(len(rows) + 1, np.int64),
    ), tokens


def _with_annotations(samples: Samples, annotations: Annotations) -> Samples:
    starts = np.searchsorted(annotations.sample, np.arange(len(samples.token) + 1))
    return Samples(samples.token, samples.timestamp, samples.scene, samples.previous, starts.astype(np.int64))


def _cameras(
    folder: Path, asked: Sequence[str]
) -> tuple[tuple[str, ...], Calibrations, Mapping[str, Mounted]]:
    sensors = _read(folder, "sensor", records.Sensor)
    known = [sensor.channel for sensor in sensors if sensor.modality == "camera"]
    names = tuple(asked) or tuple(known)
    for name in names:
        if name not in known:
            raise BadInput(
                field="--cameras",
                value=name,
                problem=f"{folder / 'sensor.json'} has no such camera",
                remedy=f"Choose from {', '.join(known)}, or say all",
            )
    if len(set(names)) != len(names):
        raise BadInput(
            field="--cameras", value=",".join(names), problem="a camera comes twice", remedy="Name each once"
        )
    place = {sensor.token: names.index(sensor.channel) for sensor in sensors if sensor.channel in names}
    rows = [
        row
        for row in _read(folder, "calibrated_sensor", records.CalibratedSensor)
        if row.sensor_token in place
    ]
    path = folder / "calibrated_sensor.json"
    for row in rows:
        if [len(line) for line in row.camera_intrinsic] != [3, 3, 3]:
            raise wrong_row(path, row.token, "its camera_intrinsic is no 3×3 matrix")
        if row.camera_intrinsic[2] != [0, 0, 1]:
            raise wrong_row(path, row.token, "the third row of its camera_intrinsic is not 0, 0, 1")
        if row.camera_intrinsic[0][0] <= 0 or row.camera_intrinsic[1][1] <= 0:
            raise wrong_row(path, row.token, "a focal length in its camera_intrinsic is not above 0 pixels")
        if not any(row.rotation):
            raise wrong_row(path, row.token, f"its rotation {list(row.rotation)} is no rotation")
    Lookup(path, [row.token for row in rows])  # none comes twice
    calibrations = Calibrations(
        translation=np.array([row.translation for row in rows], np.float64).reshape(-1, 3),
        rotation=np.array([row.rotation for row in rows], np.float64).reshape(-1, 4),
        intrinsic=np.array([row.camera_intrinsic for row in rows], np.float64).reshape(-1, 3, 3),
    )
    mounted = {row.token: Mounted(place[row.sensor_token], number) for number, row in enumerate(rows)}
    return names, calibrations, mounted


def _scenes(
    folder: Path,
    rows: Sequence[records.Scene],
    samples: Samples,
    frames: Frames,
    annotations: Annotations,
    cameras: int,
) -> tuple[Scene, ...]:
    logs = _read(folder, "log", records.Log)
    log_of = Lookup(folder / "log.json", [log.token for log in logs]).rows(
        (row.log_token for row in rows), folder / "scene.json", [row.token for row in rows], "log_token"
    )
    first_sample = np.searchsorted(samples.scene, np.arange(len(rows) + 1))
    first_annotation = np.searchsorted(annotations.sample, first_sample)
    sequence = samples.scene[frames.sample].astype(np.int64) * cameras + frames.camera
    first_frame = np.searchsorted(sequence, np.arange(len(rows) * cameras + 1))
    return tuple(
        Scene(
            token=row.token,
            name=row.name,
            description=row.description,
            location=logs[log_of[number]].location,
            samples=slice(int(first_sample[number]), int(first_sample[number + 1])),
            annotations=slice(int(first_annotation[number]), int(first_annotation[number + 1])),
            frames=tuple(
                slice(int(first_frame[at]), int(first_frame[at + 1]))
                for at in range(number * cameras, (number + 1) * cameras)
            ),
        )
        for number, row in enumerate(rows)
    )


def _instances(
    folder: Path, rows: Sequence[records.Instance], categories: Sequence[records.Named]
) -> Instances:
    tokens = [row.token for row in rows]
    category = Lookup(folder / "category.json", [row.token for row in categories]).rows(
        (row.category_token for row in rows), folder / "instance.json", tokens, "category_token"
    )
    return Instances(token=token_column(tokens), category=category.astype(np.int16))
