"""Arithmetic of unit quaternions (w, x, y, z), many at once."""

from __future__ import annotations

import numpy as np

_NEARLY_PARALLEL = 0.9995
"""Cosine from which the chord stands for the arc, as in pyquaternion: the sine is too small to divide by."""


def unit(rotation: np.ndarray) -> np.ndarray:
    """(n, 4) of length 1."""
    return np.asarray(rotation / np.sqrt(_dot(rotation, rotation))[:, None])


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
    cosine = _dot(first, second)
    from_first, from_second = 1 - share, share.copy()
    bent = np.flatnonzero(np.abs(cosine) <= _NEARLY_PARALLEL)
    angle = np.arccos(np.abs(cosine[bent]))
    from_first[bent] = np.sin(from_first[bent] * angle) / np.sin(angle)
    from_second[bent] = np.sin(from_second[bent] * angle) / np.sin(angle)
    from_first[cosine < 0] *= -1  # the other sign is the same rotation, and nearer
    return unit(from_first[:, None] * first + from_second[:, None] * second)


def _dot(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """(n,) of (n, 4) and (n, 4)."""
    return np.asarray(np.einsum("ni,ni->n", one, other))
