"""What a run survives."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from vistrain_api.base import Contract, Rule, duration_within, exactly_one
from vistrain_api.quantities import Duration


class RollBack(Contract):
    """Go back to the last good checkpoint of an epoch's end, and on with a lower rate."""

    max: Annotated[int, Field(ge=1, le=10)] = 2
    """How often in a run; after that it fails."""
    learning_rate_factor: Annotated[float, Field(gt=0, le=1)] = 0.5
    """What every rate is multiplied by from there on, each time."""


class FailOnNaN(Contract):
    """Fail at once."""


class OnNaN(Contract):
    """Exactly one of rollBack, fail."""

    roll_back: RollBack | None = None
    """Go back to the last good checkpoint of an epoch's end, and on with a lower rate."""
    fail: FailOnNaN | None = None
    """Fail at once."""

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
    on_gpu_out_of_memory: Literal["shrinkMicroBatch", "fail"] = "shrinkMicroBatch"
    """What to do when GPU memory does not suffice. shrinkMicroBatch: the step is done again with fewer images
    on the device at once; batch size and rate stay."""
    on_nan: Annotated[OnNaN, Field(alias="onNaN")] = Field(
        default_factory=lambda: OnNaN(roll_back=RollBack())
    )
    """What to do when the loss is not finite."""

    rules: ClassVar[tuple[Rule, ...]] = (
        duration_within("terminationGracePeriod", "1s", "24h"),
        duration_within("stallTimeout", "1s", "168h"),
        duration_within("maxDuration", "1s", "8760h"),
    )
