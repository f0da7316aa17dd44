"""Stop requests: SIGTERM and SIGINT set a flag that the engine looks at between steps.

This module imports nothing heavy: its handlers stand before torch is imported, which takes seconds.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

_STOPPED = 75  # vistrain_api.protocol.ExitCode.STOPPED, not imported here: pydantic would take its time first


class Interrupted(Exception):
    """A stop request was seen in the midst of something that is done again after the resume."""


class StopRequest:
    """The state of stop requests of this process."""

    def __init__(self) -> None:
        self.requested_at: float | None = None
        """time.monotonic() of the first request."""
        self.signal_name = ""
        self.deferred = False
        """Once true, a request waits for the engine; before, there is nothing to save: the process ends."""
        self.on_request: Callable[[], None] | None = None
        """Called once, in the handler, at the first deferred request."""

    def __call__(self) -> bool:
        """Whether a stop is asked for."""
        return self.requested_at is not None

    def raise_if_requested(self) -> None:
        """Raise Interrupted when a stop is asked for."""
        if self.requested_at is not None:
            raise Interrupted(self.signal_name)


request = StopRequest()


def install() -> None:
    """Take SIGTERM and SIGINT. Until `defer` is called, either ends the process with 75 at once."""
    signal.signal(signal.SIGTERM, _handle)
    signal.signal(signal.SIGINT, _handle)


def defer(on_request: Callable[[], None] | None = None) -> None:
    """From now on requests wait for the engine to see them."""
    request.on_request = on_request
    request.deferred = True


@contextlib.contextmanager
def heeded() -> Iterator[None]:
    """Inside, requests wait for whoever asks `request`; one that nobody saw raises Interrupted at the end."""
    before, request.deferred = request.deferred, True
    try:
        yield
    finally:
        request.deferred = before
    request.raise_if_requested()


def watch_grace(last_words: Callable[[], None]) -> None:
    """End the process shortly before the grace period does, should a save not come to its end.

    The checkpoint before stands; the last words say so, which a SIGKILL would not let them.
    """
    grace = float(os.environ.get("VISTRAIN_GRACE_SECONDS") or 0)
    if grace <= 0:
        return

    def end() -> None:
        last_words()
        os._exit(_STOPPED)

    timer = threading.Timer(max(0.5, grace - max(2.0, 0.1 * grace)), end)
    timer.daemon = True
    timer.start()


def _handle(number: int, _frame: FrameType | None) -> None:
    if not request.deferred:
        _end_before_start(signal.Signals(number).name)
    if request.requested_at is not None:
        if number == signal.SIGINT:  # the second Ctrl-C of an impatient person
            os._exit(130)
        return
    request.requested_at = time.monotonic()
    request.signal_name = signal.Signals(number).name
    if request.on_request is not None:
        request.on_request()


def _end_before_start(name: str) -> None:
    """Say so and end: modules may be half imported, so only the bare standard library is used."""
    words = {
        "version": 1,
        "attempt": int(os.environ.get("VISTRAIN_ATTEMPT") or 1),
        "token": 0,
        "podUid": os.environ.get("VISTRAIN_POD_UID", ""),
        "phase": "Starting",
        "exitCode": _STOPPED,
        "message": f"stopped by {name} while starting; the checkpoint before stands",
    }
    path = os.environ.get("VISTRAIN_TERMINATION_LOG")
    if path:
        try:
            Path(path).write_text(json.dumps(words), encoding="utf-8")
        except OSError:
            sys.stderr.write(f"cannot write {path}\n")
    os.write(2, f"vistrain: {words['message']}\n".encode())
    os._exit(_STOPPED)
