"""Size and orientation of a picture, read from the head of its file."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from PIL.Image import Image

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")
_ORIENTATION = 0x0112
_TURNED = (5, 6, 7, 8)
_FLIPPED_ACROSS = (2, 3, 6, 7)
_FLIPPED_DOWN = (3, 4, 7, 8)


class Shape(NamedTuple):
    """A picture as stored, and how viewers turn it."""

    width: int
    """Pixels as stored."""
    height: int
    orientation: int
    """EXIF's 1 to 8; 1 is shown as stored."""

    @property
    def upright(self) -> tuple[int, int]:
        """(width, height) as viewers show it."""
        return (self.height, self.width) if self.orientation in _TURNED else (self.width, self.height)


def read_shape(path: Path) -> Shape:
    """Read the head of a picture.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is no picture.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as picture:
            width, height = picture.size
            orientation = _orientation(picture)
    except (UnidentifiedImageError, Image.DecompressionBombError):
        raise ValueError("it is no picture") from None
    return Shape(width, height, orientation)


def _orientation(picture: Image) -> int:
    try:
        stated = picture.getexif().get(_ORIENTATION, 1)
    except (SyntaxError, ValueError, KeyError, struct.error):  # a damaged head turns nothing
        return 1
    return int(stated) if stated in range(1, 9) else 1


def turn_picture(stored: np.ndarray, orientation: int) -> np.ndarray:
    """(H, W, 3) pixels as viewers show them."""
    picture = stored.transpose(1, 0, 2) if orientation in _TURNED else stored
    if orientation in _FLIPPED_ACROSS:
        picture = picture[:, ::-1]
    if orientation in _FLIPPED_DOWN:
        picture = picture[::-1]
    return np.ascontiguousarray(picture)


def turn_boxes(boxes: np.ndarray, shape: Shape) -> np.ndarray:
    """(n, 4) x, y, width, height in the picture as viewers show it, of boxes in the picture as stored."""
    turned = boxes[:, [1, 0, 3, 2]] if shape.orientation in _TURNED else boxes
    return _flip(turned, shape)


def turn_boxes_back(boxes: np.ndarray, shape: Shape) -> np.ndarray:
    """What :func:`turn_boxes` was given."""
    flipped = _flip(boxes, shape)
    return flipped[:, [1, 0, 3, 2]] if shape.orientation in _TURNED else flipped


def _flip(boxes: np.ndarray, shape: Shape) -> np.ndarray:
    width, height = shape.upright
    flipped = boxes.copy()
    if shape.orientation in _FLIPPED_ACROSS:
        flipped[:, 0] = width - boxes[:, 0] - boxes[:, 2]
    if shape.orientation in _FLIPPED_DOWN:
        flipped[:, 1] = height - boxes[:, 1] - boxes[:, 3]
    return flipped
