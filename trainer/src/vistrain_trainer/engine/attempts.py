"""attempts.jsonl: how each start of a run began and ended, kept where no pod's end can take it away."""

from __future__ import annotations

import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from vistrain_api.protocol import AttemptEnd
from vistrain_trainer.engine.fence import Token


def now() -> str:
    """The present time as RFC 3339, in UTC."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class AttemptLog:
    """Appends to attempts.jsonl, and reads what stands there."""

    def __init__(self, path: Path, token: Token, *, pod_uid: str, pod: str, node: str) -> None:
        self._path = path
        self._token = token
        self._identity = {"podUid": pod_uid, "pod": pod, "node": node}

    def start(self, restored_step: int | None, environment: dict[str, object]) -> None:
        """Record that this attempt begins to train."""
        command = ["vistrain", *sys.argv[1:]]
        self._append("start", restoredStep=restored_step, environment=environment, command=command)

    def end(self, exit_code: int, last_step: int, failure: str | None, message: str) -> None:
        """Record how this attempt is about to end."""
        self._append("end", exitCode=exit_code, lastStep=last_step, failure=failure, message=message)

    def previous(self, last_logged_step: int | None) -> AttemptEnd | None:
        """How the start before ended; a killed one wrote nothing, and its log is all that is known."""
        rows = [row for row in read_rows(self._path) if (row["attempt"], row["token"]) < tuple(self._token)]
        if not rows:
            return None
        last = rows[-1]
        ended = last if last["event"] in ("end", "seen") else None
        if ended is not None:
            step = int(ended["lastStep"])
        else:
            step = max(last_logged_step or 0, int(last.get("restoredStep") or 0))
            # The log is about to be rewound to the checkpoint: what it told is kept here.
            self._append("seen", attempt=last["attempt"], token=last["token"], lastStep=step, exitCode=None)
        return AttemptEnd(
            attempt=last["attempt"],
            pod_uid=last.get("podUid", ""),
            last_step=step,
            exit_code=ended["exitCode"] if ended is not None else None,
        )

    def _append(self, event: str, **values: Any) -> None:
        row = {
            "attempt": self._token.attempt,
            "token": self._token.sequence,
            **self._identity,
            "event": event,
            "time": now(),
            **values,
        }
        line = (json.dumps(row) + "\n").encode()
        text = self._path.read_bytes() if self._path.exists() else b""
        if text and not text.endswith(b"\n"):  # a torn last line
            line = b"\n" + line
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(descriptor, line)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Rows of attempts.jsonl; lines that are torn or not ours are passed over. None without a file."""
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        try:
            row = json.loads(line)
            int(row["attempt"]), int(row["token"])
        except (ValueError, KeyError, TypeError):
            continue
        rows.append(row)
    return rows
