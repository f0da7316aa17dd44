"""Finding of the pictures that boxes are of."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path

import numpy as np

from vistrain_trainer.checking import catalogue
from vistrain_trainer.checking.bounds import NOTHING
from vistrain_trainer.checking.content import Content, Split
from vistrain_trainer.checking.figure import NAMED, Figure
from vistrain_trainer.data.images import decode
from vistrain_trainer.data.picture_file import turn_picture

PathOf = Callable[[Split, int], Path]
"""Where the picture of a frame ought to be."""


def picture_paths(content: Content, root: Path | None, names: Mapping[str, str] | None = None) -> PathOf:
    """Where pictures are looked for.

    Args:
        root: folder that names are relative to where the data set has no pictures of its own; the
            manifest's when none.
        names: there, the name of a picture by its token, where the data set does not say it.
    """
    stated = content.manifest.pictures
    folder = content.folder / stated.root  # which may be absolute
    if stated.mode == "none":
        folder = folder if root is None else root
    if names is None or stated.mode != "none":
        return lambda split, frame: folder / split.frames.name[frame]
    return lambda split, frame: folder / names.get(split.frames.token[frame], split.frames.name[frame])


def read_picture(path: Path, orientation: int = 1) -> np.ndarray | None:
    """(H, W, 3) uint8, BGR, turned by EXIF's orientation; none where it is not there or is no picture."""
    try:
        return turn_picture(decode(path.read_bytes()), orientation)
    except (OSError, ValueError):
        return None


def missing_pictures(content: Content, path_of: PathOf) -> Figure:
    """How many are not there; a fault where the data set is to have its own."""
    values, places = {}, {}
    for name, split in content.splits.items():
        missing = _missing(split, path_of)
        first = tuple(str(path) for path in islice(missing, NAMED))
        values[name] = float(len(first) + sum(1 for _ in missing))
        if first:
            places[name] = first
    own = content.manifest.pictures.mode != "none"
    return Figure(catalogue.MISSING_PICTURES, values, NOTHING if own else None, places)


def _missing(split: Split, path_of: PathOf) -> Iterator[Path]:
    """By listing each folder once: a call for each of a hundred thousand files takes long."""
    listed: dict[Path, set[str]] = {}
    for frame in range(len(split.frames)):
        path = path_of(split, frame)
        if path.parent not in listed:
            listed[path.parent] = _names(path.parent)
        if path.name not in listed[path.parent]:
            yield path


def _names(folder: Path) -> set[str]:
    try:
        return {entry.name for entry in folder.iterdir()}
    except OSError:
        return set()
