"""Files of fitted images: pixels one after another, then an index.

A shard is written beside its name, flushed and renamed, so that a name always stands for a whole shard:

    pixels of all images | JSON index | its length in bytes (8, little-endian) | magic (8)
"""

from __future__ import annotations

import json
import mmap
import os
import struct
import weakref
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import numpy as np

from vistrain_trainer.engine.stages import stage

VERSION = 1
_MAGIC = b"VTSHARD1"
_TAIL = struct.Struct("<Q8s")
SUFFIX = ".shard"
PARTIAL = "partial-"


class Source(NamedTuple):
    """The state of an image file; a file of another state is another picture."""

    name: str
    """Path relative to the data set's folder."""
    bytes: int
    modified: int
    """Nanoseconds since the epoch."""

    @classmethod
    def of(cls, path: Path, name: str) -> Source:
        """That of a file. Raises OSError where there is none."""
        found = path.stat()
        return cls(name, found.st_size, found.st_mtime_ns)


class Entry(NamedTuple):
    """An image in a shard."""

    source: Source
    height: int
    width: int
    offset: int


class ShardWriter:
    """A shard in the making. Any OSError (a full disk) is the caller's."""

    def __init__(self, folder: Path, allowance: int) -> None:
        """Begin a shard of at most ``allowance`` bytes of pixels, which its partial name states."""
        self._name = uuid4().hex
        self._partial = folder / f"{PARTIAL}{allowance}-{self._name}"
        self._folder = folder
        # Without a buffer: a fork would inherit its bytes and write them once more.
        self._file = os.open(self._partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        self._close = weakref.finalize(self, os.close, self._file)
        self._entries: list[Entry] = []
        self.allowance = allowance
        self.bytes = 0
        """Of pixels so far."""

    def append(self, source: Source, image: np.ndarray) -> None:
        """Add an image."""
        self._write(np.ascontiguousarray(image).reshape(-1))
        self._entries.append(Entry(source, image.shape[0], image.shape[1], self.bytes))
        self.bytes += image.nbytes

    def publish(self) -> None:
        """Flush the shard to the disk and give it its name."""
        index = json.dumps([[*entry.source, *entry[1:]] for entry in self._entries]).encode()
        self._write(np.frombuffer(index + _TAIL.pack(len(index), _MAGIC), np.uint8))
        os.fsync(self._file)
        self._close()
        stage("cache.publish")
        self._partial.rename(self._folder / f"{self._name}{SUFFIX}")

    def abandon(self) -> None:
        """Remove what there is of the shard."""
        self._close()
        self._partial.unlink(missing_ok=True)

    def _write(self, data: np.ndarray) -> None:
        while len(data):
            data = data[os.write(self._file, data.data) :]


def read_index(path: Path) -> list[Entry]:
    """The images of a shard; none where the file is not a whole shard."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _TAIL.size))
            length, magic = _TAIL.unpack(file.read())
            if magic != _MAGIC:
                return []
            file.seek(size - _TAIL.size - length)
            rows = json.loads(file.read(length))
        entries = [
            Entry(Source(name, size_, modified), height, width, offset)
            for name, size_, modified, height, width, offset in rows
        ]
    except (OSError, struct.error, ValueError):
        return []
    end = size - _TAIL.size - length
    return [entry for entry in entries if entry.offset + entry.height * entry.width * 3 <= end]


class ShardPixels:
    """The pixels of a shard, mapped; pages come from the disk as they are touched."""

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)

    def image(self, height: int, width: int, offset: int) -> np.ndarray:
        """A read-only (height, width, 3) view."""
        length = height * width * 3
        start = offset // mmap.PAGESIZE * mmap.PAGESIZE
        if hasattr(mmap, "MADV_WILLNEED"):  # read in one go, not page by page
            self._map.madvise(mmap.MADV_WILLNEED, start, offset - start + length)
        return np.frombuffer(self._map, np.uint8, length, offset).reshape(height, width, 3)
