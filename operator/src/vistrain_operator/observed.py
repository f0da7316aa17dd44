"""What `decide` sees of the world: plain data, and the time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from vistrain_api.protocol import Progress
from vistrain_operator.objects import Object


@dataclass(frozen=True)
class NodeView:
    """What the operator knows of a node."""

    name: str
    ready: str = "Unknown"
    """Status of the Ready condition; Unknown when its kubelet no longer answers."""
    schedulable: bool = True
    offered: Mapping[str, int] = field(default_factory=dict)
    """Allocatable extended resources of nvidia.com, by name."""
    product: str = ""
    """Label nvidia.com/gpu.product."""


@dataclass(frozen=True)
class Report:
    """What the poller last heard from a pod."""

    progress: Progress | None
    """The last report; none when the trainer never answered."""
    heard_at: datetime | None
    """When `progress` was heard."""
    error: str = ""
    """Why the last poll failed; empty when it did not."""


@dataclass(frozen=True)
class Observed:
    """One run with everything that bears on it, at one moment."""

    now: datetime
    run: Object
    jobs: tuple[Object, ...] = ()
    """Jobs controlled by the run, and that of the preparation it asks for, whichever run made it."""
    pods: tuple[Object, ...] = ()
    """Pods that carry the run's UID as a label, and those of that preparation."""
    sharers: tuple[str, ...] = ()
    """Other runs that wait for the same preparation."""
    nodes: Mapping[str, NodeView] | None = None
    """Nodes by name; none when the operator may not read nodes."""
    missing_claims: tuple[str, ...] = ()
    """Claims the run names that do not exist; looked up only before an attempt starts."""
    troubles: Mapping[str, str] = field(default_factory=dict)
    """Messages of warning events by UID of a Job without a pod, or of a pod that does not start."""
    source: Object | None = None
    """The run that initialization.run names, if it exists; looked up until the first start."""
    reports: Mapping[str, Report] = field(default_factory=dict)
    """What trainers report, by pod UID."""
    default_image: str = ""
    """Trainer image of runs that name none."""
