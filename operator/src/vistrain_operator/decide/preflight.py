"""The pre-flight: a Job without a slice looks at data, weights and disk before an attempt asks for one.

    no Job            made                                    disrupted     made again, counted nowhere
    passed            noted for good, the Job goes            fault         made again within the budget
    refused           the run has failed                      suspended     stopped, and made again later

It is no attempt: it takes no fencing token, and writes nothing that a trainer would read.
"""

from __future__ import annotations

from datetime import timedelta

from vistrain_api.failures import HANDLING, FailureClass, Response
from vistrain_api.quantities import seconds
from vistrain_api.status import Preflight
from vistrain_operator import jobs, objects, timestamps
from vistrain_operator.actions import CreateJob, DeleteJob
from vistrain_operator.decide import attempts, budget, classify, stopping, watching
from vistrain_operator.decide.classify import End
from vistrain_operator.decide.conditions import LOOK_AGAIN, POD_EXPECTED, waiting
from vistrain_operator.decide.draft import Draft
from vistrain_operator.decide.settled import settle
from vistrain_operator.objects import Object

REASON = "Preflight"
LOOKS = "the pre-flight looks at data, weights and disk before a slice is asked for"


def pending(draft: Draft) -> bool:
    """Whether the pre-flight has yet to pass. A run that has had an attempt needs none."""
    record = draft.status.preflight
    return draft.status.attempt == 0 and (record is None or record.passed_at is None)


def take_in(draft: Draft) -> None:
    """Note the end of the pre-flight's Job, once."""
    job = _job(draft)
    if not pending(draft) or job is None or _noted(draft, job):
        return
    pod = _pod(draft, job)
    o, suspending = draft.observed, draft.spec.suspend
    if pod is not None:
        found = classify.end_of_pod(pod, job, suspending=suspending, nodes=o.nodes, now=o.now)
        found = found or _stalled(draft, pod)
    else:
        found = classify.end_of_job(job, had_pod=False, suspending=suspending, now=o.now)
    if found is not None:
        _note(draft, job, found)


def finish(draft: Draft) -> bool:
    """End the run if the pre-flight has ended for good without passing. Says whether it did."""
    record = draft.status.preflight
    if not pending(draft) or record is None or record.failure_class is None:
        return False
    failure, response = record.failure_class, HANDLING[record.failure_class].response
    text = record.message
    if response is Response.RETRY and budget.exhausted(draft.status, draft.spec.resilience.max_failures):
        text = stopping.overspent(draft, f"in the pre-flight: {text}")
    elif response is not Response.FAIL:
        return False
    if failure is FailureClass.BAD_INPUT:
        draft.condition("Accepted", "False", failure.value, text)
    stopping.fail(draft, failure, text, None)
    return True


def clear_away(draft: Draft) -> None:
    """Delete the Job of a pre-flight that has passed: all it said is in the status, and its place in a quota
    is the attempt's. One that has failed stays as attempts do, for its log, and goes with the run."""
    job = _job(draft)
    if job is not None and not pending(draft):
        _delete(draft, job)


def check(draft: Draft) -> None:
    """Make the pre-flight's Job, watch it, or make it again; or say what it waits for."""
    accepted = draft.find("Accepted")
    if accepted is not None and accepted.status == "False":
        _hold(draft, accepted.reason, accepted.message)
        return
    job = _job(draft)
    if job is not None and not _noted(draft, job):
        attempts.stop_stray(draft, keep=objects.name(job))
        _watch(draft, job)
        return
    attempts.stop_stray(draft, keep=None)
    record = draft.status.preflight
    due = budget.preflight_at(record)
    if record is not None and record.failure_class is not None and due is not None and draft.now < due:
        draft.set(retry_at=timestamps.text(due))
        draft.wake(due)
        text = f"{record.failure_class.value}: the pre-flight is made again at {timestamps.text(due)}"
        _hold(draft, "BackingOff", text)
        return
    _hold(draft, REASON, LOOKS)
    draft.set(retry_at=None)
    if job is not None:  # it has ended, and its name is needed
        _delete(draft, job)
        return
    settled = settle(draft)
    body = jobs.preflight(
        settled.run,
        uid=draft.uid,
        image=settled.image,
        path=settled.path,
        manifest=settled.manifest,
        owner=settled.owner,
    )
    draft.act(CreateJob(body))


def _job(draft: Draft) -> Object | None:
    name = jobs.preflight_name(draft.run.metadata.name, draft.uid)
    return next((j for j in draft.preflight_jobs if objects.name(j) == name), None)


def _pod(draft: Draft, job: Object) -> Object | None:
    return next((p for p in draft.preflight_pods if objects.controller_uid(p) == objects.uid(job)), None)


def _noted(draft: Draft, job: Object) -> bool:
    record = draft.status.preflight
    return record is not None and record.job_uid == objects.uid(job)


def _delete(draft: Draft, job: Object) -> None:
    # In the background: a pod on a dead node must not hold the name of the next.
    if objects.deletion(job) is None:
        draft.act(DeleteJob(objects.name(job), objects.uid(job), "Background"))


def _hold(draft: Draft, reason: str, message: str) -> None:
    draft.set(phase="Pending")
    draft.condition("Running", "False", reason, message)
    draft.condition("Progressing", "False", reason, message)


def _note(draft: Draft, job: Object, found: End) -> None:
    record = draft.status.preflight or Preflight()
    failure, uid = found.failure, objects.uid(job)
    warned = "; ".join(found.words.notes) if found.words is not None else ""
    fields: dict[str, object] = {
        "job_uid": uid,
        "ended_at": timestamps.text(found.at),
        "exit_code": found.exit_code,
        "failure_class": failure,
        "message": (found.message if failure is not None else warned)[:1024],
    }
    if failure is None:
        draft.set(preflight=record.model_copy(update={**fields, "passed_at": timestamps.text(found.at)}))
        text = "data, weights and disk are as the run needs them"
        draft.event("Normal", "PreflightPassed", f"{text}; but: {warned}" if warned else text, uid)
        return
    handling = HANDLING[failure]
    if handling.response is Response.RETRY:
        fields["failures"] = record.failures + 1
    elif handling.response is Response.RESUME:
        fields["interruptions"] = record.interruptions + 1
    draft.set(preflight=record.model_copy(update=fields))
    _tell(draft, failure, found.message, uid)


def _tell(draft: Draft, failure: FailureClass, message: str, uid: str) -> None:
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
    draft.event(kind, failure.value, f"the pre-flight ended: {message}; {next_}", uid)


def _stalled(draft: Draft, pod: Object) -> End | None:
    """Its end by the operator's hand, when it hangs (mostly on a volume)."""
    running = objects.trainer_state(pod, "running") or {}
    since = timestamps.parse_or_none(running.get("startedAt"))
    if since is None or objects.deletion(pod) is not None or classify.unreachable(pod, draft.observed.nodes):
        return None
    limit = draft.spec.resilience.stall_timeout
    over = since + timedelta(seconds=seconds(limit))
    if draft.now >= over:
        text = f"no end since {timestamps.text(since)}, longer than resilience.stallTimeout ({limit})"
        return End(FailureClass.STALLED, text, draft.now)
    draft.wake(over)
    return None


def _watch(draft: Draft, job: Object) -> None:
    pod = _pod(draft, job)
    held = waiting(job, pod, draft.observed)
    if pod is not None and (silent := watching.silent(draft, pod)) is not None:
        held = silent
    if held is None:
        _hold(draft, REASON, LOOKS)
        return
    if held.warn and draft.newly("Running", held.reason):
        draft.event("Warning", held.reason, held.message, objects.uid(pod or job))
    starts = held.reason == "Starting"
    _hold(draft, REASON if starts else held.reason, LOOKS if starts else held.message)
    made = objects.created(job) or draft.now
    first = made + POD_EXPECTED
    draft.wake(first if pod is None and draft.now <= first else draft.now + LOOK_AGAIN)
    over = objects.deletion(pod) if pod is not None else None
    if over is not None:
        draft.wake(max(over + timedelta(seconds=6), draft.now + timedelta(seconds=1)))
