"""Which checkpoint `initialization.run` comes to, once the run it names has ended."""

from __future__ import annotations

from pydantic import ValidationError

from vistrain_api.initialization import CheckpointRef, RunRef
from vistrain_api.status import TERMINAL_PHASES, LastCheckpoint, RunStatus
from vistrain_api.volumes import VolumeRef
from vistrain_operator.decide.draft import Draft
from vistrain_operator.objects import Object


def wanted(draft: Draft) -> CheckpointRef | str | None:
    """The checkpoint, or what the run waits for; none where it starts from no other run.

    Settled once, at the first start: what becomes of the other run later changes nothing.
    """
    reference = draft.spec.initialization.run
    if reference is None:
        return None
    resolved = draft.status.resolved
    if resolved is not None and resolved.initialization is not None:
        return resolved.initialization
    if reference.name == draft.run.metadata.name:
        return "initialization.run.name is this run itself: name another"
    return _found(reference, draft.observed.source, draft.run.metadata.namespace or "")


def _found(reference: RunRef, source: Object | None, namespace: str) -> CheckpointRef | str:
    what = f"initialization.run: DetectorTraining {reference.name}"
    if source is None:
        return f"{what} does not exist in namespace {namespace}: create it, or name another"
    status = RunStatus.model_validate(source.get("status") or {})
    if status.phase not in TERMINAL_PHASES:
        # Until then its best may change, and its last is let go for newer ones.
        progress = status.progress
        far = f", epoch {progress.epoch} of {progress.epochs}" if progress and progress.epochs else ""
        return f"{what} is {status.phase}{far}: this run starts when that one has ended"
    path = _path(reference, source, status)
    if path is None:
        keeps = " and keeps its last only (checkpoint.keep.best is 0)" if _keeps_no_best(source) else ""
        return (
            f"{what} has ended ({status.phase}) without a {reference.checkpoint} checkpoint{keeps}: "
            "name another run"
            + (", or checkpoint: last" if reference.checkpoint == "best" and status.last_checkpoint else "")
        )
    folder, sha256 = path
    try:
        volume = VolumeRef(claim_name=source["spec"]["checkpoint"]["volume"]["claimName"])
        return CheckpointRef(volume=volume, path=folder, sha256=sha256, optimizer=reference.optimizer)
    except ValidationError as error:  # such as a path that became too long
        return f"{what}: its checkpoint {folder} cannot be named: {error.errors()[0]['msg']}"


def _path(reference: RunRef, source: Object, status: RunStatus) -> tuple[str, str | None] | None:
    """The checkpoint's folder inside the volume, and its digest where it is known."""
    if status.resolved is None or not status.resolved.path:
        return None
    last, best, known = status.last_checkpoint, status.best, status.best_checkpoint
    chosen: LastCheckpoint | None = None
    if reference.checkpoint == "last":
        chosen = last
    elif best is not None and last is not None and best.step <= last.step:
        if best.step == last.step:
            chosen = last
        elif _keeps_no_best(source):
            return None
        elif known is not None and known.step == best.step:
            chosen = known
        else:
            return f"{status.resolved.path}/checkpoints/step-{best.step:09d}", None
    return (f"{status.resolved.path}/{chosen.path}", chosen.sha256) if chosen is not None else None


def _keeps_no_best(source: Object) -> bool:
    keep = (source["spec"]["checkpoint"].get("keep") or {}).get("best", 1)
    return bool(keep == 0)
