"""Geometric augmentation of boxes, and of the images that they lie in."""

from __future__ import annotations

import math

import cv2
import numpy as np

MARGIN = 2
"""Pixels around what a warp shows that bilinear interpolation and rounding may touch."""


def mirror_boxes(boxes: np.ndarray, width: int) -> np.ndarray:
    """(n, 5) boxes of an image that is flipped left to right."""
    flipped = boxes.copy()
    flipped[:, [0, 2]] = width - boxes[:, [2, 0]]
    return flipped


def affine_matrix(
    height: int,
    width: int,
    *,
    degrees: float,
    translate: float,
    shear: float,
    scale: tuple[float, float],
    random: np.random.Generator,
) -> np.ndarray:
    """Draw a (2, 3) matrix: rotation, scale and shear about the origin, then translation."""
    angle = random.uniform(-degrees, degrees)
    factor = random.uniform(*scale)
    rotation = cv2.getRotationMatrix2D(center=(0, 0), angle=angle, scale=factor)
    shear_x = math.tan(math.radians(random.uniform(-shear, shear)))
    shear_y = math.tan(math.radians(random.uniform(-shear, shear)))
    matrix = np.empty((2, 3))
    matrix[0] = rotation[0] + shear_y * rotation[1]
    matrix[1] = rotation[1] + shear_x * rotation[0]
    matrix[0, 2] = random.uniform(-translate, translate) * width
    matrix[1, 2] = random.uniform(-translate, translate) * height
    return matrix


def warp_boxes(boxes: np.ndarray, matrix: np.ndarray, *, height: int, width: int) -> np.ndarray:
    """Warp (n, 5) boxes by a (2, 3) matrix: the hull of each box's four corners, clipped to the size.

    A box that leaves the picture keeps its row with no area; the caller drops what is too small.
    """
    corners = boxes[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 4, 2) @ matrix[:, :2].T + matrix[:, 2]
    warped = boxes.copy()
    warped[:, 0:2] = corners.min(axis=1).clip(0, (width, height))
    warped[:, 2:4] = corners.max(axis=1).clip(0, (width, height))
    return warped


def shown_region(
    matrix: np.ndarray, *, height: int, width: int, canvas_height: int, canvas_width: int
) -> tuple[int, int, int, int]:
    """The left, top, right and bottom of the part of a canvas that a warp into (height, width) reads.

    At least one pixel, also where the warp shows nothing of the canvas.
    """
    linear = matrix[:, :2]
    if np.linalg.det(linear) == 0:
        return 0, 0, canvas_width, canvas_height
    corners = np.array([[0, 0], [width - 1, 0], [0, height - 1], [width - 1, height - 1]])
    sources = (corners - matrix[:, 2]) @ np.linalg.inv(linear).T
    size = np.array([canvas_width, canvas_height])
    high = (np.ceil(sources.max(axis=0)) + MARGIN + 1).clip(1, size).astype(int)
    low = (np.floor(sources.min(axis=0)) - MARGIN).clip(0, high - 1).astype(int)
    return int(low[0]), int(low[1]), int(high[0]), int(high[1])
