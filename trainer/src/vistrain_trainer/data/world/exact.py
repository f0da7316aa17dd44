"""Arithmetic that gives equal bits on every machine.

What NumPy and the C library compute for a sine differs in the last bit between processors. Additions,
multiplications, divisions and square roots do not: IEEE 754 fixes them. So the tables of a world, which are
compared by digest, are made of these alone.
"""

from __future__ import annotations

import numpy as np

Real = np.ndarray | float

# Half of pi as a sum of two: the first with so few digits that whole multiples of it are exact.
_HALF_PI = (1.5707963267341256, 6.077100506506192e-11)


def sine_cosine(angle: Real) -> tuple[np.ndarray, np.ndarray]:
    """The sine and cosine of angles in radians, below ten thousand turns, to 1e-15 or so."""
    angle = np.asarray(angle, np.float64)
    quarters = np.rint(angle * (2 / np.pi))
    rest = (angle - quarters * _HALF_PI[0]) - quarters * _HALF_PI[1]
    square = rest * rest
    sine, cosine = rest * _series(square, 17), _series(square, 18)
    quarter = quarters.astype(np.int64) & 3
    swapped = (quarter & 1).astype(bool)
    return (
        np.where(swapped, cosine, sine) * np.where(quarter >= 2, -1.0, 1.0),
        np.where(swapped, sine, cosine) * np.where((quarter == 1) | (quarter == 2), -1.0, 1.0),
    )


def _series(square: np.ndarray, last: int) -> np.ndarray:
    """Taylor's 1 - x²/2! + … (even last) or 1 - x²/3! + … (odd last), up to x to the power last."""
    total = np.ones_like(square)
    for power in range(last, 1, -2):
        total = 1.0 - square * total / (power * (power - 1))
    return total


def uniform(random: np.random.Generator, low: Real, high: Real, *shape: int) -> np.ndarray:
    """Draws between two bounds, as `Generator.uniform` gives them where it does not fuse operations."""
    return np.asarray(low + (np.asarray(high) - low) * random.random(shape or None))
