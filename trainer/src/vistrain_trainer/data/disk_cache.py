"""The right to add to a folder of shards, and the room that there is for it."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import mmap
import multiprocessing
import os
import threading
import time
import weakref
from enum import IntEnum
from multiprocessing.util import Finalize
from pathlib import Path

import numpy as np

from vistrain_trainer.data.shards import PARTIAL, SUFFIX, ShardWriter, Source

SHARD_BYTES = 64 * 2**20
"""Pixels in a shard."""
SHARD_SECONDS = 30.0
"""A shard is published when it is this old, however small."""
RETRY_SECONDS = 10.0
"""Time after a refusal in which no shard is begun."""
FREE_BYTES = 16 * 2**30
"""Room that is left on the volume, which is for checkpoints in the first place; at most a fifth of it."""


class Stop(IntEnum):
    """Why not everything is kept."""

    NONE = 0
    BUDGET = 1
    NEARLY_FULL = 2
    FULL = 3
    FAULT = 4


STOPPED = {
    Stop.BUDGET: "spec.dataset.loader.cacheBudget is used up",
    Stop.NEARLY_FULL: "the checkpoint volume is nearly full, and the rest of it is left to checkpoints",
    Stop.FULL: "the disk is full",
    Stop.FAULT: "the cache's folder cannot be written to",
}


class DiskCache:
    """A folder of shards, which the processes of a run add to.

    A process that decodes an image for a sample also appends it to a shard of its own: the cache fills while
    the first epoch is trained, and an attempt goes on where the last one was killed. Training never waits for
    the disk: while one shard is on its way there and the next is full, images are left out. One run builds at
    a time; others read what it publishes.
    """

    def __init__(self, folder: Path, budget: int) -> None:
        """Open or make the folder, in the main process before workers are forked: they share lock and marks.

        Raises:
            OSError: it cannot be made.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._budget = budget
        # Locked by a run as a whole: forks share the lock.
        self._builders = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o644)
        weakref.finalize(self, os.close, self._builders)
        self._siblings = multiprocessing.get_context("fork").Lock()
        self._mark = np.frombuffer(mmap.mmap(-1, 1), np.uint8)
        self._refused = -RETRY_SECONDS
        self._writer: ShardWriter | None = None
        self._begun = 0.0
        self._publishing: threading.Thread | None = None
        self._process = os.getpid()
        if self._may_build():
            for path in self.folder.glob(f"{PARTIAL}*"):  # of builders that were killed
                path.unlink(missing_ok=True)

    @property
    def stopped(self) -> Stop:
        """Why not everything is kept, whichever process found it."""
        return Stop(int(self._mark[0]))

    def append(self, source: Source, image: np.ndarray) -> bool:
        """Keep an image if there is room and no other run builds; whether it is kept. Raises no OSError."""
        if self._process != os.getpid():  # a fork: what the parent has begun is not this process's to finish
            self._process = os.getpid()
            self._writer = self._publishing = None
            Finalize(self, self.flush, exitpriority=10)
        if self.stopped in (Stop.FULL, Stop.FAULT):
            return False
        try:
            if self._writer is not None and self._is_due(image.nbytes):
                if self._publishing is not None and self._publishing.is_alive():
                    return False
                self._publish()
            if self._writer is None:
                self._writer = self._begin(image.nbytes)
            if self._writer is None:
                return False
            self._writer.append(source, image)
        except OSError as error:
            self._fail(error, self._writer)
            self._writer = None
            return False
        return True

    def flush(self) -> None:
        """Publish what this process has appended, and wait until it is on the disk."""
        if self._process != os.getpid():
            return
        if self._publishing is not None:
            self._publishing.join()
        if self._writer is not None:
            self._publish().join()

    def _is_due(self, more: int) -> bool:
        assert self._writer is not None
        full = self._writer.bytes + more > self._writer.allowance
        return full or time.monotonic() - self._begun > SHARD_SECONDS

    def _begin(self, least: int) -> ShardWriter | None:
        present = time.monotonic()
        if present - self._refused < RETRY_SECONDS:
            return None
        self._refused = present
        if not self._may_build():
            return None
        with self._siblings:
            volume = os.statvfs(self.folder)
            free = volume.f_bavail * volume.f_frsize
            published, promised = self._used()
            allowance = min(max(SHARD_BYTES, least), self._budget - published - promised)
            if self._budget - published < least:
                self._mark[0] = Stop.BUDGET
            elif free - allowance < min(FREE_BYTES, volume.f_blocks * volume.f_frsize // 5):
                self._mark[0] = Stop.NEARLY_FULL
            elif allowance >= least:
                self._refused = -RETRY_SECONDS
                self._begun = present
                return ShardWriter(self.folder, allowance)
        return None

    def _used(self) -> tuple[int, int]:
        """Bytes of the shards, and what those in the making may grow to."""
        published = promised = 0
        for path in self.folder.iterdir():
            with contextlib.suppress(FileNotFoundError):
                if path.name.startswith(PARTIAL):
                    promised += int(path.name.split("-")[1])
                elif path.suffix == SUFFIX:
                    published += path.stat().st_size
        return published, promised

    def _publish(self) -> threading.Thread:
        writer, self._writer = self._writer, None
        assert writer is not None

        def publish() -> None:
            try:
                writer.publish()
            except OSError as error:
                self._fail(error, writer)

        self._publishing = threading.Thread(target=publish, name="cache", daemon=True)
        self._publishing.start()
        return self._publishing

    def _may_build(self) -> bool:
        try:
            fcntl.flock(self._builders, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:
            return True  # a file system without locks: two builders waste room, no more
        return True

    def _fail(self, error: OSError, writer: ShardWriter | None) -> None:
        with contextlib.suppress(OSError):
            if writer is not None:
                writer.abandon()
        self._mark[0] = Stop.FULL if error.errno in (errno.ENOSPC, errno.EDQUOT) else Stop.FAULT
