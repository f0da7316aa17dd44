"""Sequences and splits of them, whole."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from vistrain_trainer.data.mot.boxes import Truth, read_truth
from vistrain_trainer.data.mot.frames import FRAMES, TRACKS, Frames, read_frames, read_tracks
from vistrain_trainer.data.mot.info import INFO, SequenceInfo, read_info, read_seqmap
from vistrain_trainer.errors import BadInput

TRUTH = "gt/gt.txt"
SEQMAPS = "seqmaps"


@dataclass(frozen=True)
class Sequence:
    """A folder with the pictures of one camera through one scene, or with what is known of them.

    `info` is read at once; the rest when first asked for, since a split is of thousands of sequences. It may
    raise BadInput then.
    """

    folder: Path
    info: SequenceInfo
    classes: int | None = None
    """How many there are; None when any number will do."""

    @property
    def name(self) -> str:
        """Name of its folder."""
        return self.folder.name

    @cached_property
    def truth(self) -> Truth:
        """What is known to be in it."""
        truth = read_truth(self.folder / TRUTH, frames=self.info.length, classes=self.classes)
        unknown = np.setdiff1d(truth.track, np.fromiter(self.tracks, np.int64))
        if self.tracks and len(unknown):
            raise BadInput(
                field=str(self.folder / TRACKS),
                value=int(unknown[0]),
                problem=f"the track is in {TRUTH}, and not here",
                remedy="Prepare the data again; one of the two files is of another preparation",
            )
        return truth

    @cached_property
    def frames(self) -> Frames | None:
        """When its pictures were taken; None where there is no frames.csv."""
        path = self.folder / FRAMES
        if not path.exists():
            return None
        frames = read_frames(path)
        if len(frames) != self.info.length:
            raise BadInput(
                field=str(path),
                value=f"{len(frames)} frames",
                problem=f"{INFO} states seqLength={self.info.length}",
                remedy="Prepare the data again; one of the two files is of another preparation",
            )
        return frames

    @cached_property
    def tracks(self) -> dict[int, str]:
        """Token of the instance by track; empty where there is no tracks.csv."""
        path = self.folder / TRACKS
        return read_tracks(path) if path.exists() else {}

    @property
    def frame_interval(self) -> float:
        """Mean seconds between frames: as measured, or else by the nominal rate."""
        measured = None if self.frames is None else self.frames.interval
        return 1 / self.info.frame_rate if measured is None else measured


def read_sequence(folder: Path, classes: int | None = None) -> Sequence:
    """A sequence's folder.

    Raises:
        BadInput: it is none.
    """
    return Sequence(folder, read_info(folder / INFO), classes)


def read_split(root: Path, split: str, classes: int | None = None) -> tuple[Sequence, ...]:
    """The sequences of a split, in the order of `seqmaps/{split}.txt`; by name where there is no such file.

    Args:
        root: folder of the data set.
        split: name of the folder in it.
        classes: how many there are.

    Raises:
        BadInput: there is no such split, or one of its sequences is not there.
    """
    folder, seqmap = root / split, root / SEQMAPS / f"{split}.txt"
    if seqmap.is_file():
        names = read_seqmap(seqmap)
    else:
        names = tuple(sorted(path.parent.name for path in folder.glob(f"*/{INFO}")))
    missing = [name for name in names if not (folder / name / INFO).is_file()]
    if missing or not names:
        raise BadInput(
            field=str(seqmap if missing else root),
            value=missing[0] if missing else split,
            problem=f"{len(missing)} of its {len(names)} sequences are not in {folder}"
            if missing
            else f"there is no sequence in {folder}",
            remedy="Copy them there" if missing else f"Name a split whose folders have a {INFO}",
        )
    return tuple(read_sequence(folder / name, classes) for name in names)
