"""What tells the pictures that are held back, whatever a file says of them later."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePosixPath

import msgspec

from vistrain_trainer.data.nuscenes.scene_boxes import BoxSource


def reserved_pictures(source: BoxSource, scenes: Iterable[int]) -> bytes:
    """JSON: the token of the scene by the base name of each picture, and by the token of each sample."""
    release = source.release
    held: dict[str, str] = {}
    for row in scenes:
        scene = release.scenes[row]
        for name in release.frames.file_name[source.all_frames(row)].tolist():
            held[PurePosixPath(name.decode()).name] = scene.token
        for token in release.samples.token[scene.samples].tolist():
            held[token.decode()] = scene.token
    return msgspec.json.encode(held) + b"\n"
