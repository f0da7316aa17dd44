"""Taking what trainers say of themselves into the status."""

from __future__ import annotations

from datetime import datetime, timedelta

from vistrain_api.protocol import Progress
from vistrain_api.status import Attempt, GpuMemoryStatus, LastCheckpoint, Resolved, RunProgress
from vistrain_operator import objects, timestamps
from vistrain_operator.decide import attempts, classify
from vistrain_operator.decide.draft import Draft
from vistrain_operator.observed import Report


def latest(draft: Draft) -> Report | None:
    """What the poller last heard from the current attempt's pod."""
    current = draft.current()
    return draft.observed.reports.get(current.pod_uid) if current is not None else None


def take_in(draft: Draft) -> None:
    """Take in the current attempt's report, or the last words of an attempt that has just ended."""
    newest = draft.newest()
    if newest is None:
        return
    heard_at = draft.now
    words: Progress | None = None
    pod = next((p for p in draft.observed.pods if objects.uid(p) == newest.pod_uid), None)
    if pod is not None and objects.pod_terminal(pod):
        words = classify.last_words(pod)
        heard_at = timestamps.parse_or_none(newest.ended_at) or draft.now
    if words is None and newest.ended_at is None:
        report = draft.observed.reports.get(newest.pod_uid)
        if report is not None and report.progress is not None:
            words, heard_at = report.progress, report.heard_at or draft.now
    # A report of another pod (an address used again) says nothing about this attempt.
    if words is not None and words.pod_uid in {"", newest.pod_uid}:
        _progress(draft, words, heard_at)
        _attempt(draft, newest, words, heard_at)


def _progress(draft: Draft, words: Progress, heard_at: datetime) -> None:
    old = draft.status.progress
    whole = words.total_steps or 0
    finished = words.exit_code in {0, 3}
    share = (
        100 if finished else min(99 if whole > words.step else 100, 100 * words.step // whole) if whole else 0
    )
    eta = words.eta_seconds
    fresh = RunProgress(
        epoch=words.epoch,
        epochs=words.epochs,
        step=words.step,
        total_steps=whole,
        percent=share,
        evaluated=words.evaluated,
        eta_seconds=None if eta is None or eta < 0 else int(eta),
        images_per_second=words.images_per_second,
        updated_at=old.updated_at if old is not None else None,
    )
    moved = old is None or _place(old) != _place(fresh)
    moved = moved or draft.status.last_checkpoint != words.last_checkpoint or draft.status.best != words.best
    if moved or fresh.updated_at is None:
        fresh = fresh.model_copy(update={"updated_at": timestamps.text(heard_at)})
    # A trainer that has not restored its checkpoint yet counts from 0, and does not know better.
    behind = words.phase in {"Starting", "Resuming"} and old is not None and fresh.step < old.step
    if not behind:
        draft.set(progress=fresh)
    if words.best is not None:
        draft.set(best=words.best, best_checkpoint=_of_best(draft, words))
    if words.results:
        draft.set(results=dict(words.results))
    if words.last_checkpoint is not None:
        draft.set(last_checkpoint=words.last_checkpoint)
    if words.gpu_memory is not None:
        used, total = words.gpu_memory.used_bytes, words.gpu_memory.total_bytes
        draft.set(gpu_memory=GpuMemoryStatus(used_bytes=used, total_bytes=total))
    resolved = draft.status.resolved or Resolved()
    if words.precision and (words.precision, words.device) != (resolved.precision, resolved.device):
        draft.set(
            resolved=resolved.model_copy(update={"precision": words.precision, "device": words.device[:120]})
        )


def _of_best(draft: Draft, words: Progress) -> LastCheckpoint | None:
    """The best value's checkpoint: a trainer names its newest only, so that it is known once it was that."""
    for named in (words.last_checkpoint, draft.status.last_checkpoint, draft.status.best_checkpoint):
        if named is not None and words.best is not None and named.step == words.best.step:
            return named
    return None


def _place(progress: RunProgress) -> tuple[int, int, int]:
    """Where a trainer is: what moves it shows that it is not stalled, be it an evaluation of an hour."""
    return progress.epoch, progress.step, progress.evaluated


def _attempt(draft: Draft, attempt: Attempt, words: Progress, heard_at: datetime) -> None:
    fields: dict[str, object] = {}
    if words.restored_step is not None and attempt.restored_step is None:
        fields["restored_step"] = words.restored_step
    if words.last_step is not None and words.last_step > (
        attempt.last_step if attempt.last_step is not None else -1
    ):
        fields["last_step"] = words.last_step
    before = _previous(draft, attempt)
    if before is not None:
        before = _evidence(draft, before, words)
        if words.last_step is not None and attempt.steps_lost is None:
            fields |= _resumption(draft, attempt, before, words, heard_at)
    notes = "; ".join(words.notes)[:1024]
    if notes and attempt.ended_at is None and notes != attempt.message:
        fields["message"] = notes
        draft.event("Normal", "TrainerNote", f"attempt {attempt.number}: {notes}", attempt.pod_uid)
    if fields:
        attempts.replace(draft, attempt, **fields)


def _previous(draft: Draft, attempt: Attempt) -> Attempt | None:
    """The newest attempt before this one that executed a step."""
    earlier = draft.status.attempts[: -1 if draft.status.attempts[-1].pod_uid == attempt.pod_uid else None]
    return next((a for a in reversed(earlier) if a.last_step is not None), earlier[-1] if earlier else None)


def _evidence(draft: Draft, before: Attempt, words: Progress) -> Attempt:
    """What the run folder knows of the attempt before, when its pod could no longer say it."""
    told = words.previous
    if told is None or (told.pod_uid and told.pod_uid != before.pod_uid) or told.attempt != before.number:
        return before
    if told.last_step <= (before.last_step if before.last_step is not None else -1):
        return before
    return attempts.replace(draft, before, last_step=told.last_step)


def _resumption(
    draft: Draft, attempt: Attempt, before: Attempt, words: Progress, heard_at: datetime
) -> dict[str, object]:
    """Steps lost, and the time from the end of the attempt before to the first new step."""
    restored = words.restored_step or 0
    lost = max(0, (before.last_step or 0) - restored)
    draft.steps_lost += lost
    draft.set(steps_lost=draft.status.steps_lost + lost)
    ended = timestamps.parse_or_none(before.ended_at)
    first = timestamps.parse_or_none(words.first_step_at) or heard_at
    took = round(max(0.0, (first - ended).total_seconds()), 3) if ended is not None else None
    if took is not None:
        draft.resumed(took)
    draft.event(
        "Normal",
        "Resumed",
        f"attempt {attempt.number} trains again from step {restored}; steps lost: {lost}",
        attempt.pod_uid,
    )
    return {"steps_lost": lost, "resume_seconds": took}


def stalled_since(draft: Draft) -> datetime | None:
    """Since when the current attempt's trainer, that has been heard before, has not moved."""
    current, report = draft.current(), latest(draft)
    if current is None or current.started_at is None or report is None or report.progress is None:
        return None
    moved = timestamps.parse_or_none(draft.status.progress.updated_at if draft.status.progress else None)
    started = timestamps.parse(current.started_at)
    return max(moved, started) if moved is not None else started


def due(draft: Draft, every: timedelta) -> datetime | None:
    """When progress may be written again; none when it may be now."""
    progress = draft.old.progress
    written = timestamps.parse_or_none(progress.updated_at) if progress is not None else None
    if written is None or draft.now >= written + every:
        return None
    return written + every
