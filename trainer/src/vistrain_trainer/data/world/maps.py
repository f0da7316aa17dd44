"""The map masks of a release: where roads of its scenes are, as the devkit reads them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np

from vistrain_trainer.data.world.road import HALF_WIDTH, Road

RESOLUTION = 10
"""Pixels per metre."""
_FRAME = 100
"""Pixels of a mask without a road, either way."""
_REACH = 20.0
"""Metres of a mask beyond its roads."""


def outline(road: Road) -> np.ndarray:
    """(n, 2) corners of the drivable surface, in metres."""
    along = np.arange(0.0, road.length, 2.0)
    left, right = road.points(along, HALF_WIDTH), road.points(along, -HALF_WIDTH)
    return np.concatenate([left, right[::-1]])


def write_mask(path: Path, outlines: Iterable[np.ndarray]) -> None:
    """Write a PNG, white where one can drive, with the origin of the global frame at its lower left."""
    roads = list(outlines)
    width, height = (
        (int((max(road[:, axis].max() for road in roads) + _REACH) * RESOLUTION) if roads else _FRAME)
        for axis in (0, 1)
    )
    mask = np.zeros((height, width), np.uint8)
    for road in roads:
        pixels = np.round(road * [RESOLUTION, -RESOLUTION] + [0, height]).astype(np.int32)
        cv2.fillPoly(mask, [pixels], 255)
    coded, picture = cv2.imencode(".png", mask)
    if not coded:
        raise OSError(0, "the map mask cannot be coded", str(path))
    with path.open("wb") as file:
        file.write(picture.tobytes())
        file.flush()
        os.fsync(file.fileno())
