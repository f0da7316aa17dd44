"""The record of attempts: every pod is entered once, ended once and counted once, whatever is seen again."""

from __future__ import annotations

from vistrain_api.failures import HANDLING, FailureClass, Response
from vistrain_api.status import Attempt
from vistrain_operator import objects, timestamps
from vistrain_operator.actions import DeleteJob, DeletePod
from vistrain_operator.decide import budget, classify
from vistrain_operator.decide.conditions import POD_EXPECTED
from vistrain_operator.decide.draft import KEPT_ATTEMPTS, Draft
from vistrain_operator.objects import Object

_NO_POD = "job:"  # stands for the pod's UID while there never was a pod


def take_in(draft: Draft) -> None:
    """Bring the record up to what exists: enter new Jobs and pods, note ends, count."""
    _enter_jobs(draft)
    for pod in sorted(
        draft.observed.pods, key=lambda p: (objects.attempt_number(p), str(objects.created(p)))
    ):
        _enter_pod(draft, pod)
    for attempt in draft.status.attempts:
        if attempt.ended_at is None:
            _look(draft, attempt)
    _keep_the_last(draft)


def replace(draft: Draft, attempt: Attempt, **fields: object) -> Attempt:
    """Change an attempt on record."""
    changed = attempt.model_copy(update=fields)
    draft.set(attempts=[changed if a.pod_uid == attempt.pod_uid else a for a in draft.status.attempts])
    return changed


def end(draft: Draft, attempt: Attempt, finding: classify.End) -> Attempt:
    """Note the end of an attempt and add it to the counter its class belongs to, once and for all."""
    counted = budget.counts_as(finding.failure) if finding.failure is not None else ""
    fields: dict[str, object] = {
        "ended_at": timestamps.text(finding.at),
        "exit_code": finding.exit_code,
        "failure_class": finding.failure,
        "counted": counted,
        "message": finding.message[:1024],
    }
    words = finding.words
    if words is not None:
        if words.last_step is not None:
            fields["last_step"] = max(words.last_step, attempt.last_step or 0)
        if attempt.restored_step is None and words.restored_step is not None:
            fields["restored_step"] = words.restored_step
    changed = replace(draft, attempt, **fields)
    if counted == "disruption":
        draft.set(disruptions=draft.status.disruptions + 1)
    elif counted == "failure":
        draft.set(failures=draft.status.failures + 1)
    if counted and finding.failure is not None:
        draft.count(counted, finding.failure.value)
    if finding.failure is not None:
        _tell(draft, changed)
    return changed


def _tell(draft: Draft, attempt: Attempt) -> None:
    failure = attempt.failure_class
    if failure is None:
        return
    where = f" at step {attempt.last_step}" if attempt.last_step is not None else ""
    text = f"attempt {attempt.number} ended{where}: {attempt.message}; {_what_now(draft, failure)}"
    kind = "Warning" if attempt.counted == "failure" or failure is FailureClass.GATE_NOT_MET else "Normal"
    draft.event(kind, failure.value, text, attempt.pod_uid)


def _what_now(draft: Draft, failure: FailureClass) -> str:
    match HANDLING[failure].response:
        case Response.RESUME:
            return "a new attempt goes on from its checkpoint, the failure budget is untouched"
        case Response.RETRY:
            allowed = draft.spec.resilience.max_failures
            return f"fault {budget.spent(draft.status)}, resilience.maxFailures allows {allowed}"
        case Response.WAIT:
            return "it goes on when spec.suspend is cleared"
        case Response.FAIL:
            return "no retry helps"


def _enter_jobs(draft: Draft) -> None:
    known = {a.job for a in draft.status.attempts}
    for job in sorted(draft.observed.jobs, key=objects.attempt_number):
        number = objects.attempt_number(job)
        if objects.name(job) in known or number < max(1, draft.status.attempt):
            continue
        made = objects.created(job)
        if made is not None and draft.now < made + POD_EXPECTED and not objects.job_deciding(job):
            draft.wake(made + POD_EXPECTED)  # the pod comes in a moment, and is entered in one write
            continue
        entry = Attempt(pod_uid=_NO_POD + objects.uid(job), number=number, job=objects.name(job))
        draft.set(attempts=[*draft.status.attempts, entry], attempt=number)


def _enter_pod(draft: Draft, pod: Object) -> None:
    uid = objects.uid(pod)
    attempts = draft.status.attempts
    if any(a.pod_uid == uid for a in attempts):
        return
    controller = objects.controller_uid(pod)
    vacant = next((a for a in attempts if a.pod_uid == _NO_POD + controller), None)
    if vacant is not None:
        if vacant.ended_at is None:
            replace(draft, vacant, pod_uid=uid, pod=objects.name(pod))
        return
    made = objects.created(pod)
    begun = objects.pod_terminal(pod) or objects.trainer_status(pod).get("state")
    if not begun and made is not None and draft.now < made + POD_EXPECTED:
        draft.wake(made + POD_EXPECTED)  # it is scheduled and started in a moment, and entered in one write
        return
    number = objects.attempt_number(pod)
    if number < max(1, draft.status.attempt):
        return  # of an attempt that is no longer on record
    job = draft.job_of(controller)
    name = objects.name(job) if job is not None else objects.label(pod, "batch.kubernetes.io/job-name")
    entry = Attempt(pod_uid=uid, number=number, job=name, pod=objects.name(pod))
    draft.set(attempts=[*attempts, entry], attempt=number)


def _look(draft: Draft, attempt: Attempt) -> None:
    """Update an open attempt, and end it when its pod or Job has ended."""
    o = draft.observed
    pod = next((p for p in o.pods if objects.uid(p) == attempt.pod_uid), None)
    job = next((j for j in o.jobs if objects.name(j) == attempt.job), None)
    suspending = draft.spec.suspend
    if pod is not None:
        attempt = _update(draft, attempt, pod)
        found = classify.end_of_pod(pod, job, suspending=suspending, nodes=o.nodes, now=o.now)
    else:
        had_pod = not attempt.pod_uid.startswith(_NO_POD)
        found = classify.end_of_job(job, had_pod=had_pod, suspending=suspending, now=o.now)
    if found is not None:
        end(draft, attempt, found)


def _update(draft: Draft, attempt: Attempt, pod: Object) -> Attempt:
    fields: dict[str, object] = {}
    node = (pod.get("spec") or {}).get("nodeName", "")
    if node and not attempt.node:
        fields["node"] = node
    state = objects.trainer_state(pod, "running") or objects.trainer_state(pod, "terminated") or {}
    started = state.get("startedAt")
    if started and attempt.started_at is None:
        fields["started_at"] = started
        draft.event(
            "Normal",
            "AttemptStarted",
            f"attempt {attempt.number} started as pod {objects.name(pod)} on node {node}",
            attempt.pod_uid,
        )
    return replace(draft, attempt, **fields) if fields else attempt


def _keep_the_last(draft: Draft) -> None:
    """Forget attempts beyond the last ten. Their Jobs go first, so that none of them is entered anew."""
    attempts = draft.status.attempts
    if len(attempts) > KEPT_ATTEMPTS:
        draft.set(attempts=attempts[-KEPT_ATTEMPTS:])
    if not draft.status.attempts:
        return
    oldest = draft.status.attempts[0].number
    for job in draft.observed.jobs:
        if objects.attempt_number(job) < oldest and objects.deletion(job) is None:
            draft.act(DeleteJob(objects.name(job), objects.uid(job)))


def stop_stray(draft: Draft, *, keep: str | None) -> None:
    """Stop everything that may still write or start, except the Job named `keep` and what other runs need."""
    for job in draft.fertile_jobs():
        if objects.name(job) != keep:
            draft.act(DeleteJob(objects.name(job), objects.uid(job)))
    for job in draft.fertile_errand_jobs():
        if objects.name(job) != keep:
            draft.act(DeleteJob(objects.name(job), objects.uid(job), "Background"))
    jobs = {objects.uid(j) for j in (*draft.observed.jobs, *draft.errand_jobs)}
    for pod in (*draft.observed.pods, *draft.errand_pods):
        orphan = objects.controller_uid(pod) not in jobs and not draft.serves_others(pod)
        if orphan and not objects.pod_terminal(pod) and objects.deletion(pod) is None:
            draft.act(DeletePod(objects.name(pod), objects.uid(pod)))
