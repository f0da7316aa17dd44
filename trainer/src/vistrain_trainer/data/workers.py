"""Care of loader worker processes: their signals, threads and deaths."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path

import cv2

from vistrain_trainer.errors import LoaderWorkerLost

MEMORY_EVENTS = Path("/sys/fs/cgroup/memory.events")
"""Where the container's own cgroup (v2) counts kills for memory."""


def prepare_worker(_worker: int) -> None:
    """Set up a fresh worker: the main process alone decides on SIGTERM and SIGINT; one thread each.

    A signal to the process group must not take the workers away from a trainer that still has its step to
    finish. Workers end with their loader or, should the main process be killed, within seconds by PyTorch's
    watch on it.
    """
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    cv2.setNumThreads(0)


def memory_kills(events: Path = MEMORY_EVENTS) -> int | None:
    """How many processes of this container were killed for memory; None where no cgroup tells."""
    try:
        counts = dict(line.split() for line in events.read_text().splitlines())
        return int(counts["oom_kill"])
    except (OSError, ValueError, KeyError):
        return None


def explain_loss(
    workers: Sequence[BaseProcess], kills_before: int | None, kills_now: int | None
) -> LoaderWorkerLost:
    """The error for dead workers, from their exit codes and the container's count of kills for memory."""
    dead = [worker for worker in workers if worker.exitcode not in (None, 0)]
    ends = ", ".join(f"pid {worker.pid}: {_end(worker.exitcode)}" for worker in dead) or "no exit code"
    if any(worker.exitcode == -signal.SIGBUS for worker in dead):
        return LoaderWorkerLost(
            f"a loader worker died ({ends}): shared memory is full; "
            "raise spec.resources.sharedMemory or lower spec.dataset.loader.workers",
            out_of_memory=True,
        )
    if any(worker.exitcode == -signal.SIGKILL for worker in dead):
        counted = kills_before is not None and kills_now is not None
        if not counted or (kills_now or 0) > (kills_before or 0):
            cause = "because" if counted else "most likely because"
            return LoaderWorkerLost(
                f"a loader worker was killed, {cause} memory ran out ({ends}); "
                "raise spec.resources.memory or lower spec.dataset.loader.workers",
                out_of_memory=True,
            )
    return LoaderWorkerLost(f"a loader worker died ({ends})", out_of_memory=False)


def _end(code: int | None) -> str:
    if code is not None and code < 0:
        return f"killed by {signal.Signals(-code).name}"
    return f"exit code {code}"
