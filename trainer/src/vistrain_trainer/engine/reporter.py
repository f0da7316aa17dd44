"""What the engine reports as it goes: log rows, board, metrics, console."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass

import structlog

from vistrain_api.detector import DetectorTraining
from vistrain_api.protocol import TrainerPhase
from vistrain_api.status import BestMetric, LastCheckpoint
from vistrain_trainer.engine.attempts import now
from vistrain_trainer.engine.rows import EpochTable, StepLog
from vistrain_trainer.engine.runfolder import RunFolder
from vistrain_trainer.engine.state import Evaluated
from vistrain_trainer.engine.status import local_status
from vistrain_trainer.telemetry.console import LiveLine
from vistrain_trainer.telemetry.metrics import TrainerMetrics
from vistrain_trainer.telemetry.nvml import GpuReader
from vistrain_trainer.telemetry.pace import Pace
from vistrain_trainer.telemetry.progress import ProgressBoard

log = structlog.get_logger()


@dataclass
class Reporter:
    """Tells everybody. Methods are called from the engine's thread, `saved` from the writer's."""

    manifest: DetectorTraining
    board: ProgressBoard
    metrics: TrainerMetrics
    steps: StepLog
    epochs: EpochTable
    folder: RunFolder
    live: LiveLine
    gpu: GpuReader
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

    def logged(self, step: int, losses: Mapping[str, float], rates: Mapping[str, float]) -> None:
        """A logging step is done: row, metrics, board, console."""
        pace = self.pace
        pace.mark(step)
        rate = next(iter(rates.values()), None)
        row = {
            "step": step,
            "epoch": (step - 1) // self.steps_per_epoch + 1,
            "loss": dict(losses),
            "learning_rate": rate,
            "images_per_second": _rounded(pace.images_per_second),
            "data_wait_ratio": _rounded(pace.data_wait_ratio),
            "time": now(),
        }
        self.steps.append(row)
        eta = None if not pace.steps_per_second else (self.total_steps - step) / pace.steps_per_second
        self.board.set(
            loss=dict(list(losses.items())[:16]),
            learning_rate=rate,
            images_per_second=pace.images_per_second,
            eta_seconds=eta,
        )
        self.metrics.training(losses, rates, pace.images_per_second, pace.data_wait_ratio)
        reading = self.gpu.read()
        if reading is not None:
            self.board.set(gpu_memory=reading.memory)
            self.metrics.gpu_memory.labels("used").set(reading.memory.used_bytes)
            self.metrics.gpu_memory.labels("total").set(reading.memory.total_bytes)
            if reading.temperature_celsius is not None:
                self.metrics.gpu_temperature.set(reading.temperature_celsius)
            if reading.power_watts is not None:
                self.metrics.gpu_power.set(reading.power_watts)
        total = losses.get("total")
        self.live.show(step, f"{row['epoch']}/{self.total_steps // self.steps_per_epoch}", total)
        log.info(
            "step",
            step=step,
            of=self.total_steps,
            loss=_rounded(total),
            rate=rate,
            images_per_second=row["images_per_second"],
        )

    def epoch(self, row: Mapping[str, float | int | None]) -> None:
        """An epoch is trained and, where due, evaluated."""
        self.epochs.append(row)

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

    def write_status(self) -> None:
        """Rewrite status.yaml."""
        with self._status:  # both the engine's thread and the writer's come here
            self.steps.fence.check()
            self.folder.write_status(local_status(self.board.progress(), self.manifest, self.folder))

    def sync_rows(self) -> None:
        """Make rows durable: a checkpoint must not outlive the rows before it."""
        self.steps.sync()
        self.epochs.sync()


def best_metric(name: str, best: Evaluated) -> BestMetric:
    """As status has it."""
    return BestMetric(metric=name, value=best.value, epoch=best.epoch, step=best.step)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
