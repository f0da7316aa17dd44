"""What `decide` asks for: each action can be repeated without harm."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from vistrain_api.status import RunStatus
from vistrain_operator.objects import Object


@dataclass(frozen=True)
class RecordEvent:
    """Tell people. `token` tells apart two events that would else be one (an attempt's pod UID)."""

    type: str
    """Normal or Warning."""
    reason: str
    message: str
    token: str = ""


@dataclass(frozen=True)
class CreateConfigMap:
    """Store the resolved manifest; its name holds its digest, so an existing one is the same."""

    body: Object


@dataclass(frozen=True)
class CreateJob:
    """Start an attempt or an errand; its name is deterministic, so one that exists is adopted."""

    body: Object
    shared: bool = False
    """Whether another run may have made it."""


@dataclass(frozen=True)
class DeleteJob:
    """Stop a Job's pod, which gets its grace period."""

    name: str
    uid: str
    propagation: Literal["Foreground", "Background"] = "Foreground"
    """Foreground: the Job goes after its pod. Background: at once, so that its name is free again."""


@dataclass(frozen=True)
class DeletePod:
    """Stop a pod that no Job controls any more."""

    name: str
    uid: str


@dataclass(frozen=True)
class DeleteRun:
    """Delete the run object itself, its time to live being over."""

    uid: str


Write = CreateConfigMap | CreateJob | DeleteJob | DeletePod | DeleteRun


@dataclass(frozen=True)
class Decision:
    """What shall be true, and what is to be done for it."""

    status: RunStatus | None
    """The status to write; none when nothing of it changed."""
    events: tuple[RecordEvent, ...] = ()
    actions: tuple[Write, ...] = ()
    """In order; done only after the status is written, so that nothing is done that is not recorded."""
    wake_after: float | None = None
    """Seconds after which the run wants another look, though nothing happens."""
    counted: tuple[tuple[str, str], ...] = ()
    """(disruption | failure, class) of attempts whose count this status adds."""
    steps_lost: int = 0
    """Steps that this status adds to the count of steps lost."""
    resumed: tuple[float, ...] = field(default=())
    """Seconds that each attempt that this status first shows as training again took to resume."""

    @property
    def quiet(self) -> bool:
        """Whether there is nothing to do."""
        return self.status is None and not self.events and not self.actions
