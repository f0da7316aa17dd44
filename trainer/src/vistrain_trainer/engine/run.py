"""`vistrain run`: one attempt at a run, from its folder to its exit code."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import structlog

from vistrain_api import protocol
from vistrain_api.detector import DetectorTraining
from vistrain_api.protocol import ExitCode
from vistrain_trainer.engine import signals
from vistrain_trainer.engine.attempts import AttemptLog
from vistrain_trainer.engine.failures import End, explain
from vistrain_trainer.engine.fence import Fence
from vistrain_trainer.engine.files import storage_faults
from vistrain_trainer.engine.options import RunOptions
from vistrain_trainer.engine.runfolder import RunFolder
from vistrain_trainer.engine.stages import stage
from vistrain_trainer.engine.status import local_status
from vistrain_trainer.errors import Fenced
from vistrain_trainer.telemetry.progress import ProgressBoard

if TYPE_CHECKING:
    from vistrain_trainer.engine.startup import TaskFactory

log = structlog.get_logger()
_OVER = (ExitCode.FINISHED, ExitCode.GATE_NOT_MET, ExitCode.DIVERGED, ExitCode.OUT_OF_GPU_MEMORY)
"""Ends after which the run is not gone on with."""


def run(manifest: DetectorTraining, options: RunOptions, make_task: TaskFactory | None = None) -> int:
    """Run one attempt; its exit code. Every end is told: log, termination message, attempts.jsonl, status.

    `make_task` makes what is trained; the manifest's detector when none.
    """
    pod = options.pod
    board = ProgressBoard(attempt=pod.attempt or 1, pod_uid=pod.pod_uid, termination_log=pod.termination_log)
    board.set(epochs=manifest.spec.schedule.epochs)
    attempt = Attempt(manifest, options, board, make_task)
    try:
        end = attempt.run()
    except signals.Interrupted:
        end = End(ExitCode.STOPPED, None, attempt.stop_message(), expected=True)
    except Exception as error:
        end = explain(error)
        if end.expected:
            log.error(end.message, exit_code=end.exit_code)
        else:
            log.exception(end.message, exit_code=end.exit_code)
    attempt.end(end)
    attempt.report(end)
    return int(end.exit_code)


class Attempt:
    """One start of a run."""

    def __init__(
        self,
        manifest: DetectorTraining,
        options: RunOptions,
        board: ProgressBoard,
        make_task: TaskFactory | None,
    ) -> None:
        self._manifest = manifest
        self._make_task = make_task
        self._options = options
        self._board = board
        self._folder = RunFolder(options.output, manifest)
        self._fence: Fence | None = None
        self._attempts: AttemptLog | None = None

    def run(self) -> End:
        """Repeat a finished run's result, or train to the end."""
        self._folder.open()
        result = self._folder.result()
        if result is not None:
            return self._repeat(result)
        with storage_faults("taking the fencing token"):
            self._fence = Fence.take(self._folder.path / "fence", self._options.pod.attempt)
        token = self._fence.token
        self._board.set(attempt=token.attempt, token=token.sequence)
        pod = self._options.pod
        self._attempts = AttemptLog(
            self._folder.path / "attempts.jsonl",
            token,
            pod_uid=pod.pod_uid,
            pod=pod.pod_name,
            node=pod.node_name,
        )
        stage("startup.imports")
        from vistrain_trainer.detectors import task_for
        from vistrain_trainer.engine.training import train

        signals.defer(lambda: signals.watch_grace(self._last_words_in_need))
        make_task = self._make_task or task_for
        return train(
            self._manifest, self._options, make_task, self._folder, self._fence, self._attempts, self._board
        )

    def stop_message(self) -> str:
        """What is said after a stop request."""
        saved = self._board.progress().last_checkpoint
        where = f"saved at step {saved.step}" if saved is not None else "nothing was trained yet"
        return f"stopped by {signals.request.signal_name}; {where}"

    def end(self, end: End) -> None:
        """Tell how the attempt ends. What cannot be told for want of a volume is left out."""
        self._board.set(
            exit_code=int(end.exit_code),
            failure=end.failure,
            message=end.message[:1200],
            phase="Finished" if end.exit_code in (ExitCode.FINISHED, ExitCode.GATE_NOT_MET) else "Saving",
        )
        self._board.write_last_words()
        progress = self._board.progress()
        if self._attempts is not None and end.exit_code != Fenced.exit_code and self._fence is not None:
            with contextlib.suppress(OSError, Fenced):
                self._fence.check()
                failure = None if end.failure is None else str(end.failure)
                self._attempts.end(int(end.exit_code), progress.step, failure, end.message[:1200])
                self._folder.write_status(local_status(progress, self._manifest, self._folder))
        log.info("ended", exit_code=int(end.exit_code), message=end.message)

    def report(self, end: End) -> None:
        """Write the report of a run that is over, unless it is there; last, since all else is told by now."""
        if self._options.report and end.exit_code in _OVER and not signals.request():
            from vistrain_trainer.reporting.final import write_final_report

            write_final_report(self._folder.path, again=self._fence is not None)

    def _repeat(self, result: dict[str, Any]) -> End:
        """The stored end of a finished run."""
        stored = protocol.Progress.model_validate_json(result["progress"])
        values = {name: getattr(stored, name) for name in stored.model_fields_set}
        for name in ("attempt", "pod_uid", "notes", "version"):
            values.pop(name, None)
        self._board.set(**values)
        self._board.note(
            f"the run was finished before, in attempt {stored.attempt}; nothing is trained again"
        )
        return End(int(result["exitCode"]), stored.failure, stored.message, expected=True)

    def _last_words_in_need(self) -> None:
        """The grace period is nearly over and the save is not: say where the next attempt goes on."""
        saved = self._board.progress().last_checkpoint
        step = saved.step if saved is not None else 0
        text = (
            f"stopped before the save was done; the next attempt goes on from step {step}. "
            "Raise spec.resilience.terminationGracePeriod"
        )
        self._board.set(exit_code=int(ExitCode.STOPPED), message=text)
        self._board.write_last_words()
        log.error(text)
