"""What the command line and the pod's environment tell a run, besides its manifest."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from vistrain_api import protocol
from vistrain_trainer.engine.volumes import Volumes


@dataclass(frozen=True)
class PodEnvironment:
    """The variables that the operator sets; all empty without a cluster."""

    attempt: int | None = None
    pod_uid: str = ""
    pod_name: str = ""
    node_name: str = ""
    image: str = ""
    termination_log: Path | None = None

    @classmethod
    def read(cls) -> PodEnvironment:
        """From os.environ."""
        attempt = os.environ.get(protocol.ENV_ATTEMPT)
        log = os.environ.get(protocol.ENV_TERMINATION_LOG)
        return cls(
            attempt=int(attempt) if attempt else None,
            pod_uid=os.environ.get(protocol.ENV_POD_UID, ""),
            pod_name=os.environ.get(protocol.ENV_POD_NAME, ""),
            node_name=os.environ.get(protocol.ENV_NODE_NAME, ""),
            image=os.environ.get(protocol.ENV_IMAGE, ""),
            termination_log=Path(log) if log else None,
        )

    @property
    def in_pod(self) -> bool:
        """Whether the process runs in a trainer pod."""
        return bool(self.pod_uid)


@dataclass(frozen=True)
class RunOptions:
    """Options of `vistrain run`."""

    output: Path
    """Run folder."""
    volumes: Volumes
    device: str = "auto"
    log_every: int = 10
    """Optimiser steps between two log rows."""
    port: int = protocol.PORT
    """Port of /metrics and /progress; the next free one when it is taken; 0 for none outside a pod."""
    report: bool = True
    """Whether a run that is over writes its report."""
    pod: PodEnvironment = field(default_factory=PodEnvironment)

    @property
    def cache_folder(self) -> Path:
        """Where runs keep what other runs of the same data may use: on the checkpoint volume, beside them."""
        return self.volumes.shared / ".vistrain-cache"
