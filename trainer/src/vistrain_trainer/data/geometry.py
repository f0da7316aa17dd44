"""Geometric augmentation of images with their boxes."""

from __future__ import annotations

import math

import cv2
import numpy as np

from vistrain_trainer.data.letterbox import PAD


def mirror(image: np.ndarray, boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Flip an image left to right with its (n, 5) boxes."""
    flipped = boxes.copy()
    flipped[:, [0, 2]] = image.shape[1] - boxes[:, [2, 0]]
    return image[:, ::-1], flipped


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


def random_affine(
    image: np.ndarray,
    boxes: np.ndarray,
    *,
    height: int,
    width: int,
    degrees: float,
    translate: float,
    shear: float,
    scale: tuple[float, float],
    random: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Warp an image into (height, width) by a random matrix; boxes become their corners' hulls, clipped.

    A box that leaves the picture keeps its row with no area; the caller drops what is too small.
    """
    matrix = affine_matrix(
        height, width, degrees=degrees, translate=translate, shear=shear, scale=scale, random=random
    )
    warped = cv2.warpAffine(image, matrix, dsize=(width, height), borderValue=(PAD, PAD, PAD))
    return warped, warp_boxes(boxes, matrix, height=height, width=width)


def warp_boxes(boxes: np.ndarray, matrix: np.ndarray, *, height: int, width: int) -> np.ndarray:
    """Warp (n, 5) boxes by a (2, 3) matrix: the hull of each box's four corners, clipped to the size."""
    corners = boxes[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 4, 2) @ matrix[:, :2].T + matrix[:, 2]
    warped = boxes.copy()
    warped[:, 0:2] = corners.min(axis=1).clip(0, (width, height))
    warped[:, 2:4] = corners.max(axis=1).clip(0, (width, height))
    return warped
