"""Boxes, tabs and legends drawn on a picture."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence

import cv2
import numpy as np
import simplejpeg

PANEL = (800, 1280)
"""Least and most pixels that an image is wide when it is drawn on."""
QUALITY = 90
"""JPEG quality."""
LINE = 20
"""Pixels of a line of text."""
GROUND, INK = (32, 32, 32), (235, 235, 235)

_FONT, _SCALE = cv2.FONT_HERSHEY_SIMPLEX, 0.45
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


def colour_of(class_index: int) -> Colour:
    """The colour of a class: one of ten that are told apart at a glance; then hues by the golden section."""
    if class_index < len(_COLOURS):
        return _COLOURS[class_index]
    red, green, blue = colorsys.hsv_to_rgb(class_index * 0.618034 % 1, 0.6, 0.9)
    return round(255 * blue), round(255 * green), round(255 * red)


def fit(image: np.ndarray, panel: tuple[int, int] = PANEL) -> tuple[np.ndarray, float]:
    """A copy that is at least and at most so wide, with the scale of its width."""
    scale = min(max(image.shape[1], panel[0]), panel[1]) / image.shape[1]
    size = (round(image.shape[1] * scale), max(1, round(image.shape[0] * scale)))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return cv2.resize(image, size, interpolation=how), scale


def draw_box(canvas: np.ndarray, box: np.ndarray, colour: Colour, *, broken: bool = False) -> None:
    """A line of two pixels, the outer one darkened, so that it is seen on a ground of its own colour.

    Args:
        box: (4,) x, y, width, height in pixels of the canvas.
    """
    x1, y1, x2, y2 = (round(float(value)) for value in (box[0], box[1], box[0] + box[2], box[1] + box[3]))
    dark: Colour = (colour[0] // 3, colour[1] // 3, colour[2] // 3)
    _rectangle(canvas, (x1 - 1, y1 - 1, x2 + 1, y2 + 1), dark, broken=broken)
    _rectangle(canvas, (x1, y1, x2, y2), colour, broken=broken)


def draw_tab(canvas: np.ndarray, box: np.ndarray, text: str, colour: Colour) -> None:
    """A text on a tab of the class's colour above the box, or inside where there is no room above."""
    (width, height), _ = cv2.getTextSize(text, _FONT, 0.35, 1)
    x, y = round(float(box[0])), round(float(box[1]))
    x = max(0, min(x, canvas.shape[1] - width - 4))
    top = y - height - 5 if y >= height + 5 else y + 1
    cv2.rectangle(canvas, (x, top), (x + width + 3, top + height + 4), colour, cv2.FILLED)
    dark = 0.114 * colour[0] + 0.587 * colour[1] + 0.299 * colour[2] > 110
    ink = (0, 0, 0) if dark else (255, 255, 255)
    cv2.putText(canvas, text, (x + 2, top + height + 2), _FONT, 0.35, ink, 1, cv2.LINE_AA)


def titled(canvas: np.ndarray, text: str, ground: Colour = GROUND) -> np.ndarray:
    """A canvas below a line of text."""
    strip = np.full((LINE, canvas.shape[1], 3), ground, np.uint8)
    write(strip, text, 6, 14)
    return np.vstack((strip, canvas))


def legend(shown: Sequence[int], classes: Sequence[str], width: int) -> np.ndarray:
    """A strip with the colours of the classes that occur; as many lines as it takes."""
    x, line = 6, 0
    entries = []
    for kind in shown:
        (wide, _), _ = cv2.getTextSize(_plain(classes[kind]), _FONT, _SCALE, 1)
        if x > 6 and x + wide + 22 > width:
            x, line = 6, line + 1
        entries.append((kind, x, line))
        x += wide + 36
    strip = np.full((LINE * (line + 1), width, 3), GROUND, np.uint8)
    for kind, left, row in entries:
        top = row * LINE
        cv2.rectangle(strip, (left, top + 5), (left + 12, top + 15), colour_of(kind), cv2.FILLED)
        write(strip, classes[kind], left + 17, top + 14)
    return strip


def write(canvas: np.ndarray, text: str, x: int, y: int, colour: Colour = INK) -> None:
    """A line of text that begins at x and stands on y."""
    cv2.putText(canvas, _plain(text), (x, y), _FONT, _SCALE, colour, 1, cv2.LINE_AA)


def as_jpeg(canvas: np.ndarray) -> bytes:
    """A canvas as a JPEG file; equal canvases give equal bytes."""
    return bytes(
        simplejpeg.encode_jpeg(
            np.ascontiguousarray(canvas), QUALITY, colorspace="BGR", colorsubsampling="444"
        )
    )


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


def _plain(text: str) -> str:
    """OpenCV's letters are ASCII's."""
    return text.encode("ascii", "replace").decode()
