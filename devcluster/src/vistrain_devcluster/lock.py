"""A lock between commands, held on a file that may be removed by its holder."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path


@contextmanager
def exclusive(path: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """Holds the lock ``path``, made when absent; calls ``waiting`` once when somebody else holds it."""
    with ExitStack() as stack:
        while True:
            path.parent.mkdir(parents=True, exist_ok=True)
            stream = stack.enter_context(path.open("w"))
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                waiting()
                fcntl.flock(stream, fcntl.LOCK_EX)
            # The holder before us may have removed the file: a lock on one that is gone keeps nobody out.
            if path.exists() and os.path.samestat(path.stat(), os.fstat(stream.fileno())):
                break
        yield
