"""The life of an errand: a Job without a slice that must end well before an attempt asks for one.

    no Job            made                                    disrupted     made again, counted nowhere
    done              noted for good                          fault         made again within the budget
    refused           the run has failed                      suspended     stopped, and made again later

It is no attempt: it takes no fencing token, and writes nothing into the run folder.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from vistrain_api.failures import HANDLING, FailureClass, Response
from vistrain_operator import objects, timestamps
from vistrain_operator.actions import CreateJob, DeleteJob
from vistrain_operator.decide import attempts, budget, classify, stopping, watching
from vistrain_operator.decide.classify import End
from vistrain_operator.decide.conditions import LOOK_AGAIN, POD_EXPECTED, waiting
from vistrain_operator.decide.draft import Draft
from vistrain_operator.decide.errand import Errand
from vistrain_operator.decide.settled import settle
from vistrain_operator.objects import Object


def pending(draft: Draft, errand: Errand) -> bool:
    """Whether it has yet to be done. A run that has had an attempt needs none."""
    return draft.status.attempt == 0 and errand.wanted(draft) and errand.begun(draft).passed_at is None


def take_in(draft: Draft, errand: Errand) -> None:
    """Note the end of its Job, once."""
    if not pending(draft, errand):
        return
    job = _job(draft, errand)
    if job is None or _noted(draft, errand, job):
        return
    end = _end(draft, errand, job)
    if end is not None and not errand.outdated(draft, job, end):
        _note(draft, errand, job, end)


def finish(draft: Draft, errand: Errand) -> bool:
    """End the run if it has ended for good without being done. Says whether it did."""
    if not pending(draft, errand):
        return False
    record = errand.begun(draft)
    if record.failure_class is None:
        return False
    failure, response = record.failure_class, HANDLING[record.failure_class].response
    text = record.message
    if response is Response.RETRY and budget.exhausted(draft.status, draft.spec.resilience.max_failures):
        text = stopping.overspent(draft, f"in {errand.title}: {text}")
    elif response is not Response.FAIL:
        return False
    if failure is FailureClass.BAD_INPUT:
        draft.condition("Accepted", "False", failure.value, text)
    stopping.fail(draft, failure, text, None)
    return True


def clear_away(draft: Draft, errand: Errand) -> None:
    """Delete the Job of an errand that is done, unless runs share it: all it said is in the status, and its
    place in a quota is the attempt's. One that has failed stays as attempts do, for its log."""
    if errand.shared or pending(draft, errand) or not errand.wanted(draft):
        return
    job = _job(draft, errand)
    if job is not None:
        _delete(draft, job)


def send(draft: Draft, errand: Errand) -> None:
    """Make its Job, watch it, or make it again; or say what it waits for."""
    accepted = draft.find("Accepted")
    if accepted is not None and accepted.status == "False":
        _hold(draft, accepted.reason, accepted.message)
        return
    if errand.shared:  # what it shares, and with whom, is to be seen from the first
        draft.set(**{errand.field: errand.begun(draft)})
    job = _job(draft, errand)
    if job is not None and not _over(draft, errand, job):
        attempts.stop_stray(draft, keep=objects.name(job))
        _watch(draft, errand, job)
        return
    attempts.stop_stray(draft, keep=None)
    record = errand.begun(draft)
    due = budget.errand_at(record)
    if record.failure_class is not None and due is not None and draft.now < due:
        if job is not None and record.failure_class is FailureClass.STALLED:
            _delete(draft, job)  # its pod hangs, whoever waits for it
        draft.set(retry_at=timestamps.text(due))
        draft.wake(due)
        text = f"{record.failure_class.value}: {errand.title} is made again at {timestamps.text(due)}"
        _hold(draft, "BackingOff", text)
        return
    _hold(draft, errand.reason, errand.saying(draft, None))
    draft.set(retry_at=None)
    if job is not None:  # it has ended, and its name is needed
        _delete(draft, job)
        return
    settled = settle(draft)
    draft.act(CreateJob(errand.body(draft, settled), errand.shared))


def _job(draft: Draft, errand: Errand) -> Object | None:
    name = errand.name(draft)
    return next((j for j in draft.errand_jobs if objects.name(j) == name), None)


def _pod(draft: Draft, job: Object) -> Object | None:
    return next((p for p in draft.errand_pods if objects.controller_uid(p) == objects.uid(job)), None)


def _noted(draft: Draft, errand: Errand, job: Object) -> bool:
    return errand.begun(draft).job_uid == objects.uid(job)


def _over(draft: Draft, errand: Errand, job: Object) -> bool:
    """Whether nothing more is to be expected of the Job."""
    if _noted(draft, errand, job):
        return True
    end = _end(draft, errand, job)
    return end is not None and errand.outdated(draft, job, end)


def _end(draft: Draft, errand: Errand, job: Object) -> End | None:
    pod = _pod(draft, job)
    o, suspending = draft.observed, draft.spec.suspend
    if pod is None:
        return classify.end_of_job(job, had_pod=False, suspending=suspending, now=o.now)
    found = classify.end_of_pod(pod, job, suspending=suspending, nodes=o.nodes, now=o.now)
    return found or _stalled(draft, errand, pod)


def _stalled(draft: Draft, errand: Errand, pod: Object) -> End | None:
    """Its end by the operator's hand, when it hangs."""
    running = objects.trainer_state(pod, "running") or {}
    since = timestamps.parse_or_none(running.get("startedAt"))
    if since is None or objects.deletion(pod) is not None or classify.unreachable(pod, draft.observed.nodes):
        return None
    limit = errand.limit(draft)
    over = since + timedelta(seconds=limit.seconds)
    if draft.now >= over:
        text = f"no end since {timestamps.text(since)}, longer than {limit.text}"
        return End(FailureClass.STALLED, text, draft.now)
    draft.wake(over)
    return None


def _delete(draft: Draft, job: Object) -> None:
    # In the background: a pod on a dead node must not hold the name of the next.
    if objects.deletion(job) is None:
        draft.act(DeleteJob(objects.name(job), objects.uid(job), "Background"))


def _hold(draft: Draft, reason: str, message: str) -> None:
    draft.set(phase="Pending")
    draft.condition("Running", "False", reason, message)
    draft.condition("Progressing", "False", reason, message)


def _note(draft: Draft, errand: Errand, job: Object, end: End) -> None:
    record = errand.begun(draft)
    failure, uid = end.failure, objects.uid(job)
    fields: dict[str, Any] = {
        "job_uid": uid,
        "ended_at": timestamps.text(end.at),
        "exit_code": end.exit_code,
        "failure_class": failure,
        "message": end.message[:1024],
    }
    if failure is None:
        kept, reason, message = errand.told(end)
        fields |= {"message": kept[:1024], "passed_at": timestamps.text(end.at)}
        draft.event("Normal", reason, message, uid)
    elif HANDLING[failure].response is Response.RETRY:
        fields["failures"] = record.failures + 1
    elif HANDLING[failure].response is Response.RESUME:
        fields["interruptions"] = record.interruptions + 1
    draft.set(**{errand.field: record.model_copy(update=fields)})
    if failure is not None:
        _tell(draft, errand, failure, end.message, uid)


def _tell(draft: Draft, errand: Errand, failure: FailureClass, message: str, uid: str) -> None:
    match HANDLING[failure].response:
        case Response.RESUME:
            kind, next_ = "Normal", "it is made again, the failure budget is untouched"
        case Response.RETRY:
            allowed = draft.spec.resilience.max_failures
            kind, next_ = (
                "Warning",
                f"fault {budget.spent(draft.status)}, resilience.maxFailures allows {allowed}",
            )
        case Response.FAIL:
            kind, next_ = "Warning", "no retry helps, and no slice was asked for"
        case Response.WAIT:
            return  # stopped by spec.suspend
    draft.event(kind, failure.value, f"{errand.title} ended: {message}; {next_}", uid)


def _watch(draft: Draft, errand: Errand, job: Object) -> None:
    pod = _pod(draft, job)
    held = waiting(job, pod, draft.observed)
    if pod is not None and (silent := watching.silent(draft, pod)) is not None:
        held = silent
    if held is None:
        _hold(draft, errand.reason, errand.saying(draft, job))
        return
    if held.warn and draft.newly("Running", held.reason):
        draft.event("Warning", held.reason, held.message, objects.uid(pod or job))
    if held.reason == "Starting":
        _hold(draft, errand.reason, errand.saying(draft, job))
    else:
        _hold(draft, held.reason, held.message)
    made = objects.created(job) or draft.now
    first = made + POD_EXPECTED
    draft.wake(first if pod is None and draft.now <= first else draft.now + LOOK_AGAIN)
    over = objects.deletion(pod) if pod is not None else None
    if over is not None:
        draft.wake(max(over + timedelta(seconds=6), draft.now + timedelta(seconds=1)))
