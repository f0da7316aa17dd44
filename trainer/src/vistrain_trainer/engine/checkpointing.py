"""Saving while training goes on: snapshot in the engine's thread, files in the writer's."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import structlog
from torch import Tensor

from vistrain_api.checkpoint import Keep
from vistrain_api.status import LastCheckpoint
from vistrain_trainer.engine.attempts import now
from vistrain_trainer.engine.checkpoint import StoredCheckpoint, write_evaluation
from vistrain_trainer.engine.export import write_weights
from vistrain_trainer.engine.fence import Fence
from vistrain_trainer.engine.files import storage_faults
from vistrain_trainer.engine.snapshot import Snapshot, Snapshotter
from vistrain_trainer.engine.stages import stage
from vistrain_trainer.engine.state import TrainingState, all_finite, exported_weights
from vistrain_trainer.engine.store import CheckpointStore
from vistrain_trainer.engine.writer import BackgroundWriter
from vistrain_trainer.errors import Diverged

log = structlog.get_logger()


class Checkpointer:
    """Saves the training state, adds evaluations to what was saved, and exports weights."""

    def __init__(
        self,
        state: TrainingState,
        store: CheckpointStore,
        fence: Fence,
        *,
        weights_folder: Path,
        keep: Keep,
        steps_per_epoch: int,
        needs_best: bool,
        needs_epoch_end: bool,
        meta: Mapping[str, Any],
        export: Callable[[Mapping[str, Tensor]], dict[str, Any]],
        sync_rows: Callable[[], None],
        on_saved: Callable[[LastCheckpoint, float | None], None],
        restored: StoredCheckpoint | None,
    ) -> None:
        self._state = state
        self._store = store
        self._fence = fence
        self._weights_folder = weights_folder
        self._keep = keep
        self._steps_per_epoch = steps_per_epoch
        self._kept_bests = max(keep.best, int(needs_best))
        self._needs_epoch_end = needs_epoch_end
        self._meta = dict(meta)
        self._export = export
        self._sync_rows = sync_rows
        self._on_saved = on_saved
        self._snapshotter = Snapshotter()
        self._snapshot: Snapshot | None = None
        self._writer = BackgroundWriter()
        self.last = None if restored is None else restored.reference()
        """Newest checkpoint on the volume."""
        self.saved_step: int | None = None if restored is None else restored.step
        """Step of the newest snapshot, which is on the volume once `drain` has returned."""
        self._saved_at = time.monotonic()

    @property
    def seconds_since_save(self) -> float:
        """Age of the newest snapshot; without end while a save is still going on."""
        return float("-inf") if self._writer.busy else time.monotonic() - self._saved_at

    def check(self) -> None:
        """Raise what went wrong in the writer's thread."""
        self._writer.check()

    def drain(self) -> None:
        """Wait until everything is on the volume."""
        self._writer.drain()

    def abandon(self) -> BaseException | None:
        """Give up what is being saved; what went wrong in the writer's thread, if anything did."""
        return self._writer.recover()

    def go_on_from(self, checkpoint: StoredCheckpoint | None) -> None:
        """The state has been put back to a checkpoint, or to the start."""
        self._snapshot = None
        self.last = None if checkpoint is None else checkpoint.reference()
        self.saved_step = None if checkpoint is None else checkpoint.step
        self._saved_at = time.monotonic()
        if checkpoint is not None:
            with storage_faults("naming the last checkpoint"):
                self._write_index([asdict(one) for one in self._state.best])

    def close(self) -> None:
        """End the writer's thread."""
        self._writer.close()

    def save(self, *, epoch: int, weights_name: str | None = None) -> None:
        """Copy the state and write it in the background; also its weights as `weights/<weights_name>.pth`."""
        began = time.monotonic()
        snapshot = self._take_snapshot()
        step, skipped = self._state.step, self._state.skipped
        due = self._state.evaluation_due
        besides = self._kept_besides([asdict(one) for one in self._state.best], step)

        def write() -> None:
            state = snapshot.wait()
            if not all_finite(state):
                raise Diverged(f"the weights at step {step} are not finite; they were not saved")
            with storage_faults(f"saving the checkpoint of step {step}"):
                self._sync_rows()
                if weights_name is not None:  # before the checkpoint: no resume comes back to write it
                    self._fence.check()
                    self._write_weights(weights_name, state)
                meta = {
                    **self._meta,
                    "step": step,
                    "skipped": skipped,
                    "epoch": epoch,
                    "evaluationDue": due,
                    "savedAt": now(),
                }
                self.last = self._store.publish(state, meta, self._fence).reference()
                self._write_index(state["judged"]["best"])
                self._store.retain(self._keep.last, besides, up_to=step)
            seconds = time.monotonic() - began
            log.info("checkpoint saved", step=step, seconds=round(seconds, 2))
            self._on_saved(self.last, seconds)

        self.saved_step = step
        self._saved_at = began
        self._writer.submit(write)

    def record_evaluation(self, *, improved: bool) -> None:
        """Add the evaluation of the present step to its checkpoint; export its weights if the best."""
        if self._snapshot is None:  # the step was restored, not saved by this process
            self._take_snapshot()
        snapshot = self._snapshot
        assert snapshot is not None
        step = self._state.step
        best = [asdict(one) for one in self._state.best]
        judged = self._state.judged()

        def write() -> None:
            with storage_faults(f"recording the evaluation of step {step}"):
                self._sync_rows()
                self._fence.check()
                if improved and self._keep.best > 0:
                    self._write_weights("best", snapshot.wait())
                    stage("best.weights")
                write_evaluation(self._store.path(step), judged)
                stage("best.evaluation")
                self._write_index(best)
                self._store.retain(self._keep.last, self._kept_besides(best, step), up_to=step)
            if self.last is not None:
                self._on_saved(self.last, None)

        self._writer.submit(write)

    def export_last(self) -> None:
        """Write weights/last.pth, at the end of the run."""
        self.drain()
        self._fence.check()
        with storage_faults("exporting the last weights"):
            self._write_weights("last", self._state.collect())

    def forget_snapshot(self) -> None:
        """The state moves on: the snapshot is no longer that of the present step."""
        self._snapshot = None

    def _take_snapshot(self) -> Snapshot:
        self._writer.drain()  # its buffers are written over
        self._snapshot = self._snapshotter.take(self._state.collect())
        stage("save.snapshot")
        return self._snapshot

    def _write_weights(self, name: str, state: Mapping[str, Any]) -> None:
        write_weights(self._weights_folder / f"{name}.pth", self._export(exported_weights(state)))

    def _write_index(self, best: list[dict[str, Any]]) -> None:
        self._fence.check()
        stage("save.index")
        named = [
            {
                "step": one["step"],
                "epoch": one["epoch"],
                "value": one["value"],
                "path": self._relative(one["step"]),
            }
            for one in best
        ]
        self._store.write_index(
            {
                "last": None if self.last is None else self.last.model_dump(mode="json", by_alias=True),
                "best": named[0] if named else None,
                "bests": named,
            }
        )

    def _kept_besides(self, best: list[dict[str, Any]], step: int) -> list[int]:
        kept = [one["step"] for one in best[: self._kept_bests]]
        if self._needs_epoch_end:
            kept.append(step - step % self._steps_per_epoch)
        return kept

    def _relative(self, step: int) -> str:
        path = self._store.path(step)
        return f"{path.parent.name}/{path.name}"
