"""The engine's tiny task, and a clean process, for all tests of the trainer."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import structlog

from vistrain_trainer.engine import signals, stages


@pytest.fixture(scope="session")
def tiny() -> ModuleType:
    """The module engine/tiny.py; as a program (`tiny.__file__`) it is one attempt in a process of its own."""
    path = Path(__file__).with_name("engine") / "tiny.py"
    spec = importlib.util.spec_from_file_location("vistrain_tests_tiny", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def fresh_process_state() -> Iterator[None]:
    """No stop request, planned signal or setting of the log is left over from another test."""
    yield
    structlog.reset_defaults()
    signals.request.__init__()  # type: ignore[misc]
    stages.plan("")
