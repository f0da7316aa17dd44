"""Tools of the engine's tests: a tiny task, and processes of their own."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from vistrain_trainer.engine import signals, stages

_TINY = Path(__file__).with_name("tiny.py")


def _load_tiny() -> ModuleType:
    spec = importlib.util.spec_from_file_location("vistrain_tests_tiny", _TINY)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def tiny() -> ModuleType:
    """The module tiny.py."""
    return sys.modules.get("vistrain_tests_tiny") or _load_tiny()


@pytest.fixture(autouse=True)
def fresh_process_state() -> Iterator[None]:
    """No stop request and no planned signal is left over from another test."""
    yield
    signals.request.__init__()  # type: ignore[misc]
    stages.plan("")


@pytest.fixture
def attempt() -> Callable[..., subprocess.Popen[str]]:
    """Starts `tiny.py OUTPUT` as a process; `wrapper` is put before the command."""

    def start(output: Path, *, wrapper: tuple[str, ...] = (), **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*wrapper, sys.executable, str(_TINY), str(output)],
            env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    return start
