"""What a run records of how its data were prepared."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from vistrain_trainer.data.manifest import DatasetManifest
from vistrain_trainer.data.volume_manifests import State, VolumeManifests
from vistrain_trainer.errors import BadInput


class UsedFile(msgspec.Struct, frozen=True, kw_only=True):
    """An annotation file of a run."""

    path: str
    """In the volume."""
    state: State
    """Whether it was as the manifest says when the run began."""


class Preparation(msgspec.Struct, frozen=True, kw_only=True):
    """A data set that a run uses."""

    path: str
    """Of its manifest, in the volume."""
    splits: dict[str, UsedFile]
    """By the run's name of the split."""
    manifest: DatasetManifest


def record(files: Mapping[str, Path], volume: VolumeManifests) -> list[dict[str, Any]]:
    """JSON values of the preparations that files of a run are from.

    Args:
        files: annotation file by the run's name of the split.
        volume: where they are.
    """
    found: dict[Path, Preparation] = {}
    for name, path in files.items():
        beside = volume.beside(path)
        if beside is None:
            continue
        one = found.setdefault(
            beside.path,
            Preparation(path=volume.relative(beside.path), splits={}, manifest=beside.manifest),
        )
        one.splits[name] = UsedFile(path=volume.relative(path), state=volume.state(path))
    return [msgspec.to_builtins(one) for one in found.values()]


def read_record(path: Path) -> tuple[Preparation, ...]:
    """Preparations as a run folder has them; none where there is no such file.

    Raises:
        BadInput: the file is not as a run writes it.
        OSError: it cannot be read.
    """
    try:
        return tuple(msgspec.json.decode(path.read_bytes(), type=list[Preparation]))
    except FileNotFoundError:
        return ()
    except msgspec.MsgspecError as error:
        raise BadInput(
            field="run folder",
            value=path,
            problem=f"it does not say how the data were prepared ({error})",
            remedy="Restore the file",
        ) from error
