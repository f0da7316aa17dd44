"""What a run does when its loss is not finite: back to the last good epoch, and on with a lower rate."""

from __future__ import annotations

from collections.abc import Callable

from vistrain_api.resilience import OnNaN
from vistrain_trainer.engine.checkpoint import StoredCheckpoint, write_roll_back
from vistrain_trainer.engine.checkpointing import Checkpointer
from vistrain_trainer.engine.files import storage_faults
from vistrain_trainer.engine.reporter import Reporter
from vistrain_trainer.engine.stages import stage
from vistrain_trainer.engine.state import TrainingState
from vistrain_trainer.engine.store import CheckpointStore
from vistrain_trainer.errors import Diverged


class RollBack:
    """Puts the state back, a stated number of times.

    It goes to an epoch's end, not to the newest checkpoint: those between depend on the clock and on
    evictions, and where a run goes back to must not, or a run that was killed would end elsewhere than one
    that was not. How often, and the rate from there on, are on the volume before training goes on.
    """

    def __init__(
        self,
        policy: OnNaN,
        state: TrainingState,
        store: CheckpointStore,
        checkpointer: Checkpointer,
        reporter: Reporter,
        *,
        steps_per_epoch: int,
        at_start: Callable[[], TrainingState],
    ) -> None:
        """Keep what is needed.

        Args:
            policy: what the manifest says.
            state: is put back in place.
            store: holds the checkpoints.
            checkpointer: saves; what it is at is forgotten.
            reporter: drops the rows of steps that are done again.
            steps_per_epoch: of the plan.
            at_start: makes the state that the run began with; asked when no epoch is done.
        """
        self._policy = policy.roll_back
        self._state = state
        self._store = store
        self._checkpointer = checkpointer
        self._reporter = reporter
        self._steps_per_epoch = steps_per_epoch
        self._at_start = at_start

    @property
    def allowed(self) -> bool:
        """Whether the run may go back once more."""
        return self._policy is not None and self._state.roll_backs < self._policy.max

    def __call__(self, divergence: Diverged) -> None:
        """Put the state back.

        Raises:
            Diverged: the policy is to fail, or the run went back as often as it may.
        """
        failed = self._checkpointer.abandon()
        if failed is not None and not isinstance(failed, Diverged):
            raise failed
        state, policy = self._state, self._policy
        if policy is None or not self.allowed:
            went = f"after {state.roll_backs} roll-backs, " if state.roll_backs else ""
            raise Diverged(f"{went}{divergence}") from divergence
        number, factor = state.roll_backs + 1, state.rate_factor * policy.learning_rate_factor
        micro_batch, came_from = state.micro_batch, state.step
        found = self._store.newest_whole(self._passed_over, lambda step: step % self._steps_per_epoch == 0)
        if found is None:
            state.restore(self._at_start().collect())
        else:
            restore_state(state, found)
        state.roll_backs, state.rate_factor = number, factor
        state.micro_batch = min(state.micro_batch, micro_batch)
        self._reporter.rolled_back(
            str(divergence),
            step=state.step,
            epoch=state.step // self._steps_per_epoch,
            came_from=came_from,
            number=number,
            allowed=policy.max,
            factor=factor,
        )
        stage("rollback.told")
        self._remember(found)
        stage("rollback.saved")

    def _remember(self, found: StoredCheckpoint | None) -> None:
        state = self._state
        with storage_faults(f"recording the roll-back to step {state.step}"):
            self._reporter.sync_rows()
            if found is not None:
                write_roll_back(
                    found.folder,
                    {
                        "roll_backs": state.roll_backs,
                        "rate_factor": state.rate_factor,
                        "micro_batch": state.micro_batch,
                    },
                )
                stage("rollback.written")
            self._store.discard_after(state.step)
        self._checkpointer.go_on_from(found)
        if found is None:
            self._checkpointer.save(epoch=0)
            self._checkpointer.drain()

    def _passed_over(self, step: int, why: str) -> None:
        self._reporter.note(f"passed over a torn checkpoint (step {step}: {why})")


def restore_state(state: TrainingState, found: StoredCheckpoint) -> None:
    """Bring the state to a checkpoint, and to what was added to it: its evaluation, a roll-back."""
    state.restore(found.load())
    judged = found.evaluation()
    if judged is not None:
        state.evaluation_due = False
        state.restore_judged(judged)
    came_back = found.roll_back()
    if came_back is not None:
        state.roll_backs = came_back["roll_backs"]
        state.rate_factor = came_back["rate_factor"]
        state.micro_batch = came_back["micro_batch"]
