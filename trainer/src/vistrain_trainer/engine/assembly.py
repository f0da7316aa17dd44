"""The parts of an attempt, put together: what saves, reports, steers and trains one state."""

from __future__ import annotations

from dataclasses import dataclass

from vistrain_api.detector import DetectorTraining
from vistrain_trainer.engine.checkpoint import StoredCheckpoint
from vistrain_trainer.engine.checkpointing import Checkpointer
from vistrain_trainer.engine.course import Course
from vistrain_trainer.engine.events import EventLog
from vistrain_trainer.engine.feed import Feed
from vistrain_trainer.engine.fence import Fence
from vistrain_trainer.engine.loop import Loop
from vistrain_trainer.engine.options import RunOptions
from vistrain_trainer.engine.plan import Plan
from vistrain_trainer.engine.reporter import Reporter
from vistrain_trainer.engine.rollback import RollBack
from vistrain_trainer.engine.rows import EpochTable, StepLog
from vistrain_trainer.engine.runfolder import RunFolder
from vistrain_trainer.engine.startup import Prepared, build_state, checkpoint_meta
from vistrain_trainer.engine.state import TrainingState
from vistrain_trainer.engine.stepper import Stepper
from vistrain_trainer.engine.store import CheckpointStore
from vistrain_trainer.telemetry.console import LiveLine
from vistrain_trainer.telemetry.metrics import TrainerMetrics
from vistrain_trainer.telemetry.nvml import GpuReader
from vistrain_trainer.telemetry.progress import ProgressBoard
from vistrain_trainer.telemetry.tensorboard import TensorBoardMirror


@dataclass(frozen=True)
class Parts:
    """What an attempt works with."""

    reporter: Reporter
    checkpointer: Checkpointer
    loop: Loop


def assemble(
    manifest: DetectorTraining,
    options: RunOptions,
    prepared: Prepared,
    plan: Plan,
    state: TrainingState,
    feed: Feed,
    store: CheckpointStore,
    folder: RunFolder,
    fence: Fence,
    board: ProgressBoard,
    metrics: TrainerMetrics,
    tensorboard: TensorBoardMirror,
    *,
    live: LiveLine,
    restored: StoredCheckpoint | None,
) -> Parts:
    """Make the parts around a state; `restored` is the checkpoint that it came from."""
    reporter = Reporter(
        manifest=manifest,
        board=board,
        metrics=metrics,
        steps=StepLog(folder.path / "log.jsonl", fence),
        epochs=EpochTable(folder.path / "metrics.csv", fence),
        events=EventLog(folder.path / "events.jsonl", fence),
        folder=folder,
        live=live,
        gpu=GpuReader(prepared.machine.device),
        tensorboard=tensorboard,
        total_steps=plan.total,
        steps_per_epoch=plan.steps_per_epoch,
    )
    metrics.micro_batch.set(state.micro_batch)
    on_nan = manifest.spec.resilience.on_nan
    checkpointer = Checkpointer(
        state,
        store,
        fence,
        weights_folder=folder.path / "weights",
        keep=manifest.spec.checkpoint.keep,
        steps_per_epoch=plan.steps_per_epoch,
        needs_best=plan.needs_best,
        needs_epoch_end=on_nan.roll_back is not None,
        meta=checkpoint_meta(
            prepared,
            attempt=fence.token.attempt,
            token=fence.token.sequence,
            spec_digest=folder.spec_digest,
        ),
        export=prepared.task.export,
        sync_rows=reporter.sync_rows,
        on_saved=reporter.saved,
        restored=restored,
    )
    loop = Loop(
        manifest,
        plan,
        prepared.task,
        state,
        feed,
        _stepper(manifest, prepared, plan, state, reporter),
        checkpointer,
        reporter,
        Course(manifest, plan, prepared.task, state, store, checkpointer, reporter),
        RollBack(
            on_nan,
            state,
            store,
            checkpointer,
            reporter,
            steps_per_epoch=plan.steps_per_epoch,
            at_start=lambda: build_state(manifest, prepared, options),
        ),
        log_every=options.log_every,
    )
    return Parts(reporter, checkpointer, loop)


def _stepper(
    manifest: DetectorTraining, prepared: Prepared, plan: Plan, state: TrainingState, reporter: Reporter
) -> Stepper:
    def shrunk(before: int, after: int) -> None:
        epoch = state.step // plan.steps_per_epoch
        reporter.micro_batch_shrunk(before, after, step=state.step, epoch=epoch)

    return Stepper(
        prepared.task,
        state,
        prepared.machine.device,
        gradient_clip=manifest.spec.schedule.gradient_clip,
        may_shrink=manifest.spec.resilience.on_gpu_out_of_memory == "shrinkMicroBatch",
        on_shrink=shrunk,
    )
