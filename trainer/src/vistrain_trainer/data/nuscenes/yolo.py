"""The YOLO layout of a nuScenes release: a label file for each picture."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np

from vistrain_trainer.data.artifact import Making, write_file
from vistrain_trainer.data.nuscenes.scene_boxes import BoxSource
from vistrain_trainer.data.nuscenes.tally import Tally
from vistrain_trainer.data.ordered_work import each
from vistrain_trainer.data.progress import Advance
from vistrain_trainer.data.yolo.data_file import SPLITS, encode_data_file
from vistrain_trainer.errors import BadInput


@dataclass(frozen=True)
class _Written:
    files: dict[str, str]
    keyframe: np.ndarray
    frame: np.ndarray
    label: np.ndarray
    dropped: dict[str, int]


def write_yolo(
    source: BoxSource,
    splits: Mapping[str, Sequence[int]],
    making: Making,
    *,
    processes: int,
    advance: Advance,
) -> dict[str, Tally]:
    """Write data.yaml and labels/SPLIT/, with a file for every picture, and tell what the splits hold.

    Trainers find the labels of images/train/a.jpg in labels/train/a.txt.

    Args:
        splits: rows of `Release.scenes`.
        advance: told of each scene.

    Raises:
        OSError: a file cannot be written; it is named.
    """
    tallies = {}
    for split, scenes in splits.items():
        tallies[split] = tally = Tally(source.classes)
        for written in each(partial(_write_scene, source, making.now, split), scenes, processes=processes):
            making.files |= written.files
            tally.add(written.keyframe, written.frame, written.label, written.dropped)
            advance(1)
    making.write("data.yaml", encode_data_file(source.classes, {name: f"images/{name}" for name in splits}))
    return tallies


def require_splits(splits: Iterable[str]) -> None:
    """Refuse splits that data.yaml has no place for.

    Raises:
        BadInput: a split has another name than YOLO knows.
    """
    for split in splits:
        if split not in SPLITS:
            raise BadInput(
                field="--splits",
                value=split,
                problem="is no split of YOLO's",
                remedy=f"call them {', '.join(SPLITS)}, or leave yolo out of --format",
            )


def picture_name(split: str, file_name: str) -> str:
    """Where a picture of the release is in the data set."""
    return f"images/{split}/{PurePosixPath(file_name).name}"


def _write_scene(source: BoxSource, folder: Path, split: str, scene: int) -> _Written:
    release, found = source.release, source.boxes(scene)
    size = release.frames.size[found.frames[found.frame]]
    low, high = found.boxes[:, :2], found.boxes[:, 2:]
    shares = np.hstack([(low + high) / 2 / size, (high - low) / size])
    rows = np.column_stack([found.frame, found.label, np.round(shares, 9)])
    # Trainers leave out rows that repeat another: two objects that both fill the picture.
    first = np.sort(np.unique(rows, axis=0, return_index=True)[1])
    rows = rows[first]
    dropped = found.dropped | {"sameAsAnother": len(found.frame) - len(first)}
    lines = [
        f"{label:.0f} {x:.9f} {y:.9f} {width:.9f} {height:.9f}\n"
        for label, x, y, width, height in rows[:, 1:].tolist()
    ]
    ends = np.searchsorted(rows[:, 0], np.arange(len(found.frames) + 1)).tolist()
    files = {}
    for at, file_name in enumerate(release.frames.file_name[found.frames].tolist()):
        name = f"labels/{split}/{PurePosixPath(file_name.decode()).stem}.txt"
        files[name] = write_file(folder / name, "".join(lines[ends[at] : ends[at + 1]]).encode())
    return _Written(
        files, release.frames.keyframe[found.frames], found.frame[first], found.label[first], dropped
    )
