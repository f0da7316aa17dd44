"""Fitting of images to the model's input size."""

from __future__ import annotations

import cv2
import numpy as np

PAD = 114
"""Grey level of padding, as in YOLOX."""


def fit_ratio(height: int, width: int, target_height: int, target_width: int) -> float:
    """Input pixels per image pixel when an image is made as large as the target allows."""
    return min(target_height / height, target_width / width)


def fit(image: np.ndarray, target_height: int, target_width: int) -> tuple[np.ndarray, float]:
    """Resize an image, aspect kept, to the largest size inside the target; give it and the ratio.

    Sizes are truncated to whole pixels, as YOLOX does.
    """
    height, width = image.shape[:2]
    ratio = fit_ratio(height, width, target_height, target_width)
    size = (int(width * ratio), int(height * ratio))
    if size == (width, height):
        return image, ratio
    return cv2.resize(image, size, interpolation=cv2.INTER_LINEAR), ratio


def letterbox(image: np.ndarray, target_height: int, target_width: int) -> tuple[np.ndarray, float]:
    """Fit an image into the top left of a grey canvas of the target size; give the canvas and the ratio."""
    resized, ratio = fit(image, target_height, target_width)
    canvas = np.full((target_height, target_width, 3), PAD, np.uint8)
    canvas[: resized.shape[0], : resized.shape[1]] = resized
    return canvas, ratio


def to_planes(image: np.ndarray) -> np.ndarray:
    """(H, W, 3) to a contiguous (3, H, W)."""
    return np.ascontiguousarray(image.transpose(2, 0, 1))


def padded_labels(boxes: np.ndarray, max_labels: int) -> np.ndarray:
    """From (n, 5) rows x1, y1, x2, y2, cls to (max_labels, 5) float32 cls, cx, cy, w, h, then zeros."""
    rows = np.zeros((max_labels, 5), np.float32)
    kept = boxes[:max_labels]
    rows[: len(kept), 0] = kept[:, 4]
    rows[: len(kept), 1:3] = (kept[:, 0:2] + kept[:, 2:4]) / 2
    rows[: len(kept), 3:5] = kept[:, 2:4] - kept[:, 0:2]
    return rows
