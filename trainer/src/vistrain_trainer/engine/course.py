"""The course of a run through its phases: what is frozen, which rates apply, when a phase ends early."""

from __future__ import annotations

import structlog

from vistrain_api.detector import DetectorTraining
from vistrain_trainer.engine.checkpoint import open_checkpoint
from vistrain_trainer.engine.checkpointing import Checkpointer
from vistrain_trainer.engine.modes import freeze
from vistrain_trainer.engine.optimizer import set_rates, start_momentum
from vistrain_trainer.engine.patience import is_over, waited
from vistrain_trainer.engine.plan import Plan, PlannedPhase
from vistrain_trainer.engine.reporter import Reporter
from vistrain_trainer.engine.state import TrainingState, Waited
from vistrain_trainer.engine.store import CheckpointStore
from vistrain_trainer.engine.task import Task

log = structlog.get_logger()


class Course:
    """Takes a run through its plan.

    What a phase does when it begins (best weights, a fresh optimiser) is done right before its first step. A
    checkpoint at that position was therefore saved before it, and a resume from there does it again.
    """

    def __init__(
        self,
        manifest: DetectorTraining,
        plan: Plan,
        task: Task,
        state: TrainingState,
        store: CheckpointStore,
        checkpointer: Checkpointer,
        reporter: Reporter,
    ) -> None:
        self._plan = plan
        self._task = task
        self._state = state
        self._store = store
        self._checkpointer = checkpointer
        self._reporter = reporter
        self._primary = manifest.spec.evaluation.primary_metric
        stopping = manifest.spec.schedule.early_stopping
        self._patience = None if stopping is None else stopping.patience
        self._entered: PlannedPhase | None = None

    def enter(self, phase: PlannedPhase) -> None:
        """Be in a phase before one of its steps; nothing when the run is in it already."""
        if phase is self._entered:
            return
        state = self._state
        if state.position == phase.first:
            self._begin(phase)
        freeze(state.model, self._task.parts(state.model), phase.freeze)
        start_momentum(state.optimizer)
        self._entered = phase

    def forget(self) -> None:
        """The state has been put elsewhere: the next `enter` sets up its phase again."""
        self._entered = None

    def set_rates(self) -> None:
        """Give every group of the optimiser the rate of the next step."""
        position = self._state.position
        phase = self._plan.phase_at(position)
        set_rates(self._state.optimizer, lambda part: phase.rate(position, part) * self._state.rate_factor)

    def rates(self) -> dict[str, float]:
        """Rates of the last step by part of the model; 0 for a frozen one."""
        phase = self._last_phase
        return {
            part: 0.0
            if part in phase.freeze
            else phase.rate(self._state.position - 1, part) * self._state.rate_factor
            for part in self._task.parts(self._state.model)
        }

    @property
    def phase_name(self) -> str:
        """Name of the phase of the last step; empty in a run without phases."""
        return self._last_phase.name

    def columns(self) -> dict[str, float | str]:
        """What metrics.csv says of an epoch: `learning_rate` (the largest), and by phase and part."""
        rates = self.rates()
        columns: dict[str, float | str] = {"learning_rate": max(rates.values())}
        if self.phase_name:
            columns |= {f"learning_rate/{part}": rate for part, rate in rates.items()}
            columns["phase"] = self.phase_name
        return columns

    def judge(self, value: float | None, epoch: int) -> None:
        """Take in an evaluation of the primary metric: the phase, or the run, may end with this epoch.

        The rest of its stretch is then left out of the plan.
        """
        state, phase = self._state, self._last_phase
        for what, patience, end in (
            ("phase", phase.patience, phase.end),
            ("run", self._patience, self._plan.total),
        ):
            if patience is None:
                continue
            seen = waited(state.patience[what], value, epoch, self._primary.mode)
            state.patience[what] = seen
            if state.position < end and is_over(seen, epoch, patience):
                left_out = end - state.position
                state.skipped += left_out
                self._reporter.stopped_early(
                    what=what if what == "run" or not phase.name else f"phase {phase.name}",
                    step=state.step,
                    epoch=epoch,
                    epochs_left_out=left_out // self._plan.steps_per_epoch,
                    best_epoch=seen.epoch if seen.best is not None else None,
                    metric=self._primary.name,
                    patience=patience,
                    total_steps=self._plan.total - state.skipped,
                )

    @property
    def _last_phase(self) -> PlannedPhase:
        return self._plan.phase_at(max(0, self._state.position - 1))

    def _begin(self, phase: PlannedPhase) -> None:
        state = self._state
        epoch = state.step // self._plan.steps_per_epoch
        if phase.start_best:
            self._start_from_best(phase)
        if phase.patience is not None:
            state.patience["phase"] = Waited(None, epoch)
        if self._patience is not None and phase.number == 0:
            state.patience["run"] = Waited(None, epoch)
        if phase.name:
            self._reporter.phase_began(phase.name, phase.freeze, step=state.step, epoch=epoch)

    def _start_from_best(self, phase: PlannedPhase) -> None:
        state = self._state
        if not state.best:
            self._reporter.note(
                f"phase {phase.name} starts from the last weights: {self._primary.name} never had a value"
            )
            return
        self._checkpointer.drain()
        best = state.best[0]
        state.restore_weights(open_checkpoint(self._store.path(best.step)).load())
        log.info("best weights", phase=phase.name, epoch=best.epoch, step=best.step)
