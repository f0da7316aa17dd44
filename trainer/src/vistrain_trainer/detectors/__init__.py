"""Detectors that can be trained."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vistrain_api.detector import DetectorTraining
    from vistrain_trainer.engine.task import Task, TaskContext


def task_for(manifest: DetectorTraining, context: TaskContext) -> Task:
    """The task that a manifest states. Reads the annotations; builds no model and starts no worker.

    Raises:
        BadInput: the data is not as the manifest states, or the detector is not supported.
    """
    from vistrain_trainer.errors import BadInput

    if manifest.spec.model.yolox is None:
        raise BadInput(
            field="spec.model",
            value=manifest.spec.model.display(),
            problem="this version trains YOLOX only",
            remedy="state spec.model.yolox",
        )
    from vistrain_trainer.detectors.yolox import YoloxTask

    return YoloxTask(manifest, manifest.spec.model.yolox, context)
