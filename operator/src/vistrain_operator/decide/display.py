"""The strings that `kubectl get` shows, since printer columns are plain JSONPath."""

from __future__ import annotations

from vistrain_api.detector import DetectorTrainingSpec
from vistrain_api.status import Attempt, BestMetric, Display, LastCheckpoint, RunProgress


def duration(seconds: float) -> str:
    """A time span as people write it: `45s`, `12m`, `2h10m`, `3d4h`."""
    total = int(seconds)
    if total < 60:
        return f"{total}s"
    minutes = total // 60
    if minutes < 60:
        return f"{minutes}m"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours}h{minutes}m" if minutes else f"{hours}h"
    days, hours = divmod(hours, 24)
    return f"{days}d{hours}h" if hours else f"{days}d"


def display(
    spec: DetectorTrainingSpec,
    progress: RunProgress | None,
    best: BestMetric | None,
    checkpoint: LastCheckpoint | None,
    newest: Attempt | None,
    *,
    running: bool,
) -> Display:
    """All strings of the printer columns; empty where nothing is known yet."""
    epoch = percent = eta = pace = ""
    if progress is not None and progress.epochs:
        epoch = f"{progress.epoch}/{progress.epochs}"
        percent = f"{progress.percent}%"
        if running and progress.eta_seconds is not None:
            eta = duration(progress.eta_seconds)
        if running and progress.images_per_second is not None:
            pace = f"{progress.images_per_second:.1f}"
    return Display(
        model=spec.model.display(),
        epoch=epoch,
        progress=percent,
        eta=eta,
        best=f"{best.metric} {best.value:.3f}" if best is not None else "",
        slice=spec.resources.accelerator.display(),
        images_per_second=pace,
        node=newest.node if newest is not None else "",
        checkpoint=f"step {checkpoint.step}" if checkpoint is not None else "",
    )
