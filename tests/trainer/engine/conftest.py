"""Tools of the engine's tests: attempts as processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from support.zygote import zygote


@pytest.fixture
def attempt(tiny: ModuleType) -> Callable[..., subprocess.Popen[str]]:
    """Starts `tiny.py OUTPUT` as a process; `wrapper` is put before the command."""

    def start(output: Path, *, wrapper: tuple[str, ...] = (), **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*wrapper, sys.executable, str(tiny.__file__), str(output)],
            env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    return start


@pytest.fixture(scope="module")
def to_the_end(tiny: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., int]]:
    """Runs `tiny.py OUTPUT` to its end and returns the exit code, negative for a signal."""
    with zygote(tmp_path_factory.mktemp("tiny") / "log.txt", threads=1) as started:

        def run(output: Path, **environment: str) -> int:
            fresh = {"VISTRAIN_TEST_SIGNALS": "", "TINY_SETTINGS": "{}", "TINY_TASK": "{}"}
            return started.run(str(output), program=Path(str(tiny.__file__)), **fresh | environment)

        yield run
