"""From a manifest to a loop that is ready to train: device, data, model, and the newest checkpoint."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import structlog

from vistrain_api.detector import DetectorTraining
from vistrain_trainer.engine.allocator import keep_freed_memory
from vistrain_trainer.engine.checkpoint import FORMAT, StoredCheckpoint
from vistrain_trainer.engine.devices import Environment, Machine, find_machine
from vistrain_trainer.engine.ema import WeightAverage
from vistrain_trainer.engine.initial import start_from_checkpoint
from vistrain_trainer.engine.optimizer import make_optimizer
from vistrain_trainer.engine.options import RunOptions
from vistrain_trainer.engine.precision import Precision, resolve_precision
from vistrain_trainer.engine.randomness import seed_everything, set_determinism
from vistrain_trainer.engine.rollback import restore_state
from vistrain_trainer.engine.signals import request
from vistrain_trainer.engine.stages import stage
from vistrain_trainer.engine.state import LossSums, TrainingState
from vistrain_trainer.engine.store import CheckpointStore
from vistrain_trainer.engine.task import Task, TaskContext
from vistrain_trainer.errors import BadInput
from vistrain_trainer.telemetry.progress import ProgressBoard

log = structlog.get_logger()

TaskFactory = Callable[[DetectorTraining, TaskContext], Task]


@dataclass(frozen=True)
class Prepared:
    """Device, data and task of a run."""

    machine: Machine
    environment: Environment
    precision: str
    task: Task


def prepare(
    manifest: DetectorTraining,
    options: RunOptions,
    resolved: dict[str, Any],
    board: ProgressBoard,
    task_for: TaskFactory,
) -> Prepared:
    """Find device, settle precision, read the annotations. `resolved`: what earlier starts settled."""
    set_determinism(manifest.spec.schedule.determinism)
    machine = find_machine(manifest.spec.resources, options.device, in_pod=options.pod.in_pod)

    def tell(note: str) -> None:
        log.info(note)
        board.note(note)

    if machine.device.type == "cpu":
        keep_freed_memory()
    for note in machine.notes:
        log.warning(note)
        board.note(note)
    precision = resolved.get("precision") or resolve_precision(
        manifest.spec.schedule.precision, machine.device
    )
    context = TaskContext(
        device=machine.device,
        volumes=options.volumes,
        precision=precision,
        pin_memory=machine.device.type == "cuda",
        cache_folder=options.cache_folder,
        note=tell,
        begun=bool(resolved),
    )
    task = task_for(manifest, context)
    schedule = manifest.spec.schedule
    board.set(
        device=machine.name,
        precision=precision,
        epochs=schedule.epochs,
        total_steps=schedule.epochs * task.steps_per_epoch,
    )
    return Prepared(machine, Environment.of(machine, options.pod.image), precision, task)


def find_checkpoint(store: CheckpointStore, claim: str, board: ProgressBoard) -> StoredCheckpoint | None:
    """The newest whole checkpoint; none in a fresh folder.

    Raises:
        BadInput: there are checkpoints, and all are torn.
    """
    torn: list[str] = []

    def passed_over(step: int, why: str) -> None:
        torn.append(f"step {step}: {why}")

    found = store.newest_whole(passed_over)
    if found is None and torn:
        raise BadInput(
            field="spec.checkpoint.volume",
            value=claim,
            problem=f"no checkpoint in {store.folder} is whole ({'; '.join(torn)})",
            remedy="Restore one from a backup, or remove the run folder to begin anew",
        )
    for text in torn:
        note = f"passed over a torn checkpoint ({text}); going on from step {found.step if found else 0}"
        log.warning(note)
        board.note(note)
    return found


def build_state(
    manifest: DetectorTraining, prepared: Prepared, options: RunOptions, *, resumes: bool = False
) -> TrainingState:
    """The state at step 0. When the run resumes, whatever it starts from is not read: all is restored."""
    schedule = manifest.spec.schedule
    device = prepared.machine.device
    seed_everything(schedule.seed)
    model = prepared.task.build(initialize=not resumes)
    average = WeightAverage(model, schedule.ema.decay, schedule.ema.tau) if schedule.ema.enabled else None
    optimizer = make_optimizer(schedule.optimizer, prepared.task.parameter_groups(model), device)
    state = TrainingState(
        model=model,
        average=average,
        optimizer=optimizer,
        precision=Precision(prepared.precision, device),
        losses=LossSums(device),
        micro_batch=schedule.micro_batch_size or schedule.batch_size,
        evaluation_batch=schedule.micro_batch_size or schedule.batch_size,
    )
    if not resumes:
        for note in start_from_checkpoint(manifest, prepared.task, options.volumes, state):
            log.info(note)
    stage("startup.built")
    return state


def restore(
    state: TrainingState, found: StoredCheckpoint, environment: Environment, board: ProgressBoard
) -> None:
    """Bring the state to a checkpoint, and say where that is not what it was made with."""
    restore_state(state, found)
    differences = environment.differences(found.meta["environment"])
    if differences:
        note = f"resumed elsewhere, so the result may differ in its last bits: {'; '.join(differences)}"
        log.warning(note)
        board.note(note)
    stage("startup.restored")
    request.raise_if_requested()


def checkpoint_meta(prepared: Prepared, *, attempt: int, token: int, spec_digest: str) -> dict[str, Any]:
    """What every checkpoint of this process says of its origin."""
    return {
        "format": FORMAT,
        "attempt": attempt,
        "token": token,
        "specDigest": spec_digest,
        "task": dict(prepared.task.identity()),
        "precision": prepared.precision,
        "environment": asdict(prepared.environment),
    }
