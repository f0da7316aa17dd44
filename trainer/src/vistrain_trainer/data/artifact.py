"""The folder of a data set as it is made: it has its name only when it is whole."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from vistrain_trainer.data.manifest import MANIFEST, DatasetManifest, encode
from vistrain_trainer.errors import BadInput

_STAMP = ".making.json"
"""In a half-made folder: what it is being made of."""
_KEPT = ("images", "img1")
"""Folders of pictures, of which those that an interrupted preparation copied are kept."""


class DigestedFile:
    """A file that grows, with its sha256."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("wb")
        self._digest = hashlib.sha256()

    def write(self, content: bytes) -> None:
        """Append. Raises OSError, which names the file."""
        with named(self._path):
            self._file.write(content)
        self._digest.update(content)

    def finish(self) -> str:
        """Close the file and give its digest, hexadecimal."""
        with named(self._path):
            self._file.close()
        return self._digest.hexdigest()

    def __enter__(self) -> DigestedFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):  # of a full disk it was told when it was written
            self._file.close()


class Making:
    """A data set's folder until it has its name."""

    def __init__(self, final: Path) -> None:
        self.final = final
        self.resolved = final.resolve()
        """Its real path, which relative links start from."""
        self.now = final.with_name(f".{final.name}.partial")
        """Where it is written."""
        self.files: dict[str, str] = {}
        """sha256 by path of what was written."""

    def write(self, name: str, content: bytes) -> None:
        """Write a file of the data set. Raises OSError."""
        self.files[name] = write_file(self.now / name, content)

    @contextmanager
    def open(self, name: str) -> Iterator[DigestedFile]:
        """Write a file of the data set piece by piece. Raises OSError."""
        path = self.now / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with DigestedFile(path) as file:
            yield file
            self.files[name] = file.finish()

    def begin(self, stamp: dict[str, object]) -> None:
        """Start with an empty folder, or with the pictures of one that was to become the very same.

        Args:
            stamp: what it is made of, as JSON.

        Raises:
            OSError: the folder cannot be made.
        """
        text = json.dumps(stamp).encode()
        try:
            same = (self.now / _STAMP).read_bytes() == text
        except OSError:
            same = False
        if not same:
            shutil.rmtree(self.now, ignore_errors=True)
        self.now.mkdir(parents=True, exist_ok=True)
        self._clear(self.now)
        write_file(self.now / _STAMP, text)

    def finish(self, manifest: DatasetManifest) -> None:
        """Write the manifest, bring everything to the disk and give the folder its name. Raises OSError."""
        write_file(self.now / MANIFEST, encode(manifest))
        (self.now / _STAMP).unlink()
        os.sync()  # once for what may be a hundred thousand small files
        if self.final.is_dir():
            self.final.rmdir()  # an empty one
        self.now.rename(self.final)

    def _clear(self, folder: Path) -> None:
        """Remove what is no picture."""
        for path in list(folder.iterdir()):
            if path.is_symlink() or not path.is_dir():
                path.unlink()
            elif path.name not in _KEPT:
                self._clear(path)


def write_file(path: Path, content: bytes) -> str:
    """Write a file and give its sha256, hexadecimal. Raises OSError, which names the file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with named(path):
        path.write_bytes(content)
    return hashlib.sha256(content).hexdigest()


@contextmanager
def named(path: Path) -> Iterator[None]:
    """Give errors of writing the name of the file: the system's say only what is wrong."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = str(path)
        raise


@contextmanager
def alone(final: Path) -> Iterator[None]:
    """Make a data set's folder alone: a lock beside it, which ends with the process.

    Raises:
        BadInput: another process makes it now.
        OSError: the lock cannot be made.
    """
    path = final.with_name(f".{final.name}.lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    with _locked(path):
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    while True:
        with path.open("wb") as file:
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                if error.errno in (errno.EACCES, errno.EAGAIN):
                    raise BadInput(
                        field="--out",
                        value=str(path.parent),
                        problem="another preparation writes there now",
                        remedy="wait until it has ended, or give another folder",
                    ) from None
                # A volume without locks: whoever shares it must see to it.
            if path.exists() and os.path.samestat(os.fstat(file.fileno()), path.stat()):
                yield
                return
            # Who had the lock before has removed the file in between.
