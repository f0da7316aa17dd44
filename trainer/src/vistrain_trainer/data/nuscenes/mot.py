"""MOT sequences of a nuScenes release: each camera of each scene is one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

import msgspec
import numpy as np

from vistrain_trainer.data.artifact import Making, write_file
from vistrain_trainer.data.nuscenes.release import Release
from vistrain_trainer.data.nuscenes.scene_boxes import BoxSource, SceneBoxes
from vistrain_trainer.data.nuscenes.tally import Tally
from vistrain_trainer.data.ordered_work import each
from vistrain_trainer.data.progress import Advance
from vistrain_trainer.errors import BadInput

IMAGES = "img1"
"""Folder of a sequence's pictures."""
DECIMALS = 3
"""Of pixels."""
_MIDDLES = np.array([-1, 0.2, 0.5, 0.7, 0.9])
"""Middle of each bin of visibility; -1 where it is not known."""
_encode_lines = msgspec.json.Encoder().encode_lines


@dataclass(frozen=True)
class _Written:
    files: dict[str, str]
    names: list[str]
    tracks: int
    keyframe: np.ndarray
    frame: np.ndarray
    label: np.ndarray
    dropped: dict[str, int]


def write_mot(
    source: BoxSource,
    splits: Mapping[str, Sequence[int]],
    making: Making,
    *,
    fps: int,
    processes: int,
    advance: Advance,
) -> dict[str, Tally]:
    """Write SPLIT/SEQUENCE/ with ground truth, frames and tracks, seqmaps/SPLIT.txt, and tell what they hold.

    Args:
        splits: rows of `Release.scenes`.
        fps: nominal frames per second.
        advance: told of each scene.

    Raises:
        BadInput: the pictures of a sequence are not all of one size.
        OSError: a file cannot be written; it is named.
    """
    tallies = {}
    for split, scenes in splits.items():
        tallies[split] = tally = Tally(source.classes, sequences=0, tracks=0)
        names: list[str] = []
        work = partial(_write_scene, source, making.now, split, fps)
        for written in each(work, scenes, processes=processes):
            making.files |= written.files
            names += written.names
            tally.add(written.keyframe, written.frame, written.label, written.dropped)
            tally.sequences = len(names)
            tally.tracks = (tally.tracks or 0) + written.tracks
            advance(1)
        making.write(f"seqmaps/{split}.txt", "".join(f"{name}\n" for name in ("name", *names)).encode())
    return tallies


def sequence_name(release: Release, scene: int, camera: int) -> str:
    """The folder of a sequence, such as scene-0061_CAM_FRONT."""
    return f"{release.scenes[scene].name}_{release.cameras[camera]}"


def picture_name(split: str, sequence: str, frame: int, suffix: str) -> str:
    """Where the picture of a frame, counted from 1, is in the data set."""
    return f"{split}/{sequence}/{IMAGES}/{frame:06d}{suffix}"


def _write_scene(source: BoxSource, folder: Path, split: str, fps: int, scene: int) -> _Written:
    release, found = source.release, source.boxes(scene)
    files: dict[str, str] = {}
    names = []
    tracks = start = 0
    for camera in range(len(release.cameras)):
        rows = source.frames(scene, camera)
        if not len(rows):
            continue
        name = sequence_name(release, scene, camera)
        names.append(name)
        here = slice(*np.searchsorted(found.frame, [start, start + len(rows)]).tolist())
        instance = release.annotations.instance[found.annotation[here]]
        track, order = _number(found.frame[here], instance, release.instances.token)
        tracks += len(order)
        contents = {
            "gt/gt.txt": _truth(found, here, start, track),
            "seqinfo.ini": _info(release, rows, name, fps),
            "frames.csv": _frames(release, rows),
            "tracks.csv": _tracks(release.instances.token[order]),
        }
        for file, content in contents.items():
            path = f"{split}/{name}/{file}"
            files[path] = write_file(folder / path, content)
        start += len(rows)
    keyframe = release.frames.keyframe[found.frames]
    return _Written(files, names, tracks, keyframe, found.frame, found.label, found.dropped)


def _number(frame: np.ndarray, instance: np.ndarray, tokens: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Track ids from 1 by first appearance, then token: (n,) of each box; and the instance of each track.

    Args:
        frame: (n,) of each box, ascending.
        instance: (n,) of each box, row of `tokens`.
    """
    found, first, place = np.unique(instance, return_index=True, return_inverse=True)
    order = np.lexsort((tokens[found], frame[first]))
    track = np.empty(len(order), np.int64)
    track[order] = np.arange(1, len(order) + 1)
    return track[place], found[order]


def _truth(found: SceneBoxes, here: slice, start: int, track: np.ndarray) -> bytes:
    """frame, id, x, y, width, height, 1, class, visibility, -1; by frame, then id."""
    frame = found.frame[here] - start + 1
    box = found.boxes[here]
    box = np.round(np.hstack([box[:, :2], box[:, 2:] - box[:, :2]]), DECIMALS)
    order = np.lexsort((track, frame))
    count = len(frame)
    rows = zip(
        frame[order].tolist(),
        track[order].tolist(),
        *box[order].T.tolist(),
        [1] * count,
        found.label[here][order].tolist(),
        _MIDDLES[found.visibility[here][order]].tolist(),
        [-1] * count,
        strict=True,
    )
    # Numbers without brackets: lists of them have nothing else that bears any.
    return _encode_lines(list(rows)).replace(b"[", b"").replace(b"]", b"")


def _info(release: Release, rows: np.ndarray, name: str, fps: int) -> bytes:
    frames = release.frames
    width, height = frames.size[rows[0]].tolist()
    other = np.flatnonzero((frames.size[rows] != (width, height)).any(axis=1))
    if len(other):
        row = rows[other[0]]
        raise BadInput(
            field="sample_data.json",
            value=frames.token[row].decode(),
            problem=f"its picture is of another size than the first of {name}, {width}×{height} pixels",
            remedy="leave this scene or camera out",
        )
    suffix = PurePosixPath(frames.file_name[rows[0]].decode()).suffix
    return (
        f"[Sequence]\nname={name}\nimDir={IMAGES}\nframeRate={fps}\nseqLength={len(rows)}\n"
        f"imWidth={width}\nimHeight={height}\nimExt={suffix}\n"
    ).encode()


def _frames(release: Release, rows: np.ndarray) -> bytes:
    frames = release.frames
    columns = zip(
        frames.token[rows].tolist(),
        frames.timestamp[rows].tolist(),
        frames.keyframe[rows].tolist(),
        strict=True,
    )
    lines = ["frame,sample_data_token,timestamp,keyframe"]
    lines += [
        f"{frame},{token.decode()},{time},{key:d}" for frame, (token, time, key) in enumerate(columns, 1)
    ]
    return ("\n".join(lines) + "\n").encode()


def _tracks(tokens: np.ndarray) -> bytes:
    lines = ["id,instance_token", *(f"{track},{token.decode()}" for track, token in enumerate(tokens, 1))]
    return ("\n".join(lines) + "\n").encode()
