"""Fitting of images to the model's input size."""

from __future__ import annotations

import cv2
import numpy as np

PAD = 114
"""Grey level of padding, as in YOLOX."""


def fit_ratio(height: int, width: int, target_height: int, target_width: int) -> float:
    """Input pixels per image pixel when an image is made as large as the target allows."""
    return min(target_height / height, target_width / width)


def fitted_size(height: int, width: int, target_height: int, target_width: int) -> tuple[int, int]:
    """(height, width) of an image that `fit` has made as large as the target allows.

    Sizes are truncated to whole pixels, as YOLOX does.
    """
    ratio = fit_ratio(height, width, target_height, target_width)
    return int(height * ratio), int(width * ratio)


def fit(image: np.ndarray, target_height: int, target_width: int) -> np.ndarray:
    """Resize an image, aspect kept, to the largest size inside the target; one of that size is given back."""
    size = image.shape[0], image.shape[1]
    height, width = fitted_size(*size, target_height, target_width)
    if (height, width) == size:
        return image
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR))


def letterbox_into(image: np.ndarray, out: np.ndarray) -> None:
    """Fit an image into the top left of ``out``, a (height, width, 3) array, and fill the rest with grey."""
    size = image.shape[0], image.shape[1]
    height, width = fitted_size(*size, out.shape[0], out.shape[1])
    inside = out[:height, :width]
    if (height, width) == size:
        np.copyto(inside, image)
    else:
        cv2.resize(image, (width, height), dst=inside, interpolation=cv2.INTER_LINEAR)
    pad_around(out, height, width)


def pad_around(out: np.ndarray, height: int, width: int) -> None:
    """Fill an array with grey below ``height`` and to the right of ``width``."""
    out[height:] = PAD
    out[:height, width:] = PAD


def letterbox(image: np.ndarray, target_height: int, target_width: int) -> tuple[np.ndarray, float]:
    """Fit an image into the top left of a grey canvas of the target size; give the canvas and the ratio."""
    canvas = np.empty((target_height, target_width, 3), np.uint8)
    letterbox_into(image, canvas)
    return canvas, fit_ratio(image.shape[0], image.shape[1], target_height, target_width)


def to_planes(image: np.ndarray) -> np.ndarray:
    """(H, W, 3) to (3, H, W), a view."""
    return image.transpose(2, 0, 1)


def padded_labels(boxes: np.ndarray, max_labels: int) -> np.ndarray:
    """From (n, 5) rows x1, y1, x2, y2, cls to (max_labels, 5) float32 cls, cx, cy, w, h, then zeros."""
    rows = np.zeros((max_labels, 5), np.float32)
    kept = boxes[:max_labels]
    rows[: len(kept), 0] = kept[:, 4]
    rows[: len(kept), 1:3] = (kept[:, 0:2] + kept[:, 2:4]) / 2
    rows[: len(kept), 3:5] = kept[:, 2:4] - kept[:, 0:2]
    return rows
