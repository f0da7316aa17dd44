"""Pictures of a release put into a data set's folder."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

from vistrain_trainer.data.artifact import Making
from vistrain_trainer.data.nuscenes import mot, yolo
from vistrain_trainer.data.nuscenes.options import Layout
from vistrain_trainer.data.nuscenes.release import Release
from vistrain_trainer.data.nuscenes.scene_boxes import BoxSource
from vistrain_trainer.data.progress import Advance
from vistrain_trainer.data.sets.pictures import place
from vistrain_trainer.errors import BadInput

FOLDER = "images"
"""Of the pictures, but for MOT, whose sequences have their own."""


def require_pictures(source: BoxSource, scenes: Iterable[int]) -> int:
    """Check that the pictures of scenes are there, listing each folder once; tell how many they are.

    Raises:
        BadInput: the first one that is missing, and how many are.
    """
    frames, root = source.release.frames, source.release.root
    listed: dict[Path, set[str]] = {}
    missing: list[int] = []
    count = 0
    for scene in scenes:
        rows = source.all_frames(scene)
        count += len(rows)
        for row, name in zip(rows.tolist(), frames.file_name[rows].tolist(), strict=True):
            path = root / name.decode()
            if path.parent not in listed:
                listed[path.parent] = _names(path.parent)
            if path.name not in listed[path.parent]:
                missing.append(row)
    if missing:
        raise BadInput(
            field="--pictures",
            value=str(root / frames.file_name[missing[0]].decode()),
            problem=f"the picture of sample_data {frames.token[missing[0]].decode()} is not there, and "
            f"{len(missing)} of {count} are missing",
            remedy="unpack the release's files there, or say --pictures none",
        )
    return count


def place_pictures(
    source: BoxSource,
    layout: Layout,
    splits: Mapping[str, Sequence[int]],
    making: Making,
    mode: Literal["link", "copy"],
    advance: Advance,
) -> None:
    """Link or copy the pictures of splits; those that are there already are left as they are.

    Links are relative, so that they hold when the volume with both folders is mounted elsewhere.

    Raises:
        OSError: a picture cannot be read or written; it is named.
    """
    root = source.release.root.resolve()
    for file_name, name in _targets(source, layout, splits):
        place(root / file_name, making, name, mode)
        advance(1)


def _targets(
    source: BoxSource, layout: Layout, splits: Mapping[str, Sequence[int]]
) -> Iterator[tuple[str, str]]:
    """Names of every picture: in the release, and in the data set."""
    release = source.release
    for split, scenes in splits.items():
        for scene in scenes:
            for camera in range(len(release.cameras)):
                rows = source.frames(scene, camera)
                names = [name.decode() for name in release.frames.file_name[rows].tolist()]
                yield from zip(names, _names_in(layout, release, split, scene, camera, names), strict=True)


def _names_in(
    layout: Layout, release: Release, split: str, scene: int, camera: int, names: Sequence[str]
) -> Iterator[str]:
    if layout == "coco":
        yield from (f"{FOLDER}/{name}" for name in names)
    elif layout == "yolo":
        yield from (yolo.picture_name(split, name) for name in names)
    else:
        sequence = mot.sequence_name(release, scene, camera)
        for frame, name in enumerate(names, start=1):
            yield mot.picture_name(split, sequence, frame, Path(name).suffix)


def _names(folder: Path) -> set[str]:
    try:
        return {entry.name for entry in os.scandir(folder)}
    except (FileNotFoundError, NotADirectoryError):
        return set()
