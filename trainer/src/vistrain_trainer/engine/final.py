"""The last judgement of a run: its best checkpoint, in full."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from vistrain_api.detector import DetectorTraining
from vistrain_trainer.engine.checkpoint import TornCheckpoint, open_checkpoint
from vistrain_trainer.engine.fence import Fence
from vistrain_trainer.engine.files import rename_over, storage_faults
from vistrain_trainer.engine.judging import judged
from vistrain_trainer.engine.runfolder import RunFolder
from vistrain_trainer.engine.stages import stage
from vistrain_trainer.engine.state import TrainingState, exported_weights
from vistrain_trainer.engine.store import CheckpointStore
from vistrain_trainer.engine.task import Task
from vistrain_trainer.evaluation.source import WeightsSource

FOLDER = "evaluation"


def examine_best(
    manifest: DetectorTraining,
    task: Task,
    state: TrainingState,
    store: CheckpointStore,
    folder: RunFolder,
    fence: Fence,
    note: Callable[[str], None],
    alive: Callable[[int], None],
) -> dict[str, float | None]:
    """Judge the best checkpoint of the primary metric, the last where none is kept; metrics on the test
    split.

    `evaluation/` of the run folder gets what the task writes. A stop request raises Interrupted; after that,
    as after a kill, all of it is done again. Loads other weights into the evaluated model: nothing may be
    trained or saved after it.
    """
    best = state.best[0].step if state.best and manifest.spec.checkpoint.keep.best > 0 else state.step
    try:
        checkpoint = open_checkpoint(store.path(best))
        checkpoint.verify()
    except TornCheckpoint as torn:
        if best == state.step:
            raise
        note(f"the best checkpoint, of step {best}, is torn ({torn}); the last is judged in its place")
        checkpoint = open_checkpoint(store.path(state.step))
    if checkpoint.step != state.step:
        state.evaluated_model.load_state_dict(exported_weights(checkpoint.load()))
    source = WeightsSource(
        path=str(checkpoint.folder.relative_to(folder.path)),
        sha256=checkpoint.sha256,
        run=manifest.metadata.name or folder.path.name,
        step=checkpoint.step,
        epoch=int(checkpoint.meta["epoch"]),
    )
    with storage_faults("writing the final evaluation"):
        fence.check()
        partial = folder.path / f".{FOLDER}.{fence.token.sequence}"
        _clear(folder.path)
        partial.mkdir()
        try:
            results = judged(
                task, state, lambda model, stop: task.examine(model, partial, source, stop), alive
            )
            fence.check()
            stage("final.examined")
            (folder.path / FOLDER).mkdir(exist_ok=True)
            for written in sorted(partial.iterdir()):
                rename_over(written, folder.path / FOLDER / written.name)
                stage("final.published")
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return results


def _clear(folder: Path) -> None:
    """Remove what killed processes left half-written."""
    for left in folder.glob(f".{FOLDER}.*"):
        shutil.rmtree(left, ignore_errors=True)
