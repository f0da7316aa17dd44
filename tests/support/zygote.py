"""Starts of the trainer that take no import: each is a fork of a process that has imported everything."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Zygote:
    """Runs commands and returns their exit codes, negative for a signal."""

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self._process = process
        self.log = log
        """What the commands print."""

    def run(self, *arguments: str, program: Path | None = None, **environment: str) -> int:
        """Run `vistrain ARGUMENTS`, or another Python program, to its end."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        job = {
            "arguments": arguments,
            "program": None if program is None else str(program),
            "environment": environment,
            "log": str(self.log),
        }
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        return int(json.loads(self._process.stdout.readline())["code"])


@contextmanager
def zygote(log: Path, threads: int) -> Iterator[Zygote]:
    """A zygote whose commands compute in that many threads."""
    process = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("zygote_process.py"))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        # Threads that wait without spinning: the cores may be shared with other tests.
        env={**os.environ, "OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "PASSIVE"},
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    try:
        yield Zygote(process, log)
    finally:
        process.stdin.close()
        process.wait(timeout=60)
        process.stdout.close()
