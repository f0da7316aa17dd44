"""The background thread that writes files while training goes on."""

from __future__ import annotations

import contextlib
import os
import queue
import threading
from collections.abc import Callable

Job = Callable[[], None]


class BackgroundWriter:
    """Does jobs one after the other in a thread of its own.

    The first error stops the queue: later jobs are dropped, and the error is raised in the engine's thread at
    its next call.
    """

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._idle = threading.Condition()
        self._open = 0
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="checkpoint-writer", daemon=True)
        self._thread.start()

    def submit(self, job: Job) -> None:
        """Queue a job. Raises the error of an earlier one."""
        self.check()
        with self._idle:
            self._open += 1
        self._jobs.put(job)

    def check(self) -> None:
        """Raise the error of a job that failed."""
        if self._error is not None:
            raise self._error

    @property
    def busy(self) -> bool:
        """Whether jobs are open."""
        return self._open > 0

    def drain(self) -> None:
        """Wait until all jobs are done. Raises the error of one that failed."""
        with self._idle:
            # In slices, so that signal handlers run in the meantime.
            while not self._idle.wait_for(lambda: self._open == 0, timeout=0.2):
                pass
        self.check()

    def recover(self) -> BaseException | None:
        """Wait until the queue is empty and take new jobs again; the error that had stopped it."""
        with contextlib.suppress(Exception):
            self.drain()
        error, self._error = self._error, None
        return error

    def close(self) -> None:
        """End the thread after the job it is at."""
        self._jobs.put(None)
        self._thread.join()

    def _run(self) -> None:
        # Training comes first where cores are scarce; a drain leaves the cores to this thread anyway.
        with contextlib.suppress(OSError, AttributeError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 10)
        while (job := self._jobs.get()) is not None:
            try:
                if self._error is None:
                    job()
            except BaseException as error:
                self._error = error
            finally:
                with self._idle:
                    self._open -= 1
                    self._idle.notify_all()
