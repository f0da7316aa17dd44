"""One attempt's training: start-up, loop, final export, result."""

from __future__ import annotations

import contextlib
from dataclasses import asdict

import structlog

from vistrain_api.detector import DetectorTraining
from vistrain_api.failures import FailureClass
from vistrain_api.protocol import ExitCode
from vistrain_trainer.engine.assembly import assemble
from vistrain_trainer.engine.attempts import AttemptLog
from vistrain_trainer.engine.checkpointing import Checkpointer
from vistrain_trainer.engine.failures import End
from vistrain_trainer.engine.feed import Feed
from vistrain_trainer.engine.fence import Fence
from vistrain_trainer.engine.files import storage_faults
from vistrain_trainer.engine.final import examine_best
from vistrain_trainer.engine.options import RunOptions
from vistrain_trainer.engine.plan import Plan
from vistrain_trainer.engine.reporter import Reporter, best_metric
from vistrain_trainer.engine.runfolder import RunFolder
from vistrain_trainer.engine.signals import request
from vistrain_trainer.engine.stages import stage
from vistrain_trainer.engine.startup import (
    Prepared,
    TaskFactory,
    build_state,
    find_checkpoint,
    prepare,
    restore,
)
from vistrain_trainer.engine.state import TrainingState
from vistrain_trainer.engine.store import CheckpointStore
from vistrain_trainer.evaluation.gates import unmet_gates
from vistrain_trainer.telemetry.console import LiveLine
from vistrain_trainer.telemetry.metrics import TrainerMetrics
from vistrain_trainer.telemetry.progress import ProgressBoard
from vistrain_trainer.telemetry.samples import first_samples
from vistrain_trainer.telemetry.server import TelemetryServer
from vistrain_trainer.telemetry.tensorboard import TensorBoardMirror

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
    folder.claim(prepared.task.identity(), {"precision": prepared.precision}, prepared.task.preparations)
    store = CheckpointStore(folder.path / "checkpoints")
    store.prepare()
    found = find_checkpoint(store, manifest.spec.checkpoint.volume.claim_name, board)
    restored_step = None if found is None else found.step
    plan = Plan.of(manifest.spec.schedule, prepared.task.steps_per_epoch)
    stage("startup.task")

    with contextlib.ExitStack() as stack:
        tensorboard = TensorBoardMirror(folder.path, fence.token.sequence)
        stack.callback(tensorboard.close)
        position = 0 if found is None else found.position
        samples = first_samples(tensorboard, restored_step or 0)
        feed = Feed(prepared.task, position, plan.total, on_first=samples)
        stack.callback(feed.close)
        metrics = TrainerMetrics(board.progress)
        _serve(stack, options, board, metrics)
        board.set(
            phase="Starting" if found is None else "Resuming",
            restored_step=restored_step,
            last_checkpoint=None if found is None else found.reference(),
            step=restored_step or 0,
            epoch=(restored_step or 0) // prepared.task.steps_per_epoch,
        )
        state = build_state(manifest, prepared, options, resumes=found is not None)
        for note in prepared.task.initialization_notes() if found is None else []:
            log.info(note)
            board.note(note)
        if found is not None:
            restore(state, found, prepared.environment, board)

        fence.check()
        parts = assemble(
            manifest,
            options,
            prepared,
            plan,
            state,
            feed,
            store,
            folder,
            fence,
            board,
            metrics,
            tensorboard,
            live=stack.enter_context(LiveLine(plan.total)),
            restored=found,
        )
        stack.callback(parts.checkpointer.close)
        board.set(previous=attempts.previous(parts.reporter.steps.last_step()))
        parts.reporter.rewind(state.step, state.step // plan.steps_per_epoch - int(state.evaluation_due))
        parts.reporter.plan_changed(plan.total - state.skipped)
        attempts.start(restored_step, asdict(prepared.environment))
        _announce_restored(board, manifest, state)
        log.info(
            "training" if found is None else "resumed",
            step=state.step,
            of=plan.total - state.skipped,
            device=prepared.machine.name,
            precision=prepared.precision,
            threads=prepared.machine.threads,
        )
        parts.loop.run()
        return _finish(manifest, prepared, state, store, parts.checkpointer, parts.reporter, folder, fence)


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
    results |= examine_best(
        manifest, prepared.task, state, store, folder, fence, reporter.board.note, reporter.judging
    )
    request.raise_if_requested()
    unmet = unmet_gates(manifest.spec.evaluation.gates, results)
    code = ExitCode.GATE_NOT_MET if unmet else ExitCode.FINISHED
    primary = manifest.spec.evaluation.primary_metric.name
    best = state.best[0] if state.best else None
    text = (
        f"trained {_epochs_done(state, prepared, manifest)}; "
        + "".join(f"{stop}; " for stop in reporter.events.early_stops())
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


def _epochs_done(state: TrainingState, prepared: Prepared, manifest: DetectorTraining) -> str:
    """`30 epochs`, or `21 of 80 planned epochs` where it stopped early."""
    done, planned = state.step // prepared.task.steps_per_epoch, manifest.spec.schedule.epochs
    return f"{done} epochs" if done == planned else f"{done} of {planned} planned epochs"


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
