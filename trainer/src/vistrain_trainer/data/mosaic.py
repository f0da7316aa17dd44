"""Mosaic: four images around a random point."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from vistrain_trainer.data.letterbox import PAD, fit


def mosaic(
    load: Callable[[int], tuple[np.ndarray, np.ndarray]],
    index: int,
    *,
    images: int,
    height: int,
    width: int,
    random: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Put image ``index`` and three random ones around a point in the middle of a (2·height, 2·width) canvas.

    Args:
        load: gives an image fitted into (height, width) and its (n, 5) boxes.
        images: the number of images to draw partners from.

    Returns:
        The canvas and the boxes of all four, clipped to it.
    """
    centre_y = int(random.uniform(0.5 * height, 1.5 * height))
    centre_x = int(random.uniform(0.5 * width, 1.5 * width))
    indices = [index, *(int(random.integers(0, images)) for _ in range(3))]
    canvas = np.full((2 * height, 2 * width, 3), PAD, np.uint8)
    placed = []
    for quadrant, at in enumerate(indices):
        image, boxes = load(at)
        image, ratio = fit(image, height, width)
        # The corner of each image that lies in the middle; what reaches beyond the canvas is cut off.
        x = centre_x if quadrant % 2 else centre_x - image.shape[1]
        y = centre_y if quadrant >= 2 else centre_y - image.shape[0]
        left, top = max(x, 0), max(y, 0)
        visible = image[top - y : 2 * height - y, left - x : 2 * width - x]
        canvas[top : top + visible.shape[0], left : left + visible.shape[1]] = visible
        boxes = boxes.copy()
        boxes[:, [0, 2]] = boxes[:, [0, 2]] * ratio + x
        boxes[:, [1, 3]] = boxes[:, [1, 3]] * ratio + y
        placed.append(boxes)
    merged = np.concatenate(placed)
    merged[:, [0, 2]] = merged[:, [0, 2]].clip(0, 2 * width)
    merged[:, [1, 3]] = merged[:, [1, 3]].clip(0, 2 * height)
    return canvas, merged
