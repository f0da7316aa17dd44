"""The status of a local run: what `.status` would be in a cluster."""

from __future__ import annotations

from typing import Any

from vistrain_api.detector import DetectorTraining
from vistrain_api.protocol import ExitCode, Progress
from vistrain_api.status import (
    Condition,
    GpuMemoryStatus,
    Phase,
    Resolved,
    RunProgress,
    RunStatus,
)
from vistrain_trainer.engine.attempts import now
from vistrain_trainer.engine.runfolder import RunFolder


def local_status(progress: Progress, manifest: DetectorTraining, folder: RunFolder) -> dict[str, Any]:
    """status.yaml's content, from the trainer's own progress."""
    total = max(1, progress.total_steps)
    status = RunStatus(
        phase=_phase(progress),
        conditions=_conditions(progress, manifest),
        progress=RunProgress(
            epoch=progress.epoch,
            epochs=progress.epochs,
            step=progress.step,
            total_steps=progress.total_steps,
            percent=min(100, 100 * progress.step // total),
            evaluated=progress.evaluated,
            eta_seconds=None if progress.eta_seconds is None else round(progress.eta_seconds),
            images_per_second=progress.images_per_second,
            updated_at=now(),
        ),
        attempt=progress.attempt,
        last_checkpoint=progress.last_checkpoint,
        best=progress.best,
        results=progress.results,
        resolved=Resolved(
            spec_digest=folder.spec_digest,
            path=str(folder.path)[-512:],
            precision=progress.precision,
            device=progress.device,
        ),
        gpu_memory=None
        if progress.gpu_memory is None
        else GpuMemoryStatus(
            used_bytes=progress.gpu_memory.used_bytes, total_bytes=progress.gpu_memory.total_bytes
        ),
    )
    return status.model_dump(mode="json", by_alias=True, exclude_none=True)


def _phase(progress: Progress) -> Phase:
    if progress.exit_code is None:
        phase = progress.phase
        return "Training" if phase == "Saving" or phase == "Finished" else phase  # noqa: PLR1714 (for mypy)
    if progress.exit_code == ExitCode.FINISHED:
        return "Succeeded"
    return "Pending" if progress.exit_code == ExitCode.STOPPED else "Failed"


def _conditions(progress: Progress, manifest: DetectorTraining) -> list[Condition]:
    code = progress.exit_code
    if code is None:
        return []
    at = now()
    text = progress.message[:1000]
    if code == ExitCode.STOPPED:
        return [
            Condition(type="Running", status="False", reason="Stopped", message=text, last_transition_time=at)
        ]
    conditions = []
    if manifest.spec.evaluation.gates and code in (ExitCode.FINISHED, ExitCode.GATE_NOT_MET):
        met = code == ExitCode.FINISHED
        conditions.append(
            Condition(
                type="GatesMet",
                status="True" if met else "False",
                reason="AllMet" if met else "GateNotMet",
                message=text,
                last_transition_time=at,
            )
        )
    if code == ExitCode.FINISHED:
        ended = Condition(
            type="Succeeded", status="True", reason="Finished", message=text, last_transition_time=at
        )
    else:
        reason = str(progress.failure) if progress.failure is not None else "Unknown"
        ended = Condition(type="Failed", status="True", reason=reason, message=text, last_transition_time=at)
    return [*conditions, ended]
