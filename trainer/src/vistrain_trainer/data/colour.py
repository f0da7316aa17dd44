"""Colour augmentation in HSV space."""

from __future__ import annotations

import cv2
import numpy as np

LEVELS = np.array([5, 30, 30])
"""The most that YOLOX 0.3.0 adds to hue (of 180), saturation and value (of 255)."""


def jitter_hsv(
    image: np.ndarray, gains: tuple[float, float, float] | None, random: np.random.Generator
) -> np.ndarray:
    """Shift hue, saturation and value of a BGR image at random; the image given stays as it is.

    With ``gains`` None, whole levels are added, each of the three with probability ½ (YOLOX 0.3.0). Otherwise
    each is multiplied by 1 + u·gain with u uniform in [−1, 1].
    """
    hsv = cv2.cvtColor(image, cv2.COLOR_BGR2HSV)
    if gains is None:
        shifts = random.uniform(-1, 1, 3) * LEVELS
        shifts *= random.integers(0, 2, 3)
        tables = _added(shifts.astype(np.int16))
    else:
        tables = _multiplied(random.uniform(-1, 1, 3) * np.asarray(gains) + 1)
    return np.asarray(cv2.cvtColor(cv2.LUT(hsv, tables), cv2.COLOR_HSV2BGR))


def _added(shifts: np.ndarray) -> np.ndarray:
    levels = np.arange(256, dtype=np.int16)
    return _tables((levels + shifts[0]) % 180, levels + shifts[1], levels + shifts[2])


def _multiplied(factors: np.ndarray) -> np.ndarray:
    levels = np.arange(256)
    return _tables((levels * factors[0]) % 180, levels * factors[1], levels * factors[2])


def _tables(hue: np.ndarray, saturation: np.ndarray, value: np.ndarray) -> np.ndarray:
    stacked = np.stack([hue, saturation.clip(0, 255), value.clip(0, 255)], axis=-1)
    return stacked.astype(np.uint8)[None]
