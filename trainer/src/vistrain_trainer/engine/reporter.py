"""What the engine reports as it goes: log rows, board, metrics, console."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from vistrain_api.detector import DetectorTraining
from vistrain_api.protocol import TrainerPhase
from vistrain_api.status import BestMetric, LastCheckpoint
from vistrain_trainer.engine.attempts import now
from vistrain_trainer.engine.events import EventLog, in_words
from vistrain_trainer.engine.rows import EpochTable, StepLog
from vistrain_trainer.engine.runfolder import RunFolder
from vistrain_trainer.engine.state import Evaluated
from vistrain_trainer.engine.status import local_status
from vistrain_trainer.telemetry.console import LiveLine
from vistrain_trainer.telemetry.metrics import TrainerMetrics
from vistrain_trainer.telemetry.nvml import GpuReader
from vistrain_trainer.telemetry.pace import Pace
from vistrain_trainer.telemetry.progress import ProgressBoard
from vistrain_trainer.telemetry.tensorboard import TensorBoardMirror

log = structlog.get_logger()


@dataclass
class Reporter:
    """Tells everybody. Methods are called from the engine's thread, `saved` from the writer's."""

    manifest: DetectorTraining
    board: ProgressBoard
    metrics: TrainerMetrics
    steps: StepLog
    epochs: EpochTable
    events: EventLog
    folder: RunFolder
    live: LiveLine
    gpu: GpuReader
    tensorboard: TensorBoardMirror
    total_steps: int
    steps_per_epoch: int

    def __post_init__(self) -> None:
        self.pace = Pace()
        self._status = threading.Lock()
        self._stepped = False

    def phase(self, phase: TrainerPhase) -> None:
        """The run has come to another phase."""
        self.board.set(phase=phase)
        self.write_status()

    def step(self, step: int) -> None:
        """A step is done; called after every one, so it does little."""
        self.board.set(step=step, last_step=step, epoch=step // self.steps_per_epoch)
        if not self._stepped:  # what an eviction cost is the time until this line
            self._stepped = True
            self.board.set(first_step_at=now())
            log.info("first step", step=step, of=self.total_steps)

    def logged(self, step: int, losses: Mapping[str, float], rates: Mapping[str, float], phase: str) -> None:
        """A logging step is done: row, metrics, board, console."""
        pace = self.pace
        pace.mark(step)
        rate = max(rates.values(), default=None)
        reading = self.gpu.read()
        row: dict[str, Any] = {
            "step": step,
            "epoch": (step - 1) // self.steps_per_epoch + 1,
            "loss": dict(losses),
            "learning_rate": rate,
            "images_per_second": _rounded(pace.images_per_second),
            "data_wait_ratio": _rounded(pace.data_wait_ratio),
            "time": now(),
            **({} if reading is None else reading.row()),
        }
        if phase:
            row |= {"phase": phase, "learning_rates": dict(rates)}
        self.steps.append(row)
        self.tensorboard.row()
        eta = None if not pace.steps_per_second else (self.total_steps - step) / pace.steps_per_second
        self.board.set(
            loss=dict(list(losses.items())[:16]),
            learning_rate=rate,
            images_per_second=pace.images_per_second,
            eta_seconds=eta,
        )
        self.metrics.training(losses, rates, pace.images_per_second, pace.data_wait_ratio)
        if reading is not None:
            self.board.set(gpu_memory=reading.memory)
            self.metrics.gpu_memory.labels("used").set(reading.memory.used_bytes)
            self.metrics.gpu_memory.labels("total").set(reading.memory.total_bytes)
            if reading.temperature_celsius is not None:
                self.metrics.gpu_temperature.set(reading.temperature_celsius)
            if reading.power_watts is not None:
                self.metrics.gpu_power.set(reading.power_watts)
        total = losses.get("total")
        self.live.show(step, f"{row['epoch']}/{self.manifest.spec.schedule.epochs}", total)
        log.info(
            "step",
            step=step,
            of=self.total_steps,
            loss=_rounded(total),
            rate=rate,
            images_per_second=row["images_per_second"],
        )

    def epoch(self, row: Mapping[str, float | int | str | None]) -> None:
        """An epoch is trained and, where due, evaluated."""
        self.epochs.append(row)
        self.tensorboard.row()

    def evaluated(self, epoch: int, results: Mapping[str, float | None], best: Evaluated | None) -> None:
        """An evaluation is done."""
        self.metrics.evaluation(results)
        self.board.set(results=dict(results))
        primary = self.manifest.spec.evaluation.primary_metric.name
        if best is not None:
            self.board.set(best=best_metric(primary, best))
        log.info(
            "evaluated",
            epoch=epoch,
            **{primary: results.get(primary)},
            best=None if best is None else best.value,
        )

    def saved(self, last: LastCheckpoint, seconds: float | None) -> None:
        """A checkpoint, or an addition to it, is on the volume."""
        if seconds is not None:
            self.metrics.checkpoint_seconds.observe(seconds)
        self.metrics.checkpoint_step.set(last.step)
        self.board.set(last_checkpoint=last)
        self.board.write_last_words()
        self.write_status()

    def judging(self, batches: int) -> None:
        """An evaluation goes on: `batches` were asked for so far."""
        self.board.set(evaluated=batches)

    def note(self, text: str) -> None:
        """What a person should know."""
        log.warning(text)
        self.board.note(text)

    def phase_began(self, name: str, frozen: Sequence[str], *, step: int, epoch: int) -> None:
        """A phase of the schedule begins."""
        if self.events.add("phase", step=step, epoch=epoch, name=name, frozen=list(frozen)):
            log.info("phase", name=name, frozen=", ".join(frozen) or "nothing", epoch=epoch)

    def stopped_early(
        self,
        *,
        what: str,
        step: int,
        epoch: int,
        epochs_left_out: int,
        best_epoch: int | None,
        metric: str,
        patience: int,
        total_steps: int,
    ) -> None:
        """A phase, or the run, ends for want of improvement."""
        self.plan_changed(total_steps)
        details = {"what": what, "best": best_epoch, "metric": metric, "patience": patience}
        if self.events.add("earlyStopping", step=step, epoch=epoch, leftOut=epochs_left_out, **details):
            self.note(in_words({"epoch": epoch, **details}))

    def rewind(self, step: int, epochs: int) -> None:
        """Drop what was written of later steps and epochs: they are done again."""
        self.steps.rewind(step)
        self.epochs.rewind(epochs)
        self.events.rewind(step)

    def plan_changed(self, total_steps: int) -> None:
        """The run has fewer steps to do than it was planned with."""
        self.total_steps = total_steps
        self.board.set(total_steps=total_steps)
        self.live.total(total_steps)

    def rolled_back(
        self,
        why: str,
        *,
        step: int,
        epoch: int,
        came_from: int,
        number: int,
        allowed: int,
        factor: float,
    ) -> None:
        """The run goes back: rows and events after the step that it goes back to are dropped."""
        self.rewind(step, epoch)
        details = {"from": came_from, "number": number, "rateFactor": factor}
        if self.events.add("rollBack", step=step, epoch=epoch, **details):
            self.note(
                f"went back from step {came_from} to {step} ({number} of {allowed} roll-backs), rates are "
                f"{factor:g} of those planned from here on: {why}"
            )
        self.pace.pause()
        self.board.set(step=step, epoch=epoch)

    def micro_batch_shrunk(self, before: int, after: int, *, step: int, epoch: int) -> None:
        """The device's memory ran out, and a step is done again with fewer images at once."""
        self.metrics.micro_batch.set(after)
        if self.events.add("microBatch", step=step, epoch=epoch, before=before, after=after):
            self.note(
                f"GPU memory ran out in step {step + 1}: {after} images at once from here on, before "
                f"{before}; batch size and rate stay, batch norm statistics are those of the smaller batches"
            )

    def write_status(self) -> None:
        """Rewrite status.yaml."""
        with self._status:  # both the engine's thread and the writer's come here
            self.steps.fence.check()
            self.folder.write_status(local_status(self.board.progress(), self.manifest, self.folder))

    def sync_rows(self) -> None:
        """Make rows durable: a checkpoint must not outlive the rows before it."""
        self.steps.sync()
        self.epochs.sync()
        self.events.sync()


def best_metric(name: str, best: Evaluated) -> BestMetric:
    """As status has it."""
    return BestMetric(metric=name, value=best.value, epoch=best.epoch, step=best.step)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
