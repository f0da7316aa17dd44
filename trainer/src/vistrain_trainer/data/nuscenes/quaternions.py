"""Arithmetic of unit quaternions (w, x, y, z), many at once."""

from __future__ import annotations

import numpy as np

_NEARLY_PARALLEL = 0.9995
"""Cosine from which the chord stands for the arc, as in pyquaternion: the sine is too small to divide by."""


def unit(rotation: np.ndarray) -> np.ndarray:
    """(n, 4) of length 1."""
    return np.asarray(rotation / np.linalg.norm(rotation, axis=1, keepdims=True))


def matrices(rotation: np.ndarray) -> np.ndarray:
    """(3, 3, n) rotation matrices of (n, 4) quaternions of any length, component by component."""
    w, x, y, z = unit(rotation).T
    return np.array(
        [
            [w * w + x * x - y * y - z * z, 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), w * w - x * x + y * y - z * z, 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), w * w - x * x - y * y + z * z],
        ]
    )


def slerp(first: np.ndarray, second: np.ndarray, share: np.ndarray) -> np.ndarray:
    """(n, 4) rotations on the shorter way from `first` to `second`, both (n, 4).

    Args:
        share: (n,) of the way, 0 to 1.
    """
    first, second = unit(first), unit(second)
    cosine = (first * second).sum(axis=1)
    first = np.where(cosine[:, None] < 0, -first, first)  # the other sign is the same rotation, and nearer
    cosine = np.clip(np.abs(cosine), 0, 1)
    angle = np.arccos(cosine)
    sine = np.sqrt(1 - cosine * cosine)
    straight = cosine > _NEARLY_PARALLEL
    divisor = np.where(straight, 1, sine)
    from_first = np.where(straight, 1 - share, np.sin((1 - share) * angle) / divisor)
    from_second = np.where(straight, share, np.sin(share * angle) / divisor)
    return unit(from_first[:, None] * first + from_second[:, None] * second)
