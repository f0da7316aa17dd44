"""Pictures of what is there and what a detector finds."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence

import cv2
import numpy as np
import simplejpeg

from vistrain_trainer.evaluation.matches import ImageMatches

PANEL = (800, 1280)
"""Least and most pixels that an image is wide when it is drawn on."""
QUALITY = 90
"""JPEG quality."""

_FONT, _SCALE = cv2.FONT_HERSHEY_SIMPLEX, 0.45
_LINE = 20
"""Pixels of a line of text."""
_GROUND, _INK = (32, 32, 32), (235, 235, 235)
_DASH = 5

Colour = tuple[int, int, int]
"""Blue, green, red."""
_COLOURS: tuple[Colour, ...] = (
    (80, 220, 0),
    (0, 225, 255),
    (255, 150, 60),
    (60, 60, 255),
    (255, 60, 230),
    (255, 235, 0),
    (0, 140, 255),
    (240, 240, 240),
    (255, 110, 160),
    (100, 255, 190),
)


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
    canvas, scale = _resized(image)
    truth, detected = canvas.copy(), canvas
    for box, kind, missed, crowd in zip(
        matches.truth.boxes, matches.truth.classes, matches.missed, matches.truth.crowd, strict=True
    ):
        _box(truth, box * scale, colour_of(int(kind)), broken=bool(missed or crowd))
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
    gap = np.full((truth.shape[0] + _LINE, 4, 3), _GROUND, np.uint8)
    both = np.hstack((_titled(truth, left), gap, _titled(detected, right)))
    shown = {*matches.truth.classes.tolist(), *matches.detected[:, 6].astype(int).tolist()}
    return _jpeg(np.vstack((both, _legend(sorted(shown), classes, both.shape[1]))))


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
    canvas, scale = _resized(image)
    _detections(canvas, detected, scale, np.zeros(len(detected), bool))
    whole = _titled(canvas, f"detected at {confidence:.2g} or more: {len(detected)}")
    shown = sorted(set(detected[:, 6].astype(int).tolist()))
    return _jpeg(np.vstack((whole, _legend(shown, classes, whole.shape[1]))))


def colour_of(class_index: int) -> Colour:
    """The colour of a class: one of ten that are told apart at a glance; then hues by the golden section."""
    if class_index < len(_COLOURS):
        return _COLOURS[class_index]
    red, green, blue = colorsys.hsv_to_rgb(class_index * 0.618034 % 1, 0.6, 0.9)
    return round(255 * blue), round(255 * green), round(255 * red)


def _resized(image: np.ndarray) -> tuple[np.ndarray, float]:
    scale = min(max(image.shape[1], PANEL[0]), PANEL[1]) / image.shape[1]
    size = (round(image.shape[1] * scale), max(1, round(image.shape[0] * scale)))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return cv2.resize(image, size, interpolation=how), scale


def _detections(canvas: np.ndarray, detected: np.ndarray, scale: float, false: np.ndarray) -> None:
    """Boxes first, then the scores, so that no line crosses a score; the best lie on top."""
    for row, wrong in zip(detected[::-1], false[::-1], strict=True):
        _box(canvas, row[1:5] * scale, colour_of(int(row[6])), broken=bool(wrong))
    for row in detected[::-1]:
        _score(canvas, row[1:5] * scale, f"{row[5]:.2f}", colour_of(int(row[6])))


def _box(canvas: np.ndarray, box: np.ndarray, colour: Colour, *, broken: bool) -> None:
    """A line of two pixels, the outer one darkened, so that it is seen on a ground of its own colour."""
    x1, y1, x2, y2 = (round(float(value)) for value in (box[0], box[1], box[0] + box[2], box[1] + box[3]))
    dark: Colour = (colour[0] // 3, colour[1] // 3, colour[2] // 3)
    _rectangle(canvas, (x1 - 1, y1 - 1, x2 + 1, y2 + 1), dark, broken=broken)
    _rectangle(canvas, (x1, y1, x2, y2), colour, broken=broken)


def _rectangle(canvas: np.ndarray, box: tuple[int, int, int, int], colour: Colour, *, broken: bool) -> None:
    x1, y1, x2, y2 = box
    if not broken:
        cv2.rectangle(canvas, (x1, y1), (x2, y2), colour)
        return
    for x in range(x1, x2 + 1, 2 * _DASH):
        end = min(x + _DASH - 1, x2)
        cv2.line(canvas, (x, y1), (end, y1), colour)
        cv2.line(canvas, (x, y2), (end, y2), colour)
    for y in range(y1, y2 + 1, 2 * _DASH):
        end = min(y + _DASH - 1, y2)
        cv2.line(canvas, (x1, y), (x1, end), colour)
        cv2.line(canvas, (x2, y), (x2, end), colour)


def _score(canvas: np.ndarray, box: np.ndarray, text: str, colour: Colour) -> None:
    """A score on a tab of the class's colour above the box, or inside where there is no room above."""
    (width, height), _ = cv2.getTextSize(text, _FONT, 0.35, 1)
    x, y = round(float(box[0])), round(float(box[1]))
    x = max(0, min(x, canvas.shape[1] - width - 4))
    top = y - height - 5 if y >= height + 5 else y + 1
    cv2.rectangle(canvas, (x, top), (x + width + 3, top + height + 4), colour, cv2.FILLED)
    dark = 0.114 * colour[0] + 0.587 * colour[1] + 0.299 * colour[2] > 110
    ink = (0, 0, 0) if dark else (255, 255, 255)
    cv2.putText(canvas, text, (x + 2, top + height + 2), _FONT, 0.35, ink, 1, cv2.LINE_AA)


def _titled(canvas: np.ndarray, text: str) -> np.ndarray:
    strip = np.full((_LINE, canvas.shape[1], 3), _GROUND, np.uint8)
    _text(strip, text, 6, 14)
    return np.vstack((strip, canvas))


def _legend(shown: Sequence[int], classes: Sequence[str], width: int) -> np.ndarray:
    """A strip with the colours of the classes that occur; as many lines as it takes."""
    x, line = 6, 0
    entries = []
    for kind in shown:
        (wide, _), _ = cv2.getTextSize(_plain(classes[kind]), _FONT, _SCALE, 1)
        if x > 6 and x + wide + 22 > width:
            x, line = 6, line + 1
        entries.append((kind, x, line))
        x += wide + 36
    strip = np.full((_LINE * (line + 1), width, 3), _GROUND, np.uint8)
    for kind, left, row in entries:
        top = row * _LINE
        cv2.rectangle(strip, (left, top + 5), (left + 12, top + 15), colour_of(kind), cv2.FILLED)
        _text(strip, _plain(classes[kind]), left + 17, top + 14)
    return strip


def _text(canvas: np.ndarray, text: str, x: int, y: int) -> None:
    cv2.putText(canvas, text, (x, y), _FONT, _SCALE, _INK, 1, cv2.LINE_AA)


def _plain(text: str) -> str:
    """OpenCV's letters are ASCII's."""
    return text.encode("ascii", "replace").decode()


def _jpeg(canvas: np.ndarray) -> bytes:
    return bytes(
        simplejpeg.encode_jpeg(
            np.ascontiguousarray(canvas), QUALITY, colorspace="BGR", colorsubsampling="444"
        )
    )
