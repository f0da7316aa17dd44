"""What is read of each row of the tables."""

from __future__ import annotations

from msgspec import Raw, Struct

Vector = tuple[float, float, float]
Rotation = tuple[float, float, float, float]
"""Quaternion w, x, y, z."""


class Named(Struct, gc=False):
    """category."""

    token: str
    name: str


class Sensor(Struct, gc=False):
    """sensor."""

    token: str
    channel: str
    modality: str


class CalibratedSensor(Struct, gc=False):
    """calibrated_sensor: as mounted and calibrated on one vehicle."""

    token: str
    sensor_token: str
    translation: Vector
    rotation: Rotation
    camera_intrinsic: list[list[float]]


class Log(Struct, gc=False):
    """log."""

    token: str
    location: str = ""


class Scene(Struct, gc=False):
    """scene."""

    token: str
    name: str
    log_token: str
    description: str = ""


class Sample(Struct, gc=False):
    """sample: a moment that is annotated."""

    token: str
    timestamp: int
    scene_token: str
    prev: str


class SampleData(Struct, gc=False):
    """sample_data: what a sensor took."""

    token: str
    sample_token: str
    ego_pose_token: str
    calibrated_sensor_token: str
    timestamp: int
    is_key_frame: bool
    filename: str
    width: int | None = None
    height: int | None = None


class EgoPose(Struct, gc=False):
    """ego_pose. Most rows are of sensors that nobody asked for, so that numbers are decoded on demand."""

    token: str
    rotation: Raw
    translation: Raw


class Instance(Struct, gc=False):
    """instance: an object through a scene."""

    token: str
    category_token: str


class SampleAnnotation(Struct, gc=False):
    """sample_annotation: the box of an object in a sample."""

    token: str
    sample_token: str
    instance_token: str
    translation: Vector
    size: Vector
    rotation: Rotation
    visibility_token: str = ""
    num_lidar_pts: int = 0
    num_radar_pts: int = 0
