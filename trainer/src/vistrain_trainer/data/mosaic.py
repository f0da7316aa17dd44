"""Mosaic: four images around a random point."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from vistrain_trainer.data.geometry import shown_region
from vistrain_trainer.data.letterbox import PAD, fit, fit_ratio, fitted_size
from vistrain_trainer.data.scratch import Scratch
from vistrain_trainer.data.source import ImageSource


class Placement(NamedTuple):
    """An image on the canvas; what reaches beyond it is cut off."""

    image: int
    """Its index."""
    left: int
    top: int
    height: int
    width: int


def plan_mosaic(
    source: ImageSource, index: int, *, height: int, width: int, random: np.random.Generator
) -> tuple[tuple[Placement, ...], np.ndarray]:
    """Put image ``index`` and three random ones around a point in the middle of a (2·height, 2·width) canvas.

    Returns:
        Where the four lie, and the boxes of all, clipped to the canvas.
    """
    centre_y = int(random.uniform(0.5 * height, 1.5 * height))
    centre_x = int(random.uniform(0.5 * width, 1.5 * width))
    indices = [index, *(int(random.integers(0, len(source))) for _ in range(3))]
    placed, merged = [], []
    for quadrant, at in enumerate(indices):
        size = source.size(at)
        rows, columns = fitted_size(*size, height, width)
        # The corner of each image that lies in the middle.
        left = centre_x if quadrant % 2 else centre_x - columns
        top = centre_y if quadrant >= 2 else centre_y - rows
        placed.append(Placement(at, left, top, rows, columns))
        ratio = fit_ratio(*size, height, width)
        boxes = source.boxes(at)
        boxes[:, [0, 2]] = boxes[:, [0, 2]] * ratio + left
        boxes[:, [1, 3]] = boxes[:, [1, 3]] * ratio + top
        merged.append(boxes)
    boxes = np.concatenate(merged)
    boxes[:, [0, 2]] = boxes[:, [0, 2]].clip(0, 2 * width)
    boxes[:, [1, 3]] = boxes[:, [1, 3]].clip(0, 2 * height)
    return tuple(placed), boxes


def warp_mosaic(
    source: ImageSource,
    placements: tuple[Placement, ...],
    matrix: np.ndarray,
    out: np.ndarray,
    scratch: Scratch,
) -> None:
    """Warp a mosaic's canvas by a (2, 3) matrix into ``out``, of shape (height, width, 3).

    Only what the warp shows is painted, and an image outside of it is not even read. The pixels are those of
    a warp of the whole canvas: the origin stays, so that every coordinate is rounded alike.
    """
    height, width = out.shape[:2]
    left, top, right, bottom = shown_region(
        matrix, height=height, width=width, canvas_height=2 * height, canvas_width=2 * width
    )
    canvas = scratch.image("canvas", bottom, right)
    canvas[top:bottom, left:right] = PAD
    for piece in placements:
        x, end_x = max(piece.left, left), min(piece.left + piece.width, right)
        y, end_y = max(piece.top, top), min(piece.top + piece.height, bottom)
        if x < end_x and y < end_y:
            image = fit(source.image(piece.image), height, width)
            canvas[y:end_y, x:end_x] = image[
                y - piece.top : end_y - piece.top, x - piece.left : end_x - piece.left
            ]
    cv2.warpAffine(canvas, matrix, dsize=(width, height), dst=out, borderValue=(PAD, PAD, PAD))
