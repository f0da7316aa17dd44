"""Figures of the files: whether they are as prepared and as the manifest counts them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from vistrain_trainer.checking import catalogue
from vistrain_trainer.checking.bounds import NOTHING
from vistrain_trainer.checking.content import UNKNOWN, Content, Split
from vistrain_trainer.checking.figure import ALL, NAMED, Figure
from vistrain_trainer.data.digests import sha256_of
from vistrain_trainer.data.manifest import Counts
from vistrain_trainer.data.progress import Progress, silent


def file_figures(content: Content, progress: Progress = silent) -> Iterator[Figure]:
    """All of them.

    Raises:
        BadInput: a file is there and cannot be read.
    """
    yield _changed(content, progress)
    if content.manifest.format != "mot":  # which has numbers only
        yield _class_order(content)
    yield _counts(content)


def _changed(content: Content, progress: Progress) -> Figure:
    stated = content.manifest.files
    found = []
    with progress(f"comparing {len(stated)} files with the manifest", len(stated)) as advance:
        for name, digest in stated.items():
            path = content.folder / name
            if not path.is_file():
                found.append(f"{name}: it is not there")
            elif sha256_of(path) != digest:
                found.append(f"{name}: it was changed")
            advance(1)
    places = {ALL: tuple(found[:NAMED])} if found else {}
    return Figure(catalogue.CHANGED_FILES, {ALL: float(len(found))}, NOTHING, places)


def _class_order(content: Content) -> Figure:
    values, places = {}, {}
    for name, split in content.splits.items():
        pairs = list(zip(content.classes, split.classes, strict=True))
        wrong = [f"{found} in place of {stated}" for stated, found in pairs if found != stated]
        values[name] = float(len(wrong))
        if wrong:
            places[name] = tuple(wrong[:NAMED])
    return Figure(catalogue.CLASS_ORDER, values, NOTHING, places)


def _counts(content: Content) -> Figure:
    values, places = {}, {}
    for name, split in content.splits.items():
        stated, found = content.manifest.splits[name].counts, counts_of(split, content.classes)
        wrong = list(_differences(stated, found))
        values[name] = float(len(wrong))
        if wrong:
            places[name] = tuple(wrong[:NAMED])
    return Figure(catalogue.COUNTS, values, NOTHING, places)


def counts_of(split: Split, classes: tuple[str, ...]) -> Counts:
    """Everything that a manifest states, counted; what the files do not tell is none."""
    per_class = np.bincount(split.boxes.label, minlength=len(classes)).tolist()
    sequence = split.frames.sequence[split.boxes.frame].astype(np.int64)
    tracked = split.boxes.track != UNKNOWN
    tracks = np.unique((sequence[tracked] << 32) + split.boxes.track[tracked])
    keyframe = split.frames.keyframe
    told = not (keyframe == UNKNOWN).any()
    return Counts(
        images=len(split.frames),
        annotations=len(split.boxes),
        per_class=dict(zip(classes, per_class, strict=True)),
        sequences=len(split.sequences) if any(one.scene for one in split.sequences) else None,
        tracks=len(tracks) if tracked.any() else None,
        key_frames=int((keyframe == 1).sum()) if told else None,
        interpolated_frames=int((keyframe == 0).sum()) if told else None,
    )


def _differences(stated: Counts, found: Counts) -> Iterator[str]:
    kinds = {
        "images": "pictures",
        "annotations": "boxes",
        "sequences": "sequences",
        "tracks": "tracks",
        "key_frames": "keyframes",
        "interpolated_frames": "interpolated frames",
    }
    for key, what in kinds.items():
        before, now = getattr(stated, key), getattr(found, key)
        if before is not None and now is not None and before != now:
            yield f"{now} {what}, the manifest says {before}"
    for name, number in found.per_class.items():
        if stated.per_class.get(name, 0) != number:
            yield f"{number} boxes of {name}, the manifest says {stated.per_class.get(name, 0)}"
