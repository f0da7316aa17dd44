"""Mixup: the mean of two images, with the boxes of both."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from vistrain_trainer.data.letterbox import letterbox


def mixup(
    image: np.ndarray,
    boxes: np.ndarray,
    load: Callable[[int], tuple[np.ndarray, np.ndarray]],
    has_boxes: Callable[[int], bool],
    *,
    images: int,
    scale: tuple[float, float],
    random: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Mix an input-size image half and half with a random partner that has boxes, rescaled and maybe flipped.

    ``has_boxes`` must hold for at least one of the ``images``, or the search for a partner does not end.
    """
    factor = random.uniform(*scale)
    flip = random.uniform(0, 1) > 0.5
    partner = int(random.integers(0, images))
    while not has_boxes(partner):
        partner = int(random.integers(0, images))
    height, width = image.shape[:2]
    other, other_boxes = load(partner)
    canvas, ratio = letterbox(other, height, width)
    canvas = cv2.resize(canvas, (int(width * factor), int(height * factor)))
    if flip:
        canvas = canvas[:, ::-1]
    canvas_height, canvas_width = canvas.shape[:2]
    # Black where the partner is smaller than the image, as in YOLOX.
    padded = np.zeros((max(canvas_height, height), max(canvas_width, width), 3), np.uint8)
    padded[:canvas_height, :canvas_width] = canvas
    y = int(random.integers(0, padded.shape[0] - height)) if padded.shape[0] > height else 0
    x = int(random.integers(0, padded.shape[1] - width)) if padded.shape[1] > width else 0
    crop = padded[y : y + height, x : x + width]

    added = other_boxes.copy()
    added[:, [0, 2]] = (added[:, [0, 2]] * ratio * factor).clip(0, canvas_width)
    added[:, [1, 3]] = (added[:, [1, 3]] * ratio * factor).clip(0, canvas_height)
    if flip:
        added[:, [0, 2]] = canvas_width - added[:, [2, 0]]
    added[:, [0, 2]] = (added[:, [0, 2]] - x).clip(0, width)
    added[:, [1, 3]] = (added[:, [1, 3]] - y).clip(0, height)
    # The mean rounded down; in whole numbers it is exact without a detour over floats.
    mixed = ((image.astype(np.uint16) + crop) >> 1).astype(np.uint8)
    return mixed, np.concatenate([boxes, added])
