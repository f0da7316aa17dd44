"""One attempt's training: start-up, loop, final export, result."""

from __future__ import annotations

import contextlib
from dataclasses import asdict

import structlog

from vistrain_api.detector import DetectorTraining
from vistrain_api.failures import FailureClass
from vistrain_api.protocol import ExitCode
from vistrain_trainer.engine.attempts import AttemptLog
from vistrain_trainer.engine.checkpoint import open_checkpoint
from vistrain_trainer.engine.checkpointing import Checkpointer
from vistrain_trainer.engine.failures import End
from vistrain_trainer.engine.fence import Fence
from vistrain_trainer.engine.files import storage_faults
from vistrain_trainer.engine.loop import Loop, run_evaluation
from vistrain_trainer.engine.options import RunOptions
from vistrain_trainer.engine.reporter import Reporter, best_metric
from vistrain_trainer.engine.rows import EpochTable, StepLog
from vistrain_trainer.engine.runfolder import RunFolder
from vistrain_trainer.engine.signals import request
from vistrain_trainer.engine.stages import stage
from vistrain_trainer.engine.startup import (
    Prepared,
    TaskFactory,
    build_state,
    checkpoint_meta,
    find_checkpoint,
    prepare,
    restore,
)
from vistrain_trainer.engine.state import TrainingState
from vistrain_trainer.engine.store import CheckpointStore
from vistrain_trainer.engine.task import Batches
from vistrain_trainer.evaluation.gates import unmet_gates
from vistrain_trainer.telemetry.console import LiveLine
from vistrain_trainer.telemetry.metrics import TrainerMetrics
from vistrain_trainer.telemetry.nvml import GpuReader
from vistrain_trainer.telemetry.progress import ProgressBoard
from vistrain_trainer.telemetry.server import TelemetryServer

log = structlog.get_logger()


def train(
    manifest: DetectorTraining,
    options: RunOptions,
    make_task: TaskFactory,
    folder: RunFolder,
    fence: Fence,
    attempts: AttemptLog,
    board: ProgressBoard,
) -> End:
    """Train from the newest checkpoint to the end. Raises what ends it early (see engine.failures)."""
    prepared = prepare(manifest, options, folder.resolved(), board, make_task)
    request.raise_if_requested()
    folder.claim(prepared.task.identity(), {"precision": prepared.precision})
    store = CheckpointStore(folder.path / "checkpoints")
    store.prepare()
    found = find_checkpoint(store, manifest.spec.checkpoint.volume.claim_name, board)
    restored_step = None if found is None else found.step
    total = manifest.spec.schedule.epochs * prepared.task.steps_per_epoch
    stage("startup.task")

    with contextlib.ExitStack() as stack:
        batches: Batches = prepared.task.batches(restored_step or 0, total)
        stack.callback(batches.close)
        metrics = TrainerMetrics(board.progress)
        _serve(stack, options, board, metrics)
        board.set(
            phase="Starting" if found is None else "Resuming",
            restored_step=restored_step,
            last_checkpoint=None if found is None else found.reference(),
            step=restored_step or 0,
            epoch=(restored_step or 0) // prepared.task.steps_per_epoch,
        )
        state = build_state(manifest, prepared, options)
        for note in prepared.task.initialization_notes() if found is None else []:
            log.info(note)
            board.note(note)
        if found is not None:
            restore(state, found, prepared.environment, board)

        steps = StepLog(folder.path / "log.jsonl", fence)
        epochs = EpochTable(folder.path / "metrics.csv", fence)
        fence.check()
        board.set(previous=attempts.previous(steps.last_step()))
        steps.rewind(state.step)
        epochs.rewind(state.step // prepared.task.steps_per_epoch - int(state.evaluation_due))
        attempts.start(restored_step, asdict(prepared.environment))
        reporter = Reporter(
            manifest=manifest,
            board=board,
            metrics=metrics,
            steps=steps,
            epochs=epochs,
            folder=folder,
            live=stack.enter_context(LiveLine(total)),
            gpu=GpuReader(prepared.machine.device),
            total_steps=total,
            steps_per_epoch=prepared.task.steps_per_epoch,
        )
        metrics.micro_batch.set(manifest.spec.schedule.batch_size)
        checkpointer = Checkpointer(
            state,
            store,
            fence,
            weights_folder=folder.path / "weights",
            keep=manifest.spec.checkpoint.keep,
            meta=checkpoint_meta(
                prepared,
                attempt=fence.token.attempt,
                token=fence.token.sequence,
                spec_digest=folder.spec_digest,
            ),
            export=prepared.task.export,
            sync_rows=reporter.sync_rows,
            on_saved=reporter.saved,
            restored=found,
        )
        stack.callback(checkpointer.close)
        _announce_restored(board, manifest, state)
        log.info(
            "training" if found is None else "resumed",
            step=state.step,
            of=total,
            device=prepared.machine.name,
            precision=prepared.precision,
            threads=prepared.machine.threads,
        )
        loop = Loop(
            manifest,
            prepared.task,
            state,
            batches,
            checkpointer,
            reporter,
            prepared.machine.device,
            log_every=options.log_every,
        )
        loop.run()
        return _finish(manifest, prepared, state, store, checkpointer, reporter, folder, fence)


def _finish(
    manifest: DetectorTraining,
    prepared: Prepared,
    state: TrainingState,
    store: CheckpointStore,
    checkpointer: Checkpointer,
    reporter: Reporter,
    folder: RunFolder,
    fence: Fence,
) -> End:
    """Judge the best checkpoint, export the last weights, store the result. Repeated whole after a kill."""
    reporter.phase("Evaluating")
    stage("final.begin")
    results = dict(state.best[0].results if state.best else state.latest)
    checkpointer.export_last()
    stage("final.export")
    results |= _test_best(manifest, prepared, state, store)
    request.raise_if_requested()
    unmet = unmet_gates(manifest.spec.evaluation.gates, results)
    code = ExitCode.GATE_NOT_MET if unmet else ExitCode.FINISHED
    primary = manifest.spec.evaluation.primary_metric.name
    best = state.best[0] if state.best else None
    text = (
        f"trained {manifest.spec.schedule.epochs} epochs; "
        + (
            f"best {primary} {best.value:.4g} at epoch {best.epoch}"
            if best
            else f"{primary} never had a value"
        )
        + (f"; gates not met: {'; '.join(unmet)}" if unmet else "")
    )
    failure = FailureClass.GATE_NOT_MET if unmet else None
    reporter.board.set(
        phase="Finished",
        results=results,
        exit_code=int(code),
        failure=failure,
        message=text,
        eta_seconds=0.0,
    )
    fence.check()
    stage("final.result")
    with storage_faults("storing the result"):
        progress = reporter.board.progress()
        folder.finish(
            {"exitCode": int(code), "progress": progress.model_dump_json(by_alias=True, exclude_none=True)}
        )
    stage("final.done")
    return End(int(code), failure, text, expected=True)


def _test_best(
    manifest: DetectorTraining, prepared: Prepared, state: TrainingState, store: CheckpointStore
) -> dict[str, float | None]:
    """Metrics of the best checkpoint on the test split; empty where there is none."""
    if manifest.spec.dataset.test is None:
        return {}
    if state.best and manifest.spec.checkpoint.keep.best > 0 and state.best[0].step != state.step:
        stored = open_checkpoint(store.path(state.best[0].step)).load()
        weights = stored["model"] if stored["ema"] is None else stored["ema"]["weights"]
        state.evaluated_model.load_state_dict(weights)
    return run_evaluation(prepared.task, state, test=True)


def _announce_restored(board: ProgressBoard, manifest: DetectorTraining, state: TrainingState) -> None:
    """Put on the board what the checkpoint knows."""
    board.set(results=dict(state.latest))
    if state.best:
        board.set(best=best_metric(manifest.spec.evaluation.primary_metric.name, state.best[0]))
    board.write_last_words()


def _serve(
    stack: contextlib.ExitStack, options: RunOptions, board: ProgressBoard, metrics: TrainerMetrics
) -> None:
    """Serve /metrics and /progress. Outside a pod a taken port is replaced by a free one, or done without."""
    if options.port == 0:
        return
    host = "0.0.0.0" if options.pod.in_pod else "127.0.0.1"
    for port in (options.port, 0):
        try:
            server = TelemetryServer(host, port, board.progress, metrics.registry)
        except OSError as error:
            log.warning("cannot serve /metrics", port=port, reason=error.strerror)
            continue
        stack.callback(server.close)
        log.info("serving /metrics and /progress", address=f"http://{host}:{server.port}")
        return
