"""When the next attempt is due, and when there is none."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from vistrain_api.failures import HANDLING, FailureClass, Response
from vistrain_api.status import Attempt, Errand, RunStatus
from vistrain_operator import timestamps

FAULT_BACKOFF = 10.0  # seconds after the first fault; doubled with each further one
FAULT_BACKOFF_MAX = 300.0
IDLE_BACKOFF_MAX = 60.0


def counts_as(failure: FailureClass) -> str:
    """Which counter an attempt that ended so is added to: disruption, failure, or none (empty)."""
    handling = HANDLING[failure]
    if handling.uses_budget:
        return "failure"
    return "disruption" if handling.response is Response.RESUME else ""


def spent(status: RunStatus) -> int:
    """The faults so far: those of attempts, and those of errands before them."""
    errands = (status.preparation, status.preflight)
    return status.failures + sum(record.failures for record in errands if record is not None)


def exhausted(status: RunStatus, max_failures: int) -> bool:
    """Whether the faults so far are more than the budget allows."""
    return spent(status) > max_failures


def retry_at(attempts: Sequence[Attempt], failures: int) -> datetime | None:
    """When the attempt after the newest may start; none for at once.

    A fault waits 10, 20, 40 s and so on to 5 minutes. A disruption does not wait, unless attempt after
    attempt ends without a step (a node that refuses every pod): then 1, 2, 4 s and so on to a minute.
    """
    if not attempts or attempts[-1].failure_class is None:
        return None
    newest = attempts[-1]
    ended = timestamps.parse_or_none(newest.ended_at)
    failure = newest.failure_class
    if ended is None or failure is None:
        return None
    return _after(ended, _delay(failure, failures, _fruitless(attempts)))


def errand_at(record: Errand | None) -> datetime | None:
    """When an errand's Job may be made again; none for at once. It waits as an attempt does."""
    ended = timestamps.parse_or_none(record.ended_at) if record is not None else None
    if record is None or record.failure_class is None or ended is None:
        return None
    return _after(ended, _delay(record.failure_class, record.failures, record.interruptions))


def _after(ended: datetime, delay: float) -> datetime | None:
    return ended + timedelta(seconds=delay) if delay > 0 else None


def _delay(failure: FailureClass, faults: int, fruitless: int) -> float:
    response = HANDLING[failure].response
    if response is Response.RETRY:
        return float(min(FAULT_BACKOFF_MAX, FAULT_BACKOFF * 2 ** max(0, faults - 1)))
    if response is not Response.RESUME:
        return 0.0
    spared = 0 if failure is FailureClass.ADMISSION_REJECTED else 1
    return float(min(IDLE_BACKOFF_MAX, 2.0 ** (fruitless - 1 - spared))) if fruitless > spared else 0.0


def _fruitless(attempts: Sequence[Attempt]) -> int:
    """How many of the newest attempts were disrupted before they executed a step."""
    count = 0
    for attempt in reversed(attempts):
        if attempt.counted != "disruption" or attempt.last_step is not None:
            break
        count += 1
    return count
