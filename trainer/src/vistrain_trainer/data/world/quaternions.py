"""Rotations of many objects at a time, as quaternions w, x, y, z in the last axis."""

from __future__ import annotations

import numpy as np

from vistrain_trainer.data.world.exact import Real, sine_cosine


def from_angles(yaw: np.ndarray, pitch: Real, roll: Real) -> np.ndarray:
    """(…, 4) rotations that roll about x, then pitch about y, then yaw about z, radians; w not negative."""
    (sy, cy), (sp, cp), (sr, cr) = (sine_cosine(np.asarray(angle) * 0.5) for angle in (yaw, pitch, roll))
    return canonical(
        np.stack(
            [
                cr * cp * cy + sr * sp * sy,
                sr * cp * cy - cr * sp * sy,
                cr * sp * cy + sr * cp * sy,
                cr * cp * sy - sr * sp * cy,
            ],
            axis=-1,
        )
    )


def multiply(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(…, 4) rotations that turn by ``second``, then by ``first``."""
    (a, b, c, d), (e, f, g, h) = np.moveaxis(first, -1, 0), np.moveaxis(second, -1, 0)
    return np.stack(
        [
            a * e - b * f - c * g - d * h,
            a * f + b * e + c * h - d * g,
            a * g - b * h + c * e + d * f,
            a * h + b * g - c * f + d * e,
        ],
        axis=-1,
    )


def canonical(rotation: np.ndarray) -> np.ndarray:
    """The same rotations with w not negative, as nuScenes writes most of its own."""
    return np.where(rotation[..., :1] < 0, -rotation, rotation)


def matrices(rotation: np.ndarray) -> np.ndarray:
    """(…, 3, 3) rotation matrices."""
    w, x, y, z = np.moveaxis(rotation, -1, 0)
    rows = (
        (1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
        (2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
        (2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
    )
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def rotated(rotation: np.ndarray, points: np.ndarray) -> np.ndarray:
    """(…, 3) points turned by rotations."""
    matrix, (x, y, z) = matrices(rotation), np.moveaxis(points, -1, 0)[:, ..., None]
    return np.asarray(matrix[..., 0] * x + matrix[..., 1] * y + matrix[..., 2] * z)
