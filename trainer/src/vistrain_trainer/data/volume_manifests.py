"""The manifests on the volume of a data set."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Literal

import msgspec

from vistrain_trainer.data.digests import sha256_of
from vistrain_trainer.data.manifest import MANIFEST, RESERVED, DatasetManifest, SceneRef, find, is_ours, read
from vistrain_trainer.errors import BadInput

DEPTH = 4
"""Levels of folders below a root that are searched."""
FOLDERS = 5000
"""Folders that are searched at most, the shallow ones first."""
_ENTRIES = 2000
"""Entries of a folder that are looked at for folders: one with more holds pictures."""

State = Literal["as prepared", "changed", "not listed"]
"""Of a file, in the eyes of the manifest beside it."""


@dataclass(frozen=True)
class FoundManifest:
    """A manifest, and where it is."""

    path: Path
    manifest: DatasetManifest

    @cached_property
    def scenes(self) -> dict[str, SceneRef]:
        """Every scene by its token."""
        return {scene.token: scene for split in self.manifest.splits.values() for scene in split.scenes}

    @cached_property
    def reserve(self) -> frozenset[str]:
        """Tokens of the scenes that are held back."""
        splits = self.manifest.splits.values()
        return frozenset(scene.token for split in splits if split.reserved for scene in split.scenes)

    @cached_property
    def reserved_pictures(self) -> dict[str, str]:
        """Token of the scene by base name of each picture that is held back.

        Raises:
            BadInput: the manifest lists such names, and their file is gone or not what was prepared.
        """
        stated = self.manifest.files.get(RESERVED)
        path = self.path.with_name(RESERVED)
        if stated is None:
            return {}
        try:
            content = path.read_bytes()
            if hashlib.sha256(content).hexdigest() != stated:
                raise _unknown_reserve(path, f"it is not as {self.path} lists it")
            return msgspec.json.decode(content, type=dict[str, str])
        except OSError as error:
            raise _unknown_reserve(path, f"it cannot be read: {error.strerror}") from error
        except msgspec.MsgspecError as error:
            raise _unknown_reserve(path, f"it does not name pictures with their scenes: {error}") from error

    def state(self, path: Path) -> State:
        """Whether a file below the manifest is as prepared."""
        stated = self.manifest.files.get(path.relative_to(self.path.parent).as_posix())
        if stated is None:
            return "not listed"
        return "as prepared" if sha256_of(path) == stated else "changed"


class VolumeManifests:
    """What the data sets on a volume say of themselves; each file is read once, and only when it matters."""

    def __init__(self, volume: Path, root: Path) -> None:
        """Name the folders.

        Args:
            volume: folder of the claim.
            root: of the sub-path in it that the run's paths are relative to.
        """
        self._volume = volume
        self._root = root
        self._read: dict[Path, FoundManifest] = {}
        self._beside: dict[Path, FoundManifest | None] = {}
        self._states: dict[Path, State] = {}

    def below(self, folder: Path) -> list[FoundManifest]:
        """The manifests in a folder and `DEPTH` levels below it.

        Raises:
            BadInput: one is torn, or of another version.
            OSError: the volume failed.
        """
        return [self._at(path) for path in search(folder) if is_ours(path)]

    def beside(self, path: Path) -> FoundManifest | None:
        """The manifest that a file belongs to. Raises BadInput when it is torn or of another version."""
        if path not in self._beside:
            at = find(path, self._volume)
            self._beside[path] = None if at is None else self._at(at)
        return self._beside[path]

    def state(self, path: Path) -> State:
        """Whether a file is as the manifest beside it says; `not listed` where there is none."""
        if path not in self._states:
            beside = self.beside(path)
            self._states[path] = "not listed" if beside is None else beside.state(path)
        return self._states[path]

    def judging(self, path: Path, *, training: bool) -> tuple[FoundManifest, ...]:
        """The manifests whose reserve holds for an annotation file.

        A file as it was prepared is judged by its own manifest, and for training by those under the same
        sub-path too; any other, which may be of pictures from anywhere, by all of the volume.
        """
        beside = self.beside(path)
        if self.state(path) != "as prepared":
            found = [*self.below(self._volume), *self.below(self._root)]
        else:
            found = self.below(self._root) if training else []
        judges = {one.path: one for one in ([] if beside is None else [beside]) + found}
        return tuple(judges.values())

    def relative(self, path: Path) -> str:
        """A path as it is inside the volume."""
        return path.relative_to(self._volume).as_posix()

    def _at(self, path: Path) -> FoundManifest:
        if path not in self._read:
            self._read[path] = FoundManifest(path, read(path))
        return self._read[path]


def search(root: Path) -> Iterator[Path]:
    """Files named as manifests are, in a folder and `DEPTH` levels below; links are not followed."""
    level, left = [root], FOLDERS
    for _ in range(DEPTH + 1):
        level = level[:left]
        left -= len(level)
        yield from (folder / MANIFEST for folder in level if (folder / MANIFEST).is_file())
        level = [below for folder in level for below in _folders(folder)]


def _folders(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            names = [
                entry.name
                for entry in islice(entries, _ENTRIES)
                if not entry.name.startswith(".") and entry.is_dir(follow_symlinks=False)
            ]
    except PermissionError:
        return []
    return [folder / name for name in sorted(names)]


def _unknown_reserve(path: Path, problem: str) -> BadInput:
    return BadInput(
        field="spec.dataset.volume",
        value=str(path),
        problem=f"which pictures are held back is not known: {problem}",
        remedy="Prepare the data set again, or restore the file",
    )
