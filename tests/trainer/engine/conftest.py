"""Tools of the engine's tests: attempts as processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest


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
