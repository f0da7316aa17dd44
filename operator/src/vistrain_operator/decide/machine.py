"""One pass over one run: bring the record up to date, then settle, stop, watch or start.

    finished ─▶ settle        nothing may run any more; later the run object goes
    suspended ─▶ stop         the Job goes, the slice is free
    attempt open ─▶ watch     phase and conditions; stall and deadline
    errand to do ─▶ send      raw data are prepared, the pre-flight looks; neither holds a slice
    no attempt open ─▶ start  the next one, when it may

What has ended decides first: a pod that finished while it was being stopped has finished.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from vistrain_api.detector import DetectorTraining
from vistrain_api.manifest import ManifestError, parse
from vistrain_api.status import TERMINAL_PHASES, RunStatus
from vistrain_operator import objects
from vistrain_operator.actions import Decision
from vistrain_operator.decide import ahead, attempts, errands, reports, starting, stopping, watching
from vistrain_operator.decide.display import display
from vistrain_operator.decide.draft import Draft
from vistrain_operator.decide.watching import PROGRESS_EVERY
from vistrain_operator.observed import Observed


def decide(observed: Observed) -> Decision:
    """What shall be true of the run, and what is to be done for it, as of `observed.now`."""
    if objects.deletion(observed.run) is not None:
        return Decision(status=None)  # what it owns goes with it; its checkpoints stay
    old = RunStatus.model_validate(observed.run.get("status") or {})
    if old.phase in TERMINAL_PHASES:
        return stopping.settle(observed, old)
    run = _parsed(observed.run)
    if isinstance(run, str):
        return starting.refused(observed, old, run)
    draft = Draft(observed, run, old)
    draft.set(observed_generation=draft.generation)
    ahead.take_in(draft)
    attempts.take_in(draft)
    reports.take_in(draft)
    _step(draft)
    _show(draft)
    return _in_good_time(draft)


def _step(draft: Draft) -> None:
    starting.accept(draft)
    if ahead.finish(draft) or stopping.finish(draft) or watching.give_up(draft):
        return
    ahead.clear_away(draft)
    if draft.spec.suspend:
        stopping.suspend(draft)
        return
    stopping.resume(draft)
    if draft.current() is not None:
        watching.watch(draft)
    elif watching.queued(draft):
        watching.wait_in_queue(draft)
    elif (errand := ahead.pending(draft)) is not None:
        errands.send(draft, errand)
    elif not starting.launched(draft):
        starting.start(draft)


def _show(draft: Draft) -> None:
    status = draft.status
    running = status.phase in {"Training", "Evaluating"}
    strings = display(
        draft.spec, status.progress, status.best, status.last_checkpoint, draft.newest(), running=running
    )
    draft.set(display=strings)


def _in_good_time(draft: Draft) -> Decision:
    """Hold back a status in which only progress moved, if one was written a moment ago."""
    due = reports.due(draft, PROGRESS_EVERY)
    if due is None or draft.status == draft.old or not _only_progress(draft):
        return draft.result()
    draft.wake(due)
    draft.status = draft.old
    return draft.result()


def _only_progress(draft: Draft) -> bool:
    # best_checkpoint is not among them: the trainer names its newest only, so what it was must not be missed.
    moving = {"progress", "display", "last_checkpoint", "gpu_memory", "best", "results"}
    old, new = draft.old, draft.status
    for field in RunStatus.model_fields:
        if field not in moving | {"attempts"} and getattr(old, field) != getattr(new, field):
            return False
    if len(old.attempts) != len(new.attempts):
        return False
    return all(
        a.model_copy(update={"last_step": None}) == b.model_copy(update={"last_step": None})
        for a, b in zip(old.attempts, new.attempts, strict=True)
    )


def _parsed(run: dict[str, Any]) -> DetectorTraining | str:
    """The validated run, or why it is not valid."""
    meta = run["metadata"]
    return _parse(
        _Version(run, (meta.get("uid"), meta.get("generation"), id(run) if "uid" not in meta else 0))
    )


class _Version:
    """A run, compared by UID and generation: its spec is validated once per change."""

    def __init__(self, run: dict[str, Any], identity: tuple[Any, ...]) -> None:
        self.run = run
        self.identity = identity

    def __hash__(self) -> int:
        return hash(self.identity)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Version) and self.identity == other.identity


@lru_cache(maxsize=128)
def _parse(version: _Version) -> DetectorTraining | str:
    run = version.run
    metadata = {k: v for k, v in run["metadata"].items() if k in {"name", "namespace", "uid"}}
    try:
        return parse(
            {"apiVersion": run["apiVersion"], "kind": run["kind"], "metadata": metadata, "spec": run["spec"]}
        )
    except ManifestError as error:
        return str(error)
