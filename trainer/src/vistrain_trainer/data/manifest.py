"""The manifest beside a prepared data set: what it was made of, and how."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import msgspec

from vistrain_trainer.errors import BadInput

MANIFEST = "manifest.json"
RESERVED = "reserved.json"
"""Beside the manifest of a data set with a reserve: token of the scene by base name of each picture in it."""
FORMAT_VERSION = 1

Format = Literal["coco", "yolo", "mot", "nuscenes", "detections"]


class _Record(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    pass


class SceneRef(_Record, frozen=True, kw_only=True):
    """A scene by name, and by token, which no renaming changes."""

    name: str
    token: str


class Counts(_Record, frozen=True, kw_only=True):
    """What a split holds."""

    images: int
    annotations: int
    per_class: dict[str, int]
    """Annotations by class, in the order of the classes."""
    sequences: int | None = None
    """Scenes × cameras, of MOT."""
    tracks: int | None = None
    key_frames: int | None = None
    interpolated_frames: int | None = None


class SplitRecord(_Record, frozen=True, kw_only=True):
    """One split."""

    counts: Counts
    scenes: tuple[SceneRef, ...] = ()
    reserved: bool = False
    """Held back for judging: never trained on, under whatever name."""


class Source(_Record, frozen=True, kw_only=True):
    """What the data set was made of."""

    kind: Literal["nuscenes", "synthetic", "coco", "yolo", "mot"]
    version: str = ""
    """Such as v1.0-trainval."""
    digest: str = ""
    """Of what was read, hexadecimal."""


class Pictures(_Record, frozen=True, kw_only=True):
    """Where the pictures are."""

    mode: Literal["none", "link", "copy", "own"]
    """none: under `root` and not touched; link and copy: in the data set; own: made with it."""
    root: str
    """Folder that file names are relative to: relative to the manifest, or absolute where mode is none."""
    digest: str = ""
    """sha256 over their names and digests, hexadecimal, where they were made with the data set."""


class ImageSize(_Record, frozen=True, kw_only=True):
    """Pixels."""

    height: int
    width: int


class DatasetManifest(_Record, frozen=True, kw_only=True):
    """What a data set says of itself. Written last: a folder with one is whole."""

    format: Format
    command: str
    """The command that makes the same data set, but for folders."""
    version: str
    """Of vistrain-trainer."""
    source: Source
    classes: tuple[str, ...]
    """Ordered: a part of the data set's identity."""
    splits: dict[str, SplitRecord]
    pictures: Pictures
    digest: str
    """The data set's identity: `digest_of` its files, and of its pictures where they were made with it."""
    format_version: int = FORMAT_VERSION
    cameras: tuple[str, ...] = ()
    split_lists: str = ""
    """official, custom-560-140, or the name of a file."""
    fps: float | None = None
    """Nominal frames per second."""
    frame_interval: float | None = None
    """Measured mean seconds between frames; what a tracker learns its motion for."""
    sweeps: bool = False
    """Whether frames between keyframes are among them."""
    visibility: tuple[int, ...] = ()
    """Visibility bins kept; all when empty."""
    projection: Literal["devkit", "clipped"] | None = None
    image_size: ImageSize | None = None
    seed: int | None = None
    dropped: dict[str, int] = {}
    """Boxes left out, by reason."""
    notes: tuple[str, ...] = ()
    """What a reader should know: gaps in time, frames without boxes and the like."""
    files: dict[str, str] = {}
    """sha256 by path relative to the manifest; pictures are not among them."""


class _Maker(msgspec.Struct):
    """What tells our manifests from those of other programs."""

    command: str = ""


def is_ours(path: Path) -> bool:
    """Whether a file is a manifest of Vistrain, and not one of another program.

    One that is torn, or that this user may not read, counts as ours: what it holds back is not known.

    Raises:
        OSError: the volume failed.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Maker).command.startswith("vistrain ")
    except msgspec.ValidationError:
        return False
    except (msgspec.DecodeError, PermissionError):
        return True


def read(path: Path) -> DatasetManifest:
    """Read a manifest.

    Raises:
        BadInput: it cannot be read, or was written by another version.
    """
    try:
        found = msgspec.json.decode(path.read_bytes(), type=DatasetManifest)
        if found.format_version == FORMAT_VERSION:
            return found
        raise _unusable(
            path, f"it is of format version {found.format_version}; this Vistrain reads {FORMAT_VERSION}"
        )
    except OSError as error:
        remedy = "Make it readable for the trainer's user (65532 in a pod), or prepare the data set again"
        raise _unusable(path, f"it cannot be read: {error.strerror}", remedy) from error
    except msgspec.MsgspecError as error:
        raise _unusable(path, f"it is no manifest of this version of Vistrain: {error}") from error


def find(path: Path, root: Path) -> Path | None:
    """The manifest that a file of a data set belongs to: in its folder or one above, up to `root`."""
    for folder in path.parents:
        candidate = folder / MANIFEST
        if candidate.is_file() and is_ours(candidate):
            return candidate
        if folder == root:
            return None
    return None


def encode(manifest: DatasetManifest) -> bytes:
    """The manifest as it is written."""
    return msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"


def digest_of(files: Mapping[str, str]) -> str:
    """sha256 over names and digests of files, in the order of the names, hexadecimal."""
    lines = "".join(f"{files[name]}  {name}\n" for name in sorted(files))
    return hashlib.sha256(lines.encode()).hexdigest()


def _unusable(path: Path, problem: str, remedy: str = "Prepare the data set again") -> BadInput:
    return BadInput(field=MANIFEST, value=str(path), problem=problem, remedy=remedy)
