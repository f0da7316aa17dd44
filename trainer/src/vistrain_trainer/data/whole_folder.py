"""Making of a data set's folder, which appears only when whole."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from vistrain_trainer.data.manifest import MANIFEST, DatasetManifest, encode, read
from vistrain_trainer.engine.files import write_durably
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
    asked = (command, version("vistrain-trainer"))
    made = already_made(out, lambda found: (found.command, found.version) == asked)
    if made is not None:
        return made
    partial = out.with_name(f".{out.name}.partial")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        manifest = write(partial)
        write_durably(partial / MANIFEST, encode(manifest))
        partial.replace(out)
    except OSError as error:
        raise BadInput(
            field="--out",
            value=str(out),
            problem=f"the data set cannot be written: {error.strerror}",
            remedy="give a folder that can be created, on a volume with room",
        ) from error
    return manifest


def already_made(
    out: Path,
    same: Callable[[DatasetManifest], bool],
    held: Callable[[DatasetManifest], str] = lambda found: found.command,
) -> DatasetManifest | None:
    """The manifest of the data set in a folder, if it is the one asked for; None where there is nothing yet.

    Args:
        same: whether a manifest is of what was asked for.
        held: says of another what it is of.

    Raises:
        BadInput: the folder holds something else.
    """
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return None
    holds = "something else"
    with contextlib.suppress(BadInput):  # another program's, or torn
        found = read(out / MANIFEST)
        if same(found):
            return found
        holds = held(found)
    raise BadInput(
        field="--out",
        value=str(out),
        problem=f"the folder holds {holds}",
        remedy="give a new folder, or remove this one first",
    )
