"""Boxes drawn on the pictures that they are of, by themselves and several on one page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import PurePosixPath

import numpy as np

from vistrain_trainer.checking.content import UNKNOWN, Split
from vistrain_trainer.evaluation.canvas import (
    GROUND,
    PANEL,
    Colour,
    colour_of,
    draw_box,
    draw_tab,
    fit,
    legend,
    titled,
    write,
)
from vistrain_trainer.reporting.wording import count

SMALL = (480, 480)
"""Pixels that a picture is wide among others."""
COLUMNS = 3
"""Pictures side by side."""
_GREY = 96
_DIGITS = 6
"""Of the number of a frame in the name of its file; longer ones are times."""
_GAP = 4
_GROUNDS: dict[int, Colour] = {1: (50, 90, 20), 0: (20, 80, 150)}
"""Of the title: green of a keyframe, amber of an interpolated frame."""


def draw_frame(
    split: Split, frame: int, image: np.ndarray | None, panel: tuple[int, int] = PANEL
) -> np.ndarray:
    """A picture with its boxes in the colours of their classes, below its name.

    A track's number is on a tab; interpolated frames have an amber title, keyframes of sequences a green one.

    Args:
        frame: row of the split's frames.
        image: (H, W, 3) uint8, BGR, of any size; grey when none.
        panel: least and most pixels that it is wide.

    Returns:
        (h, w, 3) uint8, BGR.
    """
    rows = split.rows_of(frame)
    width, height = split.frames.size[frame].tolist()
    canvas, _ = fit(np.full((height, width, 3), _GREY, np.uint8) if image is None else image, panel)
    scale = np.array([canvas.shape[1] / width, canvas.shape[0] / height] * 2)
    if image is None:
        write(canvas, "no picture", 8, canvas.shape[0] - 8)
    boxes = split.boxes.box[rows] * scale
    order = np.argsort(-boxes[:, 2] * boxes[:, 3], kind="stable")  # small ones on top
    for at in order.tolist():
        draw_box(canvas, _inside(boxes[at], canvas), colour_of(int(split.boxes.label[rows[at]])))
    for at in order.tolist():
        track = int(split.boxes.track[rows[at]])
        if track != UNKNOWN:
            draw_tab(canvas, boxes[at], str(track), colour_of(int(split.boxes.label[rows[at]])))
    return titled(canvas, title(split, frame), _GROUNDS.get(int(split.frames.keyframe[frame]), GROUND))


def title(split: Split, frame: int) -> str:
    """What a picture is, in a line."""
    frames = split.frames
    sequence = split.sequences[int(frames.sequence[frame])]
    name = PurePosixPath(frames.name[frame])
    said = [sequence.name or name.name]
    if name.stem.isdecimal() and len(name.stem) <= _DIGITS:
        said.append(f"frame {int(name.stem)}")
    kind = {1: "keyframe", 0: "interpolated"}.get(int(frames.keyframe[frame]))
    if kind is not None:
        said.append(kind)
    said.append(count(len(split.rows_of(frame)), "box", "boxes"))
    return ", ".join(said)


def with_legend(canvas: np.ndarray, labels: Sequence[int], classes: Sequence[str]) -> np.ndarray:
    """A canvas above the colours of its classes."""
    return np.vstack((canvas, legend(sorted(set(labels)), classes, canvas.shape[1])))


def mosaic(canvases: Sequence[np.ndarray], columns: int = COLUMNS) -> np.ndarray:
    """Canvases of one width in rows, read as a text is."""
    columns = min(columns, len(canvases))
    rows = []
    for first in range(0, len(canvases), columns):
        row = list(canvases[first : first + columns])
        height = max(canvas.shape[0] for canvas in row)
        cells = [_padded(canvas, height) for canvas in row]
        cells += [np.full_like(cells[0], GROUND)] * (columns - len(cells))
        rows.append(np.hstack([part for cell in cells for part in (cell, _bar(height, _GAP))][:-1]))
    return np.vstack([part for row in rows for part in (row, _bar(_GAP, row.shape[1]))][:-1])


def columns_of(canvases: Sequence[np.ndarray]) -> int:
    """Columns in which canvases of one size make about a square."""
    height, width = canvases[0].shape[:2]
    return max(1, min(4, round(math.sqrt(len(canvases) * height / width))))


def _inside(box: np.ndarray, canvas: np.ndarray) -> np.ndarray:
    """A box with its right and lower line on the canvas where it ends at the border."""
    border = np.array(canvas.shape[1::-1], float)
    end = box[:2] + box[2:]
    end = np.where((end > border - 1) & (end <= border + 0.5), border - 1, end)
    return np.concatenate([box[:2], end - box[:2]])


def _padded(canvas: np.ndarray, height: int) -> np.ndarray:
    missing = height - canvas.shape[0]
    return np.vstack((canvas, _bar(missing, canvas.shape[1])))


def _bar(height: int, width: int) -> np.ndarray:
    return np.full((height, width, 3), GROUND, np.uint8)
