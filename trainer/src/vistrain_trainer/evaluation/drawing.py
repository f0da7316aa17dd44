"""Pictures of what is there and what a detector finds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vistrain_trainer.evaluation.canvas import (
    GROUND,
    LINE,
    as_jpeg,
    colour_of,
    draw_box,
    draw_tab,
    fit,
    legend,
    titled,
)
from vistrain_trainer.evaluation.matches import ImageMatches


def draw_matches(
    image: np.ndarray, matches: ImageMatches, classes: Sequence[str], confidence: float
) -> bytes:
    """Ground truth on the left, detections on the right, as a JPEG file.

    Colours tell classes. What was missed, what is false, and crowds have a broken line.

    Args:
        image: (H, W, 3) uint8, BGR.
        matches: its boxes and detections, in its pixels.
        classes: name of each class.
        confidence: the least score of the detections.
    """
    canvas, scale = fit(image)
    truth, detected = canvas.copy(), canvas
    for box, kind, missed, crowd in zip(
        matches.truth.boxes, matches.truth.classes, matches.missed, matches.truth.crowd, strict=True
    ):
        draw_box(truth, box * scale, colour_of(int(kind)), broken=bool(missed or crowd))
    _detections(detected, matches.detected, scale, matches.false)
    boxes, missed_count = int((~matches.truth.crowd).sum()), int(matches.missed.sum())
    crowds = int(matches.truth.crowd.sum())
    left = f"ground truth: {boxes}, {missed_count} missed (broken line)" + (
        f", {crowds} crowds" * bool(crowds)
    )
    right = (
        f"detected at {confidence:.2g} or more: {len(matches.detected)}, "
        f"{int(matches.false.sum())} false (broken line)"
    )
    gap = np.full((truth.shape[0] + LINE, 4, 3), GROUND, np.uint8)
    both = np.hstack((titled(truth, left), gap, titled(detected, right)))
    shown = {*matches.truth.classes.tolist(), *matches.detected[:, 6].astype(int).tolist()}
    return as_jpeg(np.vstack((both, legend(sorted(shown), classes, both.shape[1]))))


def draw_detections(
    image: np.ndarray, detected: np.ndarray, classes: Sequence[str], confidence: float
) -> bytes:
    """Detections on an image without known ground truth, as a JPEG file.

    Args:
        image: (H, W, 3) uint8, BGR.
        detected: (n, 7) rows image id, x, y, w, h, score, class index, in its pixels, best first.
        classes: name of each class.
        confidence: the least score of the detections.
    """
    canvas, scale = fit(image)
    _detections(canvas, detected, scale, np.zeros(len(detected), bool))
    whole = titled(canvas, f"detected at {confidence:.2g} or more: {len(detected)}")
    shown = sorted(set(detected[:, 6].astype(int).tolist()))
    return as_jpeg(np.vstack((whole, legend(shown, classes, whole.shape[1]))))


def _detections(canvas: np.ndarray, detected: np.ndarray, scale: float, false: np.ndarray) -> None:
    """Boxes first, then the scores, so that no line crosses a score; the best lie on top."""
    for row, wrong in zip(detected[::-1], false[::-1], strict=True):
        draw_box(canvas, row[1:5] * scale, colour_of(int(row[6])), broken=bool(wrong))
    for row in detected[::-1]:
        draw_tab(canvas, row[1:5] * scale, f"{row[5]:.2f}", colour_of(int(row[6])))
