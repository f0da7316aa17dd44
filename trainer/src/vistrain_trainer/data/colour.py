"""Colour augmentation in HSV space."""

from __future__ import annotations

import cv2
import numpy as np

from vistrain_trainer.data.scratch import Scratch

LEVELS = np.array([5, 30, 30])
"""The most that YOLOX 0.3.0 adds to hue (of 180), saturation and value (of 255)."""


def draw_colours(gains: tuple[float, float, float] | None, random: np.random.Generator) -> np.ndarray:
    """Draw (1, 256, 3) uint8 tables from the old to the new levels of hue, saturation and value.

    With ``gains`` None, whole levels are added, each of the three with probability ½ (YOLOX 0.3.0). Otherwise
    each is multiplied by 1 + u·gain with u uniform in [−1, 1].
    """
    if gains is None:
        shifts = random.uniform(-1, 1, 3) * LEVELS
        shifts *= random.integers(0, 2, 3)
        return _added(shifts.astype(np.int16))
    return _multiplied(random.uniform(-1, 1, 3) * np.asarray(gains) + 1)


def recolour(image: np.ndarray, tables: np.ndarray, out: np.ndarray, scratch: Scratch) -> None:
    """Write a BGR image with its hue, saturation and value changed by tables; ``out`` may be the image."""
    hsv = cv2.cvtColor(image, cv2.COLOR_BGR2HSV, dst=scratch.image("hsv", *image.shape[:2]))
    cv2.LUT(hsv, tables, dst=hsv)
    cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR, dst=out)


def _added(shifts: np.ndarray) -> np.ndarray:
    levels = np.arange(256, dtype=np.int16)
    return _tables((levels + shifts[0]) % 180, levels + shifts[1], levels + shifts[2])


def _multiplied(factors: np.ndarray) -> np.ndarray:
    levels = np.arange(256)
    return _tables((levels * factors[0]) % 180, levels * factors[1], levels * factors[2])


def _tables(hue: np.ndarray, saturation: np.ndarray, value: np.ndarray) -> np.ndarray:
    stacked = np.stack([hue, saturation.clip(0, 255), value.clip(0, 255)], axis=-1)
    return stacked.astype(np.uint8)[None]
