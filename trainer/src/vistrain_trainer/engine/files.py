"""Writing files so that a kill or a power cut leaves the old content or the new, and nothing between."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from vistrain_trainer.errors import StorageFault

# What a volume answers when it is full, broken, read-only or gone; other errors are ours.
_FAULTS = {
    errno.ENOSPC: "the volume is full",
    errno.EDQUOT: "the volume's quota is used up",
    errno.EFBIG: "the file is larger than the volume allows",
    errno.EIO: "the volume reports an I/O error",
    errno.EROFS: "the volume has become read-only",
    errno.ESTALE: "the volume has gone away",
    errno.ENOTCONN: "the volume has gone away",
    errno.ENODEV: "the volume has gone away",
    errno.ETIMEDOUT: "the volume does not answer",
}


@contextlib.contextmanager
def storage_faults(what: str) -> Iterator[None]:
    """Turn the errors of a failing volume into StorageFault, naming what was being written."""
    try:
        yield
    except OSError as error:
        fault = as_storage_fault(what, error)
        if fault is None:
            raise
        raise fault from error


def volume_failure(error: Exception) -> OSError | None:
    """The error of a failed volume that is, or stands behind, an error of reading; None for any other."""
    behind = error if isinstance(error, OSError) else error.__cause__ or error.__context__
    return behind if isinstance(behind, OSError) and behind.errno in _FAULTS else None


def as_storage_fault(what: str, error: OSError) -> StorageFault | None:
    """The fault of the volume that an error tells of; none when it is another kind of error."""
    if error.errno not in _FAULTS:
        return None
    return StorageFault(
        f"{what}: {_FAULTS[error.errno]} ({error.strerror}). Everything saved before is whole; "
        "make room on the volume of spec.checkpoint.volume, or lower spec.checkpoint.keep"
    )


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_file(path: Path) -> None:
    """Make a file's content durable; nothing when there is no such file."""
    with contextlib.suppress(FileNotFoundError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def write_durably(path: Path, content: bytes) -> None:
    """Write a file in place and make its content durable; for folders that are renamed as a whole."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def replace_file(path: Path, content: bytes, *, durable: bool = True) -> None:
    """Write beside, flush and rename, so that a reader sees the old content or the new."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        if durable:
            write_durably(beside, content)
        else:
            beside.write_bytes(content)
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    if durable:
        sync_folder(path.parent)


def put_folder(target: Path, fill: Callable[[Path], None]) -> None:
    """Fill a folder beside and give it its name; one that bears it already is let go of.

    A kill leaves the old folder, the new one, or, for a moment between two renames, none.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir()
        fill(partial)
        for folder in (partial, *(path for path in partial.rglob("*") if path.is_dir())):
            sync_folder(folder)
        rename_over(partial, target)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def rename_over(folder: Path, target: Path) -> None:
    """Give a folder the name of another on the same volume, which is removed once it is replaced."""
    gone = target.with_name(f".{target.name}.discarded")
    shutil.rmtree(gone, ignore_errors=True)
    if target.exists():
        target.rename(gone)
    try:
        folder.rename(target)
    except BaseException:
        if gone.exists():
            gone.rename(target)
        raise
    sync_folder(target.parent)
    shutil.rmtree(gone, ignore_errors=True)
