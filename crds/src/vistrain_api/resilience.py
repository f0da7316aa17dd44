"""What a run survives."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from vistrain_api.base import Contract, Rule, duration_within, exactly_one, not_supported
from vistrain_api.initialization import Share
from vistrain_api.quantities import Duration


class RollBack(Contract):
    """Go back to the last good checkpoint with a lower rate."""

    max: Annotated[int, Field(ge=1, le=10)] = 2
    """How often."""
    learning_rate_factor: Share = 0.5
    """What the rate is multiplied by each time."""


class FailOnNaN(Contract):
    """Stop."""


class OnNaN(Contract):
    """Exactly one of rollBack, fail."""

    roll_back: RollBack | None = None
    """Go back to the last good checkpoint with a lower rate."""
    fail: FailOnNaN | None = None
    """Stop."""

    rules: ClassVar[tuple[Rule, ...]] = (exactly_one("rollBack", "fail"),)


class Resilience(Contract):
    """What a run survives."""

    max_failures: Annotated[int, Field(ge=0, le=100)] = 3
    """Budget for faults; evictions and other disruptions never use it."""
    termination_grace_period: Duration = "120s"
    """Time a pod has to save itself after SIGTERM."""
    stall_timeout: Duration = "15m"
    """Time without a step after which a pod is taken for stalled."""
    max_duration: Duration = "96h"
    """Longest time from the first start to the end."""
    on_gpu_out_of_memory: Literal["shrinkMicroBatch", "fail"] | None = None
    """What to do when GPU memory does not suffice."""
    on_nan: Annotated[OnNaN | None, Field(alias="onNaN")] = None
    """What to do when the loss is not finite."""

    rules: ClassVar[tuple[Rule, ...]] = (
        duration_within("terminationGracePeriod", "1s", "24h"),
        duration_within("stallTimeout", "1s", "168h"),
        duration_within("maxDuration", "1s", "8760h"),
        not_supported("onGpuOutOfMemory"),
        not_supported("onNaN"),
    )
