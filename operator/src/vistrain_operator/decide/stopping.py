"""The ends of a run and its pauses: finished, failed, suspended, deleted when its time is over."""

from __future__ import annotations

from datetime import timedelta

from vistrain_api.failures import HANDLING, FailureClass, Response
from vistrain_api.quantities import seconds
from vistrain_api.status import Attempt, RunStatus
from vistrain_operator import objects, timestamps
from vistrain_operator.actions import Decision, DeleteRun
from vistrain_operator.decide import attempts, budget
from vistrain_operator.decide.draft import Draft
from vistrain_operator.observed import Observed


def settle(observed: Observed, old: RunStatus) -> Decision:
    """A run that is over stays over: nothing of it may run any more, and later its object goes."""
    draft = Draft.bare(observed, old)
    attempts.stop_stray(draft, keep=None)
    ttl = (observed.run.get("spec") or {}).get("ttlAfterFinished")
    done = timestamps.parse_or_none(old.completion_time)
    if ttl and done is not None:
        over = done + timedelta(seconds=seconds(ttl))
        if draft.now >= over:
            draft.act(DeleteRun(draft.uid))
        else:
            draft.wake(over)
    return draft.result()


def finish(draft: Draft) -> bool:
    """End the run if its newest attempt has ended for good. Says whether it did."""
    newest = draft.newest()
    if newest is None or newest.ended_at is None:
        return False
    if newest.failure_class is None:
        succeed(draft, newest)
        return True
    handling = HANDLING[newest.failure_class]
    spent = budget.exhausted(draft.status, draft.spec.resilience.max_failures)
    if handling.response is Response.FAIL:
        fail(draft, newest.failure_class, newest.message, newest)
        return True
    if handling.response is Response.RETRY and spent:
        fail(draft, newest.failure_class, overspent(draft, newest.message), newest)
        return True
    return False


def overspent(draft: Draft, last: str) -> str:
    """How many faults there were, and the last of them, for a person."""
    allowed = draft.spec.resilience.max_failures
    return f"{budget.spent(draft.status)} faults, resilience.maxFailures allows {allowed}; last: {last}"


def succeed(draft: Draft, newest: Attempt) -> None:
    """The run has finished and its gates are met."""
    draft.set(phase="Succeeded", completion_time=newest.ended_at, retry_at=None)
    best = draft.status.best
    text = (
        f"finished; best {best.metric} {best.value:.4g} at epoch {best.epoch}"
        if best is not None
        else "finished"
    )
    draft.condition("Running", "False", "Finished")
    draft.condition("Progressing", "False", "Finished")
    if draft.spec.evaluation.gates:
        draft.condition("GatesMet", "True", "GatesMet")
    draft.condition("Failed", "False", "Succeeded")
    draft.condition("Succeeded", "True", "Succeeded", text)
    draft.event("Normal", "Succeeded", text)
    attempts.stop_stray(draft, keep=None)


def fail(draft: Draft, failure: FailureClass, message: str, newest: Attempt | None) -> None:
    """The run is over without success; what it saved stays."""
    ended = newest.ended_at if newest is not None and newest.ended_at else timestamps.text(draft.now)
    draft.set(phase="Failed", completion_time=ended, retry_at=None)
    text = message or HANDLING[failure].explanation
    draft.condition("Running", "False", failure.value, text)
    draft.condition("Progressing", "False", failure.value, text)
    if failure is FailureClass.GATE_NOT_MET:
        draft.condition("GatesMet", "False", failure.value, text)
    draft.condition("Succeeded", "False", failure.value, text)
    draft.condition("Failed", "True", failure.value, text)
    draft.event("Warning", "Failed", f"{failure.value}: {text}")
    attempts.stop_stray(draft, keep=None)


def suspend(draft: Draft) -> None:
    """Stop the attempt and give the slice back; the pod saves inside its grace period."""
    attempts.stop_stray(draft, keep=None)
    live = [*draft.live_pods(), *draft.live_errand_pods()]
    busy = [objects.name(p) for p in live] or [objects.name(j) for j in draft.fertile_jobs()]
    draft.set(retry_at=None)
    if busy:
        text = f"{', '.join(busy)} {'saves and stops' if draft.status.attempt else 'stops'}"
        draft.condition("Suspended", "False", "Suspending", text)
        draft.condition("Running", "False", "Suspending", text)
        for pod in live:
            over = objects.deletion(pod)
            if over is not None:
                draft.wake(max(over + timedelta(seconds=6), draft.now + timedelta(seconds=5)))
        return
    if draft.old.phase != "Suspended":
        draft.event("Normal", "Suspended", "spec.suspend is set: saved, and the slice is free")
    draft.set(phase="Suspended")
    for kind, status in (("Suspended", "True"), ("Running", "False"), ("Progressing", "False")):
        draft.condition(kind, status, "Suspended", "spec.suspend is set; clear it to go on")


def resume(draft: Draft) -> None:
    """Note that the run is not, or no longer, suspended."""
    if draft.old.phase == "Suspended":
        draft.event(
            "Normal", "Unsuspended", "spec.suspend is cleared: the run goes on", str(draft.generation)
        )
        draft.set(phase="Pending")
    if draft.find("Suspended") is not None:
        draft.condition("Suspended", "False", "NotSuspended")
