"""The board that the engine writes its progress on, and everybody else reads."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vistrain_api.protocol import TERMINATION_LIMIT, Progress

_RESULTS = 64  # what Progress holds


class ProgressBoard:
    """The present progress; may be read from any thread, and written out as the last words of the process."""

    def __init__(self, *, attempt: int, pod_uid: str = "", termination_log: Path | None = None) -> None:
        self._lock = threading.Lock()
        self._values: dict[str, Any] = {
            "attempt": attempt,
            "token": 0,
            "pod_uid": pod_uid,
            "phase": "Starting",
        }
        self._notes: list[str] = []
        self._log = termination_log
        self._length = 0
        self._writing = threading.Lock()

    def set(self, **values: Any) -> None:
        """Set fields of vistrain_api.protocol.Progress."""
        with self._lock:
            self._values.update(values)

    def note(self, text: str) -> None:
        """Add something a person should know; the newest five are kept."""
        with self._lock:
            if text[:300] not in self._notes:
                self._notes = [*self._notes, text[:300]][-5:]

    def progress(self) -> Progress:
        """A validated copy."""
        with self._lock:
            values = dict(self._values, notes=list(self._notes))
        results = values.get("results")
        if results and len(results) > _RESULTS:  # per-class values go first
            values["results"] = dict(sorted(results.items(), key=lambda item: "/" in item[0])[:_RESULTS])
        return Progress(**values)

    def write_last_words(self) -> None:
        """Rewrite the termination message; nothing without a place for it, or when it cannot be written."""
        if self._log is not None:
            with self._writing:
                self._write(self._log, termination_message(self.progress()))

    def _write(self, path: Path, words: bytes) -> None:
        # The file is a mount and cannot be renamed over. One write over the old text, padded to its length,
        # leaves whole JSON whatever moment the process is killed at.
        padded = words.ljust(self._length)
        self._length = len(words)
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o644)
            try:
                os.pwrite(descriptor, padded, 0)
                os.ftruncate(descriptor, len(words))
            finally:
                os.close(descriptor)
        except OSError:
            self.note(f"cannot write the termination message to {path}")


def termination_message(progress: Progress) -> bytes:
    """The progress as JSON in at most TERMINATION_LIMIT bytes; what matters least is left out first."""
    values = progress.model_dump(mode="json", by_alias=True, exclude_none=True)

    def per_class() -> None:
        values["results"] = {key: value for key, value in values["results"].items() if "/" not in key}

    def shorten(limit: int) -> None:
        values["message"] = values.get("message", "")[:limit]

    steps: list[Callable[[], object]] = [
        per_class,
        lambda: values.update(notes=values["notes"][-2:]),
        lambda: values.update(loss={}),
        lambda: values.update(results=dict(list(values["results"].items())[:12])),
        lambda: values.update(notes=[]),
        lambda: shorten(600),
        lambda: values.update(results={}),
        lambda: shorten(200),
        lambda: values.update(device=values["device"][:60]),
        lambda: values.pop("lastCheckpoint", None),
        lambda: shorten(40),
    ]
    while len(text := _compact(values)) > TERMINATION_LIMIT and steps:
        steps.pop(0)()
    return text


def _compact(values: dict[str, Any]) -> bytes:
    return json.dumps(values, separators=(",", ":"), ensure_ascii=True).encode()
