"""The dev cluster's binaries, built where they are missing, by one test process at a time."""

from __future__ import annotations

import fcntl
from pathlib import Path

from vistrain_devcluster import binaries
from vistrain_devcluster.config import ClusterConfig


def built(*modules: binaries.Module) -> Path:
    """The folder with these modules' binaries. Another test process that builds them is waited for."""
    cache = ClusterConfig.from_environment().cache
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "tests.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return binaries.ensure(cache, report=print, modules=modules)
