"""The rows of nuScenes' thirteen tables, and files of them that grow row by row."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import msgspec

Row = msgspec.Struct
Numbers = list[float]


class Category(Row):
    """A kind of objects."""

    token: str
    name: str
    description: str


class Attribute(Row):
    """What an object does at a sample."""

    token: str
    name: str
    description: str


class Visibility(Row):
    """A bin of the share of an object that all cameras together see."""

    description: str
    token: str
    level: str


class Instance(Row):
    """An object through a scene."""

    token: str
    category_token: str
    nbr_annotations: int
    first_annotation_token: str
    last_annotation_token: str


class Sensor(Row):
    """A place for a sensor on a car."""

    token: str
    channel: str
    modality: str


class CalibratedSensor(Row):
    """A sensor as mounted and calibrated for a scene."""

    token: str
    sensor_token: str
    translation: Numbers
    rotation: Numbers
    camera_intrinsic: list[Numbers]


class EgoPose(Row):
    """The vehicle at the time of one sample_data."""

    token: str
    timestamp: int
    rotation: Numbers
    translation: Numbers


class Log(Row):
    """A drive that scenes are cut of."""

    token: str
    logfile: str
    vehicle: str
    date_captured: str
    location: str


class Scene(Row):
    """About twenty seconds of a log."""

    token: str
    log_token: str
    nbr_samples: int
    first_sample_token: str
    last_sample_token: str
    name: str
    description: str


class Sample(Row):
    """An annotated moment."""

    token: str
    timestamp: int
    prev: str
    next: str
    scene_token: str


class SampleData(Row):
    """What a sensor took at one time."""

    token: str
    sample_token: str
    ego_pose_token: str
    calibrated_sensor_token: str
    timestamp: int
    fileformat: str
    is_key_frame: bool
    height: int
    width: int
    filename: str
    prev: str
    next: str


class SampleAnnotation(Row):
    """An object's box at a sample."""

    token: str
    sample_token: str
    instance_token: str
    visibility_token: str
    attribute_tokens: list[str]
    translation: Numbers
    size: Numbers
    rotation: Numbers
    prev: str
    next: str
    num_lidar_pts: int
    num_radar_pts: int


class Map(Row):
    """A place's map, as a picture of the drivable surface."""

    category: str
    token: str
    filename: str
    log_tokens: list[str]


TABLES: dict[str, type[Row]] = {
    "category": Category,
    "attribute": Attribute,
    "visibility": Visibility,
    "instance": Instance,
    "sensor": Sensor,
    "calibrated_sensor": CalibratedSensor,
    "ego_pose": EgoPose,
    "log": Log,
    "scene": Scene,
    "sample": Sample,
    "sample_data": SampleData,
    "sample_annotation": SampleAnnotation,
    "map": Map,
}


class TableFile:
    """A JSON list with a row on each line, written as the rows come."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")
        self._digest = hashlib.sha256()
        self._encoder = msgspec.json.Encoder()
        self.rows = 0
        self._write(b"[\n")

    def add(self, rows: Sequence[Row]) -> None:
        """Append rows."""
        if not rows:
            return
        # No newline is inside a row: JSON escapes it.
        lines = self._encoder.encode_lines(rows)[:-1].replace(b"\n", b",\n")
        self._write(b",\n" + lines if self.rows else lines)
        self.rows += len(rows)

    def finish(self) -> str:
        """End the list, bring it to the disk, and give the file's sha256, hexadecimal."""
        self._write(b"\n]\n" if self.rows else b"]\n")
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        return self._digest.hexdigest()

    def __enter__(self) -> TableFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def _write(self, data: bytes) -> None:
        self._file.write(data)
        self._digest.update(data)
