"""Stop requests at moments that the law's test cannot reach: imports, a hung save."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

VISTRAIN = Path(sys.executable).with_name("vistrain")


@pytest.mark.parametrize("moment", sorted(random.Random(5).uniform(0.3, 2.5) for _ in range(4)))
def test_sigterm_while_importing_ends_with_75(tmp_path, moment):
    """The command comes to its handler first, and to PyTorch after it."""
    words = tmp_path / "words"
    arguments = [
        "run",
        "-f",
        "examples/quickstart.yaml",
        "--volume",
        f"driving-world={tmp_path}",
        "--port",
        "0",
    ]
    process = subprocess.Popen(
        [VISTRAIN, *arguments, "--output", str(tmp_path / "run")],
        env={**os.environ, "VISTRAIN_TERMINATION_LOG": str(words), "VISTRAIN_ATTEMPT": "3"},
        cwd=Path(__file__).parents[3],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    # The handler stands once SIGTERM is among the caught signals.
    deadline = time.monotonic() + 60
    while not _catches(process.pid, signal.SIGTERM):
        assert time.monotonic() < deadline
        time.sleep(0.005)
    time.sleep(moment / 10)
    process.send_signal(signal.SIGTERM)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 75, error
    assert json.loads(words.read_text())["exitCode"] == 75
    assert json.loads(words.read_text())["attempt"] == 3


def _catches(pid: int, number: signal.Signals) -> bool:
    status = Path(f"/proc/{pid}/status").read_text()
    caught = next(line for line in status.splitlines() if line.startswith("SigCgt:"))
    return bool(int(caught.split()[1], 16) >> (number - 1) & 1)


def test_a_save_that_hangs_ends_before_the_grace_period_does(tmp_path, attempt):
    """The last words then name the checkpoint that the next attempt goes on from."""
    words, run = tmp_path / "words", tmp_path / "run"
    hang = "import vistrain_trainer.engine.store as s, time; s.write_meta = lambda *a: time.sleep(3600)"
    (tmp_path / "sitecustomize.py").write_text(f"import os\nif os.environ.get('HANG'):\n    {hang}\n")
    process = attempt(
        run,
        HANG="1",
        PYTHONPATH=str(tmp_path),
        TINY_SETTINGS='{"schedule__epochs": 100000}',
        VISTRAIN_TERMINATION_LOG=str(words),
        VISTRAIN_GRACE_SECONDS="4",
        VISTRAIN_TEST_SIGNALS="step@3=TERM",
    )
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 75, output
    last = json.loads(words.read_text())
    assert last["exitCode"] == 75
    assert "goes on from step 0" in last["message"]
    assert "terminationGracePeriod" in last["message"]


def test_two_signals_are_one_request(tmp_path, attempt):
    process = attempt(tmp_path / "run", VISTRAIN_TEST_SIGNALS="step@2=TERM,save.begin=TERM,save.rename=INT")
    output, _ = process.communicate(timeout=120)
    assert process.returncode in (75, 130), output
