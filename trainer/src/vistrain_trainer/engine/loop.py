"""The training loop."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping

from torch import Tensor

from vistrain_api.detector import DetectorTraining
from vistrain_api.quantities import seconds
from vistrain_trainer.engine.checkpointing import Checkpointer
from vistrain_trainer.engine.course import Course
from vistrain_trainer.engine.feed import Feed
from vistrain_trainer.engine.judging import judged
from vistrain_trainer.engine.plan import Plan
from vistrain_trainer.engine.reporter import Reporter
from vistrain_trainer.engine.rollback import RollBack
from vistrain_trainer.engine.signals import Interrupted, request
from vistrain_trainer.engine.stages import stage
from vistrain_trainer.engine.state import Evaluated, TrainingState
from vistrain_trainer.engine.stepper import Stepper
from vistrain_trainer.engine.task import Task
from vistrain_trainer.errors import Diverged


class Loop:
    """Trains from the state's position to the plan's end, evaluating and saving on the way.

    The law of resume rests on three things here: checkpoints are taken between steps only; a step is a
    function of the state and of its batch, which is a function of the position; and evaluating, saving and
    logging leave the state and its generators alone.
    """

    def __init__(
        self,
        manifest: DetectorTraining,
        plan: Plan,
        task: Task,
        state: TrainingState,
        feed: Feed,
        stepper: Stepper,
        checkpointer: Checkpointer,
        reporter: Reporter,
        course: Course,
        roll_back: RollBack,
        *,
        log_every: int,
    ) -> None:
        self._spec = manifest.spec
        self._plan = plan
        self._task = task
        self._state = state
        self._feed = feed
        self._stepper = stepper
        self._checkpointer = checkpointer
        self._reporter = reporter
        self._course = course
        self._roll_back = roll_back
        self._log_every = log_every
        self._per_epoch = task.steps_per_epoch
        self._interval = seconds(self._spec.checkpoint.interval)
        self._mark = time.monotonic()

    def run(self) -> None:
        """Train to the end. Raises Interrupted after a stop request, with everything saved."""
        try:
            while True:
                try:
                    self._train()
                    self._checkpointer.drain()
                    return
                except Diverged as divergence:
                    self._roll_back(divergence)
                    self._course.forget()
        except Interrupted:
            self._reporter.phase("Saving")
            self._save_before_leaving()
            raise

    def _save_before_leaving(self) -> None:
        try:
            if self._state.step > 0 and self._checkpointer.saved_step != self._state.step:
                self._save()
            self._checkpointer.drain()
        except Diverged:
            # Nothing good to save. The next start goes on from before, diverges again, and goes back then.
            if not self._roll_back.allowed:
                raise

    def _train(self) -> None:
        request.raise_if_requested()
        if self._state.evaluation_due:
            self._evaluate()
        self._back_to_training()
        while self._state.position < self._plan.total:
            self._course.enter(self._plan.phase_at(self._state.position))
            losses = self._train_step()
            self._after_step(losses)
            request.raise_if_requested()

    def _back_to_training(self) -> None:
        self._reporter.phase("Training")
        self._reporter.pace.mark(self._state.step)
        self._mark = time.monotonic()

    def _train_step(self) -> Tensor:
        state = self._state
        asked = time.monotonic()
        batch = self._feed.batch(state.position)
        self._reporter.pace.waited(time.monotonic() - asked)
        if state.step % self._per_epoch == 0:
            state.losses.reset()
        self._course.set_rates()
        figures = self._stepper.step(batch, state.position)
        if state.average is not None:
            state.average.update()
        state.step += 1
        self._checkpointer.forget_snapshot()
        self._reporter.pace.add_images(batch.images_count)
        return state.losses.add(figures, finite_only=state.precision.tolerates_overflow)

    def _after_step(self, losses: Tensor) -> None:
        state = self._state
        self._reporter.step(state.step)
        self._checkpointer.check()
        stage("step", state.step)
        ends_epoch = state.step % self._per_epoch == 0
        if state.step % self._log_every == 0 or ends_epoch:
            self._log(losses)
        if ends_epoch:
            self._end_epoch()
        elif self._checkpointer.seconds_since_save >= self._interval:
            self._save()

    def _log(self, losses: Tensor) -> None:
        values = dict(zip(self._state.losses.names, losses.tolist(), strict=True))
        self._require_finite(values)
        self._reporter.logged(self._state.step, values, self._course.rates(), self._course.phase_name)

    def _end_epoch(self) -> None:
        epoch = self._state.step // self._per_epoch
        every = self._spec.checkpoint.keep.every_epochs
        self._state.evaluation_due = (
            epoch % self._spec.evaluation.every_epochs == 0 or self._state.position >= self._plan.total
        )
        self._count_time()
        if not self._state.evaluation_due:
            self._reporter.epoch(self._row(epoch, {}))
        self._save(weights_name=f"epoch-{epoch}" if every and epoch % every == 0 else None)
        stage("epoch.saving")
        if self._state.evaluation_due:
            request.raise_if_requested()
            self._evaluate()
            self._back_to_training()

    def _save(self, weights_name: str | None = None) -> None:
        self._count_time()
        self._require_finite(self._state.losses.means())
        self._checkpointer.save(epoch=self._state.step // self._per_epoch, weights_name=weights_name)

    def _evaluate(self) -> None:
        """The evaluation that is due. A stop request raises Interrupted: it is done again after a resume."""
        state = self._state
        epoch = state.step // self._per_epoch
        self._reporter.phase("Evaluating")
        self._reporter.pace.pause()
        stage("evaluate.begin")
        results = judged(self._task, state, self._task.evaluate, self._reporter.judging)
        stage("evaluate.done")
        state.latest = results
        primary = self._spec.evaluation.primary_metric
        value = results.get(primary.name)
        row = self._row(epoch, results)
        improved = state_best(state, value, epoch, primary.mode, self._spec.checkpoint.keep.best)
        self._course.judge(value, epoch)
        state.evaluation_due = False
        self._reporter.epoch(row)
        self._reporter.evaluated(epoch, results, state.best[0] if state.best else None)
        self._checkpointer.record_evaluation(improved=improved)

    def _row(self, epoch: int, results: Mapping[str, float | None]) -> dict[str, float | int | str | None]:
        losses = self._state.losses
        return {
            "epoch": epoch,
            "step": self._state.step,
            **self._course.columns(),
            "seconds": round(losses.seconds, 3),
            **{f"loss/{name}": value for name, value in losses.means().items()},
            **results,
        }

    def _count_time(self) -> None:
        present = time.monotonic()
        self._state.losses.seconds += present - self._mark
        self._mark = present

    def _require_finite(self, losses: Mapping[str, float]) -> None:
        if self._state.precision.collapsed or not all(math.isfinite(value) for value in losses.values()):
            raise Diverged(
                f"the loss is not finite at step {self._state.step} ({dict(losses)}); what was saved before "
                "is whole. Lower spec.schedule.learningRate, lengthen spec.schedule.warmupEpochs, or say "
                "spec.schedule.precision bf16 or fp32"
            )


def state_best(state: TrainingState, value: float | None, epoch: int, mode: str, keep: int) -> bool:
    """Put an evaluation among the best `keep` (at least one is remembered). Whether it is the best of all.

    Of equal values the earlier stays.
    """
    if value is None:
        return False
    evaluated = Evaluated(value=value, epoch=epoch, step=state.step, results=dict(state.latest))
    sign = -1 if mode == "max" else 1
    ranked = sorted([*state.best, evaluated], key=lambda one: (sign * one.value, one.step))
    state.best = ranked[: max(1, keep)]
    return state.best[0] is evaluated
