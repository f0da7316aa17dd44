"""What a prepared data set holds, in columns that are the same whatever its layout."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from vistrain_trainer.data.manifest import MANIFEST, DatasetManifest

UNKNOWN = -1


@dataclass(frozen=True)
class CameraSequence:
    """The pictures of one camera through one scene."""

    scene: str
    """Name; empty where it is not known."""
    camera: str
    """Channel; empty where it is not known."""
    name: str
    """Of its folder, or of scene and camera."""
    token: str = ""
    """Of the scene; empty where the data do not say it."""


@dataclass(frozen=True)
class Frames:
    """The pictures of a split."""

    name: tuple[str, ...]
    """Of the file, relative to the folder of pictures."""
    token: tuple[str, ...]
    """Of the sample_data; empty where the data do not say it."""
    size: np.ndarray
    """(n, 2) int32 width, height in pixels."""
    sequence: np.ndarray
    """(n,) int32 place in `Split.sequences`."""
    timestamp: np.ndarray
    """(n,) int64 microseconds since 1970; UNKNOWN where the data do not say it."""
    keyframe: np.ndarray
    """(n,) int8: 1, 0, or UNKNOWN."""
    orientation: np.ndarray
    """(n,) uint8 EXIF's orientation that the picture is turned by to be of this size."""

    def __len__(self) -> int:
        return len(self.name)


@dataclass(frozen=True)
class Boxes:
    """The boxes of a split, in the order of its files."""

    frame: np.ndarray
    """(n,) int32 row of `Split.frames`."""
    box: np.ndarray
    """(n, 4) float64 x, y, width, height in pixels, x and y of the left upper corner."""
    label: np.ndarray
    """(n,) int16 index of the class in the manifest's order."""
    track: np.ndarray
    """(n,) int32 number of the track within its sequence; UNKNOWN of pictures by themselves."""
    visibility: np.ndarray
    """(n,) float32, 0 to 1; not a number where the data do not say it."""
    distance: np.ndarray
    """(n,) float32 metres; not a number where the data do not say it."""

    def __len__(self) -> int:
        return len(self.frame)


@dataclass(frozen=True)
class Split:
    """One split as its files state it."""

    name: str
    classes: tuple[str, ...]
    """In the order in which its files number them; the manifest's where they name none."""
    sequences: tuple[CameraSequence, ...]
    """In the order of the files."""
    frames: Frames
    """Of MOT by sequence and time."""
    boxes: Boxes

    @cached_property
    def boxes_of_frame(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows of the boxes sorted by frame, and where each frame's begin: (n,) and (frames + 1,)."""
        order = np.argsort(self.boxes.frame, kind="stable")
        return order, np.searchsorted(self.boxes.frame[order], np.arange(len(self.frames) + 1))

    def rows_of(self, frame: int) -> np.ndarray:
        """Rows of the boxes of a frame."""
        order, ends = self.boxes_of_frame
        return order[ends[frame] : ends[frame + 1]]

    def frames_of(self, sequence: int) -> np.ndarray:
        """Rows of the frames of a sequence, by time where it is known, else as they come."""
        rows = np.flatnonzero(self.frames.sequence == sequence)
        return rows[np.argsort(self.frames.timestamp[rows], kind="stable")]

    def where(self, frame: int) -> str:
        """A frame as a person finds it: its split with the file of its picture."""
        name = self.frames.name[frame]
        return name if name.startswith(f"{self.name}/") else f"{self.name}: {name}"


@dataclass(frozen=True)
class Content:
    """A prepared data set."""

    folder: Path
    manifest: DatasetManifest
    splits: Mapping[str, Split]
    """In the manifest's order."""

    @property
    def manifest_path(self) -> Path:
        """Where its manifest is."""
        return self.folder / MANIFEST

    @property
    def classes(self) -> tuple[str, ...]:
        """In the manifest's order."""
        return self.manifest.classes
