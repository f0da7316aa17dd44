"""Watching an attempt that is open: its phase, its conditions, its stalls and the run's deadline."""

from __future__ import annotations

from datetime import timedelta

from vistrain_api.failures import FailureClass
from vistrain_api.quantities import seconds
from vistrain_api.status import Attempt
from vistrain_operator import objects, timestamps
from vistrain_operator.decide import attempts, reports, stopping
from vistrain_operator.decide.classify import End, unreachable
from vistrain_operator.decide.conditions import LOOK_AGAIN, POD_EXPECTED, Waiting, waiting
from vistrain_operator.decide.draft import Draft
from vistrain_operator.objects import Object
from vistrain_operator.observed import Report

PROGRESS_EVERY = timedelta(seconds=10)
_PHASES = {"Training": "Training", "Evaluating": "Evaluating", "Resuming": "Resuming"}


def give_up(draft: Draft) -> bool:
    """End the run at its deadline, or the attempt when it is stalled. Says whether the run is over."""
    started = timestamps.parse_or_none(draft.status.start_time)
    if started is None or draft.spec.suspend:
        return False
    current = draft.current()
    limit = draft.spec.resilience.max_duration
    over = started + timedelta(seconds=seconds(limit))
    if draft.now >= over:
        text = f"resilience.maxDuration ({limit}) has passed since {draft.status.start_time}"
        finding = End(FailureClass.DEADLINE_EXCEEDED, text, draft.now)
        ended = attempts.end(draft, current, finding) if current is not None else None
        stopping.fail(draft, FailureClass.DEADLINE_EXCEEDED, text, ended)
        return True
    draft.wake(over)
    if current is not None and _stalled(draft, current):
        return stopping.finish(draft)
    return False


def _stalled(draft: Draft, current: Attempt) -> bool:
    pod = _pod(draft, current)
    if pod is None or objects.deletion(pod) is not None or objects.trainer_state(pod, "running") is None:
        return False
    since = reports.stalled_since(draft)
    if since is None or unreachable(pod, draft.observed.nodes):
        return False
    limit = draft.spec.resilience.stall_timeout
    over = since + timedelta(seconds=seconds(limit))
    if draft.now < over:
        draft.wake(over)
        return False
    text = f"no progress since {timestamps.text(since)}, longer than resilience.stallTimeout ({limit})"
    attempts.end(draft, current, End(FailureClass.STALLED, text, draft.now))
    return True


def watch(draft: Draft) -> None:
    """Say what the current attempt does, or what it waits for."""
    current = draft.current()
    if current is None:
        return
    attempts.stop_stray(draft, keep=current.job)
    pod = _pod(draft, current)
    job = next((j for j in draft.observed.jobs if objects.name(j) == current.job), None)
    held = waiting(job, pod, draft.observed)
    if pod is not None and (told := silent(draft, pod)) is not None:
        held = told
    if held is None:
        _runs(draft, current, pod)
    else:
        _waits(draft, current, pod, job, held)


def _queued_job(draft: Draft) -> Object | None:
    newest = draft.newest()
    if newest is None or newest.failure_class is not FailureClass.PREEMPTED:
        return None
    job = next((j for j in draft.observed.jobs if objects.name(j) == newest.job), None)
    if job is None or objects.deletion(job) is not None or objects.job_deciding(job):
        return None
    return job


def queued(draft: Draft) -> bool:
    """Whether the Job of the attempt that was preempted may still bring it back: a queue suspends and
    re-admits a Job, and then its next pod belongs to the same Job."""
    return _queued_job(draft) is not None


def wait_in_queue(draft: Draft) -> None:
    """Say that the run waits for its queue."""
    job = _queued_job(draft)
    newest = draft.newest()
    if job is None or newest is None:
        return
    attempts.stop_stray(draft, keep=newest.job)
    if (job.get("spec") or {}).get("suspend"):
        draft.set(phase="Queued")
    text = newest.message or "its queue took the quota back"
    draft.condition("Running", "False", FailureClass.PREEMPTED.value, text)
    draft.condition("Progressing", "False", FailureClass.PREEMPTED.value, text)


def _pod(draft: Draft, attempt: Attempt) -> Object | None:
    return next((p for p in draft.observed.pods if objects.uid(p) == attempt.pod_uid), None)


def silent(draft: Draft, pod: Object) -> Waiting | None:
    """What a pod waits for whose node does not answer; none where it does."""
    node = (pod.get("spec") or {}).get("nodeName")
    if not node or not unreachable(pod, draft.observed.nodes):
        return None
    text = f"node {node} does not answer; the next pod starts when it is given up and the grace is over"
    return Waiting("NodeUnreachable", text, warn=True)


def _waits(draft: Draft, current: Attempt, pod: Object | None, job: Object | None, held: Waiting) -> None:
    if held.reason == FailureClass.PREEMPTED.value:
        draft.set(phase="Queued")
    elif held.reason in {FailureClass.UNSCHEDULABLE.value, FailureClass.POD_REJECTED.value}:
        draft.set(phase="Pending")
    elif held.reason not in {"Stopping", "Finishing", "NodeUnreachable"}:
        draft.set(phase="Starting" if current.number == 1 else "Resuming")
    if held.warn and draft.newly("Running", held.reason):
        draft.event("Warning", held.reason, held.message, current.pod_uid)
    draft.condition("Running", "False", held.reason, held.message)
    draft.condition("Progressing", "False", held.reason, held.message)
    if pod is None and job is not None:
        made = objects.created(job) or draft.now
        draft.wake(
            max(made + POD_EXPECTED, draft.now + LOOK_AGAIN)
            if draft.now > made + POD_EXPECTED
            else made + POD_EXPECTED
        )
    else:
        draft.wake(draft.now + LOOK_AGAIN)
    over = objects.deletion(pod) if pod is not None else None
    if over is not None:
        draft.wake(max(over + timedelta(seconds=6), draft.now + timedelta(seconds=1)))


def _runs(draft: Draft, current: Attempt, pod: Object | None) -> None:
    report = reports.latest(draft)
    _pin_image(draft, pod)
    draft.set(phase=_phase(draft, current, report))
    node = current.node
    draft.condition("Running", "True", "Running", f"attempt {current.number} runs on node {node}")
    if report is None or report.progress is None:
        why = report.error if report is not None else "not asked yet"
        draft.condition("Progressing", "Unknown", "NotHeard", f"the trainer has not been heard: {why}")
    elif draft.status.phase in {"Starting", "Resuming"}:
        draft.condition("Progressing", "True", draft.status.phase, "the trainer prepares its first step")
    else:
        draft.condition("Progressing", "True", "Progressing")


def _phase(draft: Draft, current: Attempt, report: Report | None) -> str:
    start = "Starting" if current.number == 1 else "Resuming"
    if report is None or report.progress is None:
        # After a restart of the operator the trainer is not heard yet: what was known still holds.
        same = any(a.pod_uid == current.pod_uid and a.last_step is not None for a in draft.old.attempts)
        return draft.old.phase if same and draft.old.phase in _PHASES else start
    stated = report.progress.phase
    if stated in _PHASES:
        return _PHASES[stated]
    if stated == "Starting" or draft.old.phase not in _PHASES:
        return start
    return draft.old.phase  # Saving and Finished are moments of the phase they fall in


def _pin_image(draft: Draft, pod: Object | None) -> None:
    """Fix the digest that the first pod runs, so that no later attempt runs another image by the same tag."""
    resolved = draft.status.resolved
    if pod is None or resolved is None or "@" in resolved.image or not resolved.image:
        return
    running = str(objects.trainer_status(pod).get("imageID", ""))
    repository, at, digest = running.partition("@")
    stated = _repository(resolved.image)
    # An image that was loaded by hand has an identity that no registry serves: then the tag must do.
    if at and digest and repository in {stated, f"docker.io/{stated}", f"docker.io/library/{stated}"}:
        draft.set(resolved=resolved.model_copy(update={"image": running}))


def _repository(image: str) -> str:
    head, slash, tail = image.rpartition("/")
    return head + slash + tail.partition(":")[0]
