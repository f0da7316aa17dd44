"""Starting the next attempt: what must hold first."""

from __future__ import annotations

from datetime import timedelta

from vistrain_api.status import RunStatus
from vistrain_operator import jobs, objects, timestamps, volumes
from vistrain_operator.actions import CreateJob, Decision
from vistrain_operator.decide import ahead, attempts, budget, source
from vistrain_operator.decide.conditions import STARTS
from vistrain_operator.decide.draft import Draft
from vistrain_operator.decide.settled import image_of, settle
from vistrain_operator.decide.slices import Placement, place
from vistrain_operator.observed import Observed

LOOK_AGAIN = timedelta(seconds=5)  # no watch tells of claims, nor of the run that this one starts from
WAITS = "WaitsForRun"


def refused(observed: Observed, old: RunStatus, problem: str) -> Decision:
    """A spec that the API server let pass and the operator cannot act on: nothing new is started."""
    draft = Draft.bare(observed, old)
    draft.set(observed_generation=draft.generation)
    message = "; ".join(problem.splitlines())
    if draft.newly("Accepted", "Invalid"):
        draft.event("Warning", "Invalid", message)
    draft.condition("Accepted", "False", "Invalid", message)
    return draft.result()


def accept(draft: Draft) -> None:
    """Set the conditions that speak of the spec: Accepted, SliceAvailable, GatesMet."""
    problem = _problem(draft)
    if problem is not None:
        reason, message = problem
        if draft.newly("Accepted", reason):
            draft.event("Warning" if reason != WAITS else "Normal", reason, message)
        draft.condition("Accepted", "False", reason, message)
    elif (errand := ahead.pending(draft)) is not None:
        draft.condition("Accepted", "Unknown", errand.reason, errand.doing)
    else:
        draft.condition("Accepted", "True", "Accepted")
    _slice(draft)
    if draft.spec.evaluation.gates and draft.find("GatesMet") is None:
        draft.condition("GatesMet", "Unknown", "NotFinished", "gates are judged at the end")


def _problem(draft: Draft) -> tuple[str, str] | None:
    """Reason and message of what keeps the run from starting."""
    if not image_of(draft):
        return "NoImage", "no trainer image: set pod.image, or the operator's --image"
    waits = source.wanted(draft)
    if isinstance(waits, str):
        draft.wake(draft.now + LOOK_AGAIN)
        return WAITS, waits
    missing = draft.observed.missing_claims
    if missing:
        spec = draft.spec.model_dump(mode="json", by_alias=True, exclude_none=True)
        named = ", ".join(
            f"{name} ({', '.join(volumes.fields(spec, name)) or 'initialization.run'})" for name in missing
        )
        what = f"PersistentVolumeClaim {named} does not exist in namespace {draft.run.metadata.namespace}"
        draft.wake(draft.now + LOOK_AGAIN)
        return "VolumeMissing", f"{what}: create it, or name another; the run starts when it is there"
    return None


def _slice(draft: Draft) -> Placement:
    placement = place(draft.spec.resources.accelerator, draft.observed.nodes)
    status = {True: "True", False: "False", None: "Unknown"}[placement.offered]
    if placement.offered is False and draft.newly("SliceAvailable", placement.reason):
        draft.event("Warning", "SliceNotOffered", placement.message)
    draft.condition("SliceAvailable", status, placement.reason, placement.message)
    return placement


def launched(draft: Draft) -> bool:
    """Whether the Job of an attempt that is not on record yet is there: its pod comes in a moment."""
    newest = draft.newest()
    if newest is not None and newest.number >= draft.status.attempt:
        return False
    name = jobs.job_name(draft.run.metadata.name, draft.uid, draft.status.attempt)
    job = next((j for j in draft.observed.jobs if objects.name(j) == name), None)
    if job is None:
        return False
    attempts.stop_stray(draft, keep=name)
    if objects.deletion(job) is not None:
        _hold(draft, "Stopping", f"waits for the end of {name}")
    return True


def start(draft: Draft) -> None:
    """Start the next attempt, or say what it waits for."""
    accepted = draft.find("Accepted")
    if accepted is None or accepted.status != "True":
        _hold(draft, accepted.reason if accepted else "Unknown", accepted.message if accepted else "")
        return
    live = [objects.name(p) for p in draft.live_pods()]
    stopping = [objects.name(j) for j in draft.fertile_jobs()]
    attempts.stop_stray(draft, keep=None)
    if live or stopping:
        # The next attempt starts when nobody writes to the run folder any more.
        _hold(draft, "Stopping", f"waits for the end of {', '.join(live or stopping)}")
        for pod in draft.observed.pods:
            over = objects.deletion(pod)
            if over is not None:
                draft.wake(max(over + timedelta(seconds=6), draft.now + timedelta(seconds=5)))
        return
    newest = draft.newest()
    due = budget.retry_at(draft.status.attempts, draft.status.failures)
    if due is not None and draft.now < due:
        draft.set(retry_at=timestamps.text(due))
        draft.wake(due)
        failure = newest.failure_class.value if newest is not None and newest.failure_class else "Fault"
        _hold(draft, "BackingOff", f"{failure}: the next attempt starts at {timestamps.text(due)}")
        return
    # A number without a record is one whose Job was announced and perhaps not made: it is used again.
    number = draft.status.attempt
    if newest is not None and newest.number >= number:
        number = newest.number + 1
    _launch(draft, max(1, number))


def _hold(draft: Draft, reason: str, message: str) -> None:
    if draft.status.phase not in {"Queued"}:
        draft.set(phase="Pending")
    draft.condition("Running", "False", reason, message)
    draft.condition("Progressing", "False", reason, message)


def _launch(draft: Draft, number: int) -> None:
    settled = settle(draft)
    placement = place(draft.spec.resources.accelerator, draft.observed.nodes)
    draft.set(attempt=number, phase="Starting" if number == 1 else "Resuming")
    draft.condition("Running", "False", STARTS.reason, STARTS.message)
    draft.condition("Progressing", "False", STARTS.reason, STARTS.message)
    draft.act(
        CreateJob(
            jobs.job(
                settled.run,
                uid=draft.uid,
                number=number,
                image=settled.image,
                path=settled.path,
                manifest=settled.manifest,
                placement=placement,
                owner=settled.owner,
            )
        )
    )
