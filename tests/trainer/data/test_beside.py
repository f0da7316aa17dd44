"""Work of a process of its own: its result, its errors, and that it never stays behind."""

from __future__ import annotations

import multiprocessing
import operator
import os
import signal
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest

from vistrain_trainer.data.beside import beside


def test_a_process_gives_its_result_and_ends() -> None:
    with beside(os.getpid) as result:
        pid = result()
        assert pid != os.getpid()
    assert not psutil.pid_exists(pid)
    with beside(os.getpid, process=False) as result:
        assert result() == os.getpid()


def test_arrays_come_back_whole_and_may_be_changed() -> None:
    with beside(np.split, np.arange(300_000.0), 3) as result:
        parts = result()
    assert np.array_equal(np.concatenate(parts), np.arange(300_000))
    parts[1][0] = -1


@pytest.mark.parametrize("process", [True, False])
def test_what_the_work_raises_is_raised(process: bool) -> None:
    with beside(operator.truediv, 1, 0, process=process) as result, pytest.raises(ZeroDivisionError) as error:
        result()
    if process:
        assert "Traceback" in error.value.__notes__[0]


def test_a_process_that_was_killed_is_told() -> None:
    with beside(signal.raise_signal, signal.SIGKILL) as result, pytest.raises(MemoryError, match="killed"):
        result()
    with beside(os._exit, 3) as result, pytest.raises(RuntimeError, match="exit code 3"):
        result()


def test_who_leaves_early_does_not_wait() -> None:
    def leave() -> None:
        with beside(time.sleep, 600):
            children.extend(multiprocessing.active_children())
            raise KeyError

    children: list[multiprocessing.process.BaseProcess] = []
    with pytest.raises(KeyError):
        leave()
    assert [child.exitcode for child in children] == [-signal.SIGKILL]


def test_a_process_ends_when_its_parent_is_killed() -> None:
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import multiprocessing, time\n"
            "from vistrain_trainer.data.beside import beside\n"
            "with beside(time.sleep, 600):\n"
            "    print(multiprocessing.active_children()[0].pid, flush=True)\n"
            "    time.sleep(600)\n",
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    child = psutil.Process(int(parent.stdout.readline()))
    parent.kill()
    parent.wait()
    parent.stdout.close()
    psutil.wait_procs([child], timeout=60)
    assert not child.is_running()
