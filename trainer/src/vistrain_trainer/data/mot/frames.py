"""frames.csv and tracks.csv: what the frames and tracks of a prepared sequence are."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vistrain_trainer.data.mot.rows import read_content
from vistrain_trainer.errors import BadInput

FRAMES, TRACKS = "frames.csv", "tracks.csv"
_TRUE, _FALSE = ("1", "true"), ("0", "false")


@dataclass(frozen=True)
class Frames:
    """The pictures of a sequence, in order of time; frame i of its other files is row i - 1."""

    token: tuple[str, ...]
    """Of the sample_data."""
    timestamp: np.ndarray
    """(n,) int64 microseconds since 1970."""
    keyframe: np.ndarray
    """(n,) bool."""

    def __len__(self) -> int:
        return len(self.token)

    @property
    def interval(self) -> float | None:
        """Mean seconds between frames; None of a single one."""
        if len(self) < 2:
            return None
        return float(self.timestamp[-1] - self.timestamp[0]) / 1e6 / (len(self) - 1)


def read_frames(path: Path) -> Frames:
    """Read a frames.csv: frame from 1 without gaps, token, timestamp, whether it is a keyframe.

    Raises:
        BadInput: it cannot be read, or a line is not such.
    """
    tokens: list[str] = []
    timestamps: list[int] = []
    keyframes: list[bool] = []
    for line, cells in _lines(path, "frame", 4):
        frame, token, timestamp, keyframe = cells
        if frame != str(len(tokens) + 1):
            raise _fault(path, line, frame, f"the frame is not {len(tokens) + 1}, the next one")
        time = int(timestamp) if timestamp.isdecimal() else None
        if time is None or time >= 2**63 or (timestamps and time <= timestamps[-1]):
            problem = "the timestamp is not microseconds later than the line before"
            raise _fault(path, line, timestamp, problem)
        if keyframe.lower() not in (*_TRUE, *_FALSE):
            raise _fault(path, line, keyframe, "whether it is a keyframe is neither 1 nor 0")
        tokens.append(token)
        timestamps.append(time)
        keyframes.append(keyframe.lower() in _TRUE)
    return Frames(tuple(tokens), np.array(timestamps, np.int64), np.array(keyframes, bool))


def read_tracks(path: Path) -> dict[int, str]:
    """Read a tracks.csv: the token of the instance by the track's id.

    Raises:
        BadInput: it cannot be read, or a line is not such, or an id comes twice.
    """
    tracks: dict[int, str] = {}
    for line, (track, instance) in _lines(path, "id", 2):
        if not track.isdecimal() or not 1 <= int(track) < 2**31 or int(track) in tracks:
            raise _fault(path, line, track, "the id is not a whole number above 0 that comes once")
        tracks[int(track)] = instance
    return tracks


def _lines(path: Path, first: str, columns: int) -> Iterator[tuple[int, list[str]]]:
    """Number and cells of each line after the heading, whose first cell is given."""
    try:
        reader = csv.reader(read_content(path).decode().splitlines(), strict=True)
        for cells in reader:
            line = reader.line_num
            if line == 1 and cells[:1] != [first]:
                raise _fault(
                    path, line, ",".join(cells), f"the first line does not name the columns: {first}, …"
                )
            if len(cells) != columns or not all(cells):
                raise _fault(path, line, ",".join(cells), f"it has not {columns} values")
            if line > 1:
                yield line, cells
    except (UnicodeDecodeError, csv.Error) as error:
        raise _fault(path, 1, str(error), "it is not a text of values with commas between") from error


def _fault(path: Path, line: int, value: str, problem: str) -> BadInput:
    return BadInput(
        field=f"{path}:{line}",
        value=value,
        problem=problem,
        remedy="Prepare the data again; the file is written by `vistrain prepare`",
    )
