"""Making of a data set's folder, which appears only when whole."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from vistrain_trainer.data.manifest import MANIFEST, DatasetManifest, encode, read
from vistrain_trainer.errors import BadInput


def make_whole(out: Path, command: str, write: Callable[[Path], DatasetManifest]) -> DatasetManifest:
    """Let ``write`` fill a folder beside ``out``, put its manifest last, and give the folder its name.

    A folder that already holds what this command makes with this version is left as it is.

    Args:
        command: what the manifest says of itself.
        write: fills the empty folder that it is given.

    Raises:
        BadInput: the folder holds something else, or cannot be made.
    """
    out = out.absolute()
    made = _already_made(out, command)
    if made is not None:
        return made
    partial = out.with_name(f".{out.name}.partial")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        manifest = write(partial)
        with (partial / MANIFEST).open("wb") as file:
            file.write(encode(manifest))
            file.flush()
            os.fsync(file.fileno())
        partial.replace(out)
    except OSError as error:
        raise BadInput(
            field="--out",
            value=str(out),
            problem=f"the data set cannot be written: {error.strerror}",
            remedy="give a folder that can be created, on a volume with room",
        ) from error
    return manifest


def _already_made(out: Path, command: str) -> DatasetManifest | None:
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return None
    held = "something else"
    if (out / MANIFEST).is_file():
        made = read(out / MANIFEST)
        if (made.command, made.version) == (command, version("vistrain-trainer")):
            return made
        held = made.command
    raise BadInput(
        field="--out",
        value=str(out),
        problem=f"the folder holds {held}",
        remedy="give a new folder, or remove this one first",
    )
