"""The pictures of a release's cameras with the vehicle's pose at their time, read into columns.

Of millions of rows some thousands are wanted. Each chunk's are copied into arrays at once: a row that is kept
as an object would keep the memory of its neighbours too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from vistrain_trainer.data.nuscenes.columns import Columns
from vistrain_trainer.data.nuscenes.lookup import Lookup, comes_twice, require_once, token_column, wrong_row
from vistrain_trainer.data.nuscenes.records import EgoPose, Rotation, SampleData, Vector
from vistrain_trainer.data.nuscenes.release import Frames
from vistrain_trainer.data.nuscenes.table_rows import table_rows

_ROTATIONS = msgspec.json.Decoder(Rotation)
_TRANSLATIONS = msgspec.json.Decoder(Vector)


@dataclass(frozen=True)
class Mounted:
    """A camera as calibrated."""

    camera: int
    """Row of `Release.cameras`."""
    calibration: int
    """Row of `Release.calibrations`."""


def read_frames(
    folder: Path, samples: Lookup, scene_of: np.ndarray, mounted: Mapping[str, Mounted], *, sweeps: bool
) -> Frames:
    """Read sample_data and ego_pose of the cameras asked for, sorted by scene, camera and time.

    Args:
        samples: rows of the samples by token.
        scene_of: (n,) their scenes.
        mounted: the calibrations of those cameras, by the token of their calibrated_sensor.
        sweeps: whether frames between keyframes are read too.

    Raises:
        BadInput: a row leads nowhere, comes twice, or lacks a picture's size; names file and token.
    """
    path = folder / "sample_data.json"
    columns = Columns()
    columns.add(_chunk(path, [], samples, mounted))
    for chunk in table_rows(path, SampleData):
        rows = [
            row for row in chunk if row.calibrated_sensor_token in mounted and (sweeps or row.is_key_frame)
        ]
        columns.add(_chunk(path, rows, samples, mounted))
    sample, camera, timestamp = (columns.take(name) for name in ("sample", "camera", "timestamp"))
    order = np.lexsort((timestamp, camera, scene_of[sample]))
    token = columns.take("token", order)
    require_once(path, token)
    translation, rotation = _poses(folder / "ego_pose.json", path, token, columns.take("ego_pose", order))
    return Frames(
        token=token,
        sample=sample[order],
        camera=camera[order],
        timestamp=timestamp[order],
        ego_translation=translation,
        ego_rotation=rotation,
        **{name: columns.take(name, order) for name in columns.names()},
    )


def _chunk(
    path: Path, rows: Sequence[SampleData], samples: Lookup, mounted: Mapping[str, Mounted]
) -> dict[str, np.ndarray]:
    for row in rows:
        if not row.width or not row.height or row.width < 0 or row.height < 0:
            raise wrong_row(path, row.token, f"its picture of {row.width}×{row.height} pixels has no area")
    tokens = [row.token for row in rows]
    places = [mounted[row.calibrated_sensor_token] for row in rows]
    return {
        "token": token_column(tokens),
        "sample": samples.rows((row.sample_token for row in rows), path, tokens, "sample_token"),
        "camera": np.array([place.camera for place in places], np.int8),
        "timestamp": np.array([row.timestamp for row in rows], np.int64),
        "keyframe": np.array([row.is_key_frame for row in rows], bool),
        "file_name": np.array([row.filename.encode() for row in rows], np.bytes_),
        "size": np.array([(row.width, row.height) for row in rows], np.int32).reshape(-1, 2),
        "calibration": np.array([place.calibration for place in places], np.int32),
        "ego_pose": token_column([row.ego_pose_token for row in rows]),
    }


def _poses(path: Path, holder: Path, frames: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(n, 3) and (n, 4): the poses whose tokens are wanted, in that order; `frames` are who wants them."""
    tokens, place = np.unique(wanted, return_inverse=True)
    rows = {token.decode(): number for number, token in enumerate(tokens)}
    translation, rotation = np.zeros((len(tokens), 3)), np.zeros((len(tokens), 4))
    seen = np.zeros(len(tokens), bool)
    for chunk in table_rows(path, EgoPose):
        found = [pose for pose in chunk if pose.token in rows]
        if not found:
            continue
        at = np.array([rows[pose.token] for pose in found])
        Lookup(path, [pose.token for pose in found])  # none comes twice in the chunk
        if seen[at].any():
            raise comes_twice(path, found[int(seen[at].argmax())].token)
        seen[at] = True
        translation[at] = _numbers(path, found, "translation", _TRANSLATIONS).reshape(-1, 3)
        rotation[at] = _numbers(path, found, "rotation", _ROTATIONS).reshape(-1, 4)
        still = (rotation[at] == 0).all(axis=1)
        if still.any():
            raise wrong_row(path, found[int(still.argmax())].token, "its rotation is no rotation")
    if not seen[place].all():
        missing = int((~seen[place]).argmax())
        token = frames[missing].decode()
        raise wrong_row(
            holder, token, f"its ego_pose_token {wanted[missing].decode()!r} is not in {path.name}"
        )
    return translation[place], rotation[place]


def _numbers(
    path: Path, poses: Sequence[EgoPose], field: str, decoder: msgspec.json.Decoder[Any]
) -> np.ndarray:
    """(n × width,) float64."""
    values = []
    for pose in poses:
        try:
            values.append(decoder.decode(getattr(pose, field)))
        except msgspec.MsgspecError as error:
            raise wrong_row(path, pose.token, f"its {field} is no vector: {error}") from None
    return np.fromiter(chain.from_iterable(values), np.float64)
