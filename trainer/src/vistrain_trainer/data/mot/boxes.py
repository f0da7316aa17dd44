"""Ground truth and detections of a sequence."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vistrain_trainer.data.mot.rows import Rows
from vistrain_trainer.errors import BadInput

_TRUTH = "frame, id, x, y, width, height, whether it counts, class, visibility"
_DETECTION = "frame, -1, x, y, width, height, score, class"
_UNKNOWN = -1.0


@dataclass(frozen=True)
class Truth:
    """The tracks of a sequence, in the order of the file."""

    frame: np.ndarray
    """(n,) int32, from 1."""
    track: np.ndarray
    """(n,) int32, from 1; the same object through the sequence."""
    box: np.ndarray
    """(n, 4) float64 x, y, width, height in pixels, x and y of the left upper corner; may reach out."""
    counts: np.ndarray
    """(n,) bool; what does not count is neither learned from nor judged by."""
    label: np.ndarray
    """(n,) int16 index of the class, from 0."""
    visibility: np.ndarray
    """(n,) float32, 0 to 1; not a number where the file does not say."""

    def __len__(self) -> int:
        return len(self.frame)


@dataclass(frozen=True)
class Detections:
    """What was found in a sequence, by whom ever, in the order of the file."""

    frame: np.ndarray
    """(n,) int32, from 1."""
    track: np.ndarray
    """(n,) int32; -1 of a detection that is not tracked."""
    box: np.ndarray
    """(n, 4) float64 x, y, width, height in pixels."""
    score: np.ndarray
    """(n,) float64."""
    label: np.ndarray
    """(n,) int16 index of the class, from 0."""

    def __len__(self) -> int:
        return len(self.frame)


def read_truth(path: Path, *, frames: int | None = None, classes: int | None = None) -> Truth:
    """Read a gt.txt: nine or ten numbers a line.

    A file of MOT15, which has -1 from the eighth on, reads as one class of unknown visibility.

    Args:
        path: of the file.
        frames: length of the sequence.
        classes: how many there are.

    Raises:
        BadInput: a line is not such, a frame or class is out of bounds, a box has no area, a track is twice
            in a frame, or the file tells no classes and there are several.
    """
    rows = Rows(path, _TRUTH, range(9, 11))
    frame = rows.whole(0, "the frame", 1, frames)
    track = rows.whole(1, "the track's id", 1)
    box = _boxes(rows)
    counts = rows.whole(6, "whether it counts", 0, 1)
    rows.require(_first_of_pair(frame, track), 1, "the track is in this frame twice")
    bare = _without_classes(rows, classes)
    label = np.zeros(len(rows), np.int64) if bare else _labels(rows, classes)
    visibility = rows.values[:, 8]
    known = visibility != _UNKNOWN
    rows.require(~known | ((visibility >= 0) & (visibility <= 1)), 8, "the visibility is not from 0 to 1")
    return Truth(
        frame=frame.astype(np.int32),
        track=track.astype(np.int32),
        box=box,
        counts=counts.astype(bool),
        label=label.astype(np.int16),
        visibility=np.where(known, visibility, np.nan).astype(np.float32),
    )


def read_detections(path: Path, *, frames: int | None = None, classes: int | None = None) -> Detections:
    """Read detections, or the results of a tracker: seven to ten numbers a line.

    Where there are seven, or the eighth is -1 throughout, all are of one class.

    Args:
        path: of the file.
        frames: length of the sequence.
        classes: how many there are.

    Raises:
        BadInput: a line is not such, a frame or class is out of bounds, a box has no area, or the file tells
            no classes and there are several.
    """
    rows = Rows(path, _DETECTION, range(7, 11))
    frame = rows.whole(0, "the frame", 1, frames)
    track = rows.whole(1, "the track's id", -1)
    box = _boxes(rows)
    bare = _without_classes(rows, classes)
    label = np.zeros(len(rows), np.int64) if bare else _labels(rows, classes)
    return Detections(
        frame=frame.astype(np.int32),
        track=track.astype(np.int32),
        box=box,
        score=rows.values[:, 6].copy(),
        label=label.astype(np.int16),
    )


def _boxes(rows: Rows) -> np.ndarray:
    for column, name in ((4, "the width"), (5, "the height")):
        rows.require(rows.values[:, column] > 0, column, f"{name} is not above 0")
    return rows.values[:, 2:6].copy()


def _without_classes(rows: Rows, classes: int | None) -> bool:
    bare = len(rows) > 0 and bool((rows.values[:, 7:] == _UNKNOWN).all())  # also where there are seven
    if bare and classes is not None and classes > 1:
        raise BadInput(
            field=f"{rows.path}:1",
            value="no class",
            problem=f"it is of one class, as files of MOT15 are, and there are {classes}",
            remedy="Name a single class, or write the file with the index of the class, from 0, in each line",
        )
    return bare


def _labels(rows: Rows, classes: int | None) -> np.ndarray:
    return rows.whole(7, "the class", 0, 32_767 if classes is None else classes - 1)


def _first_of_pair(frame: np.ndarray, track: np.ndarray) -> np.ndarray:
    """(n,) bool: whether no row before has the same frame and track."""
    first = np.zeros(len(frame), bool)
    first[np.unique((frame << 32) + track, return_index=True)[1]] = True
    return first
