"""Reading of a split from MOT sequences."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from vistrain_trainer.checking.content import UNKNOWN, Boxes, CameraSequence, Frames, Split
from vistrain_trainer.data.manifest import DatasetManifest
from vistrain_trainer.data.mot.sequence import Sequence as MotSequence
from vistrain_trainer.data.mot.sequence import read_split


def read_mot(
    folder: Path, name: str, manifest: DatasetManifest, advance: Callable[[int], None] = lambda _: None
) -> Split:
    """Read a split.

    Args:
        folder: of the data set.
        name: of the split.
        manifest: of the data set.
        advance: called with 1 after each sequence.

    Raises:
        BadInput: a sequence is missing or faulty.
    """
    tokens = {scene.name: scene.token for scene in manifest.splits[name].scenes}
    sequences, frames, boxes = [], [], []
    first = 0
    for place, one in enumerate(read_split(folder, name, len(manifest.classes))):
        sequences.append(_sequence(one, manifest.cameras, tokens))
        frames.append(_frames(one, place, name))
        boxes.append(_boxes(one, first))
        first += one.info.length
        advance(1)
    return Split(name, manifest.classes, tuple(sequences), _joined(frames), _together(boxes))


def _sequence(one: MotSequence, cameras: tuple[str, ...], tokens: dict[str, str]) -> CameraSequence:
    """Scene and camera of a folder's name, such as scene-0001_CAM_FRONT."""
    for camera in cameras:
        if one.name.endswith(f"_{camera}"):
            scene = one.name.removesuffix(f"_{camera}")
            return CameraSequence(scene, camera, one.name, tokens.get(scene, ""))
    return CameraSequence(one.name, "", one.name, tokens.get(one.name, ""))


def _frames(one: MotSequence, place: int, split: str) -> Frames:
    info, known = one.info, one.frames
    names = (
        f"{split}/{one.name}/{info.image_folder}/{number:06d}{info.image_suffix}"
        for number in range(1, info.length + 1)
    )
    return Frames(
        name=tuple(names),
        token=("",) * info.length if known is None else known.token,
        size=np.tile(np.array([[info.width, info.height]], np.int32), (info.length, 1)),
        sequence=np.full(info.length, place, np.int32),
        timestamp=np.full(info.length, UNKNOWN, np.int64) if known is None else known.timestamp,
        keyframe=np.full(info.length, UNKNOWN, np.int8) if known is None else known.keyframe.astype(np.int8),
        orientation=np.ones(info.length, np.uint8),
    )


def _boxes(one: MotSequence, first: int) -> Boxes:
    truth = one.truth
    return Boxes(
        frame=(truth.frame + (first - 1)).astype(np.int32),
        box=truth.box,
        label=truth.label,
        track=truth.track,
        visibility=truth.visibility,
        distance=np.full(len(truth), np.nan, np.float32),
    )


def _joined(parts: list[Frames]) -> Frames:
    return Frames(
        name=tuple(name for part in parts for name in part.name),
        token=tuple(token for part in parts for token in part.token),
        **{key: _columns(parts, key) for key in ("size", "sequence", "timestamp", "keyframe", "orientation")},
    )


def _together(parts: list[Boxes]) -> Boxes:
    keys = ("frame", "box", "label", "track", "visibility", "distance")
    return Boxes(**{key: _columns(parts, key) for key in keys})


def _columns(parts: list[Frames] | list[Boxes], key: str) -> np.ndarray:
    return np.concatenate([getattr(part, key) for part in parts])
