"""The tables of a nuScenes release as columns, in an order that needs no further look-up.

    scenes ─▶ samples (by scene, then time) ─▶ annotations (by sample, in the file's order)
        └───▶ frames (by scene, camera, then time) ─▶ calibrations

What belongs to one scene is one slice of every table. Tokens are bytes (`S32` and the like), indices are
rows of the table that they name, lengths are metres in the global frame, rotations quaternions w, x, y, z,
times are microseconds since 1970.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Scene:
    """A drive of about twenty seconds."""

    token: str
    name: str
    description: str
    location: str
    """Of its log, such as boston-seaport."""
    samples: slice
    """Its rows of `Samples`."""
    annotations: slice
    """Its rows of `Annotations`."""
    frames: tuple[slice, ...]
    """Its rows of `Frames`, one slice for each of `Release.cameras`."""


@dataclass(frozen=True)
class Samples:
    """The annotated moments, by scene and time."""

    token: np.ndarray
    """(n,) bytes."""
    timestamp: np.ndarray
    """(n,) int64."""
    scene: np.ndarray
    """(n,) int32, row of `Release.scenes`."""
    previous: np.ndarray
    """(n,) int32, row of the sample before in the same scene; -1 at the first."""
    annotations: np.ndarray
    """(n + 1,) int64: the annotations of sample i are rows [annotations[i], annotations[i + 1])."""


@dataclass(frozen=True)
class Calibrations:
    """Cameras as mounted and calibrated on one day."""

    translation: np.ndarray
    """(k, 3) float64, metres in the ego frame."""
    rotation: np.ndarray
    """(k, 4) float64."""
    intrinsic: np.ndarray
    """(k, 3, 3) float64, pixels."""


@dataclass(frozen=True)
class Frames:
    """Pictures of the cameras that were asked for: rows of sample_data, by scene, camera and time."""

    token: np.ndarray
    """(n,) bytes."""
    sample: np.ndarray
    """(n,) int32: a keyframe's own sample; of a sweep, the sample that it leads to."""
    camera: np.ndarray
    """(n,) int8, row of `Release.cameras`."""
    timestamp: np.ndarray
    """(n,) int64, the camera's own."""
    keyframe: np.ndarray
    """(n,) bool."""
    file_name: np.ndarray
    """(n,) bytes (UTF-8), relative to the release's root."""
    size: np.ndarray
    """(n, 2) int32: width, height in pixels."""
    calibration: np.ndarray
    """(n,) int32, row of `Release.calibrations`."""
    ego_translation: np.ndarray
    """(n, 3) float64: the vehicle at the picture's own time."""
    ego_rotation: np.ndarray
    """(n, 4) float64."""


@dataclass(frozen=True)
class Annotations:
    """3D boxes, by sample; within a sample in the order of the file, as the devkit gives them."""

    token: np.ndarray
    """(n,) bytes."""
    sample: np.ndarray
    """(n,) int32."""
    instance: np.ndarray
    """(n,) int32, row of `Instances`."""
    previous: np.ndarray
    """(n,) int32, row of the instance's box in the sample before; -1 where it has none."""
    visibility: np.ndarray
    """(n,) int8: bin 1–4; 0 where the table states none."""
    translation: np.ndarray
    """(n, 3) float64: middle of the box."""
    size: np.ndarray
    """(n, 3) float64: width, length, height."""
    rotation: np.ndarray
    """(n, 4) float64."""
    points: np.ndarray
    """(n,) int32: LiDAR and radar points inside."""


@dataclass(frozen=True)
class Instances:
    """Objects through a scene."""

    token: np.ndarray
    """(n,) bytes."""
    category: np.ndarray
    """(n,) int16, row of `Release.categories`."""


@dataclass(frozen=True)
class Release:
    """One version of nuScenes, or the part of it that was asked for."""

    root: Path
    """Folder that holds the version's folder, samples/ and sweeps/."""
    version: str
    """Such as v1.0-trainval."""
    digest: str
    """blake3 of the tables that were read, hexadecimal."""
    cameras: tuple[str, ...]
    """Channels in the order asked for."""
    categories: tuple[str, ...]
    """Names such as vehicle.bus.rigid."""
    scenes: tuple[Scene, ...]
    """By name."""
    samples: Samples
    frames: Frames
    calibrations: Calibrations
    annotations: Annotations
    instances: Instances
