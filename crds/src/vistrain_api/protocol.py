"""What operator and trainer say to each other: exit codes, environment, paths, progress, last words."""

from __future__ import annotations

from enum import IntEnum
from typing import Annotated, Literal

from pydantic import Field

from vistrain_api.base import Contract
from vistrain_api.failures import FailureClass
from vistrain_api.status import BestMetric, LastCheckpoint


class ExitCode(IntEnum):
    """Exit codes of the trainer; any other is a fault, retried within the budget."""

    FINISHED = 0
    GATE_NOT_MET = 3
    BAD_INPUT = 64
    OUT_OF_GPU_MEMORY = 65
    DIVERGED = 66
    DEVICE_FAULT = 69
    STORAGE_FAULT = 74
    STOPPED = 75  # stopped on request, checkpoint saved
    FENCED = 76  # a newer attempt owns the run folder


EXIT_MEANINGS: dict[ExitCode, str] = {
    ExitCode.FINISHED: "finished, every gate met: the run has Succeeded",
    ExitCode.GATE_NOT_MET: "finished, but a gate is not met: the run has Failed, its results are kept",
    ExitCode.BAD_INPUT: "manifest, data or weights are wrong: the run has Failed, no retry",
    ExitCode.OUT_OF_GPU_MEMORY: "GPU memory does not suffice: the run has Failed, no retry unchanged",
    ExitCode.DIVERGED: "the loss was not finite: the run has Failed",
    ExitCode.DEVICE_FAULT: "the device failed, or a slice has no CUDA: retried within the failure budget",
    ExitCode.STORAGE_FAULT: "the checkpoint volume failed or is full: retried, the last checkpoint is kept",
    ExitCode.STOPPED: "stopped on request, checkpoint saved: resumes when there is room; without a"
    " deletion or a disruption it is a fault",
    ExitCode.FENCED: "a newer attempt owns the run folder: nothing was written after it took over",
}

EXIT_CLASSES: dict[int, FailureClass] = {
    ExitCode.GATE_NOT_MET: FailureClass.GATE_NOT_MET,
    ExitCode.BAD_INPUT: FailureClass.BAD_INPUT,
    ExitCode.OUT_OF_GPU_MEMORY: FailureClass.OUT_OF_MEMORY_GPU,
    ExitCode.DIVERGED: FailureClass.NUMERICAL_DIVERGENCE,
    ExitCode.DEVICE_FAULT: FailureClass.DEVICE_FAULT,
    ExitCode.STORAGE_FAULT: FailureClass.STORAGE_FAULT,
}

CONTAINER = "trainer"
PORT = 8080
MANIFEST_PATH = "/etc/vistrain/manifest.yaml"
DATA_ROOT = "/volumes"  # every claim that is only read is mounted at DATA_ROOT/<claimName>
CHECKPOINT_ROOT = "/checkpoints"  # the checkpoint claim; the run folder is CHECKPOINT_ROOT/<checkpoint.path>
PREPARED = "prepared"  # beside the run folders: PREPARED/<first 10 of the digest>/coco is a prepared data set
TERMINATION_LOG = "/dev/termination-log"
TERMINATION_LIMIT = 4000  # bytes; the kubelet cuts at 4096

# Environment of the trainer container.
ENV_ATTEMPT = (
    "VISTRAIN_ATTEMPT"  # number of the attempt, from 1; rises with every Job; 0 for errands before it
)
ENV_POD_UID = "VISTRAIN_POD_UID"
ENV_POD_NAME = "VISTRAIN_POD_NAME"
ENV_NODE_NAME = "VISTRAIN_NODE_NAME"
ENV_GRACE_SECONDS = "VISTRAIN_GRACE_SECONDS"  # time between SIGTERM and SIGKILL
ENV_IMAGE = "VISTRAIN_IMAGE"  # image reference, recorded with the run
ENV_TERMINATION_LOG = "VISTRAIN_TERMINATION_LOG"  # file of the last words; set in a pod only
ENV_STANDIN_DEVICE = (
    "VISTRAIN_STANDIN_DEVICE"  # set by the dev cluster's device plugin: train on the CPU in a slice's place
)

LABEL_RUN = "vistrain.dev/run"
LABEL_RUN_UID = "vistrain.dev/run-uid"
LABEL_KIND = "vistrain.dev/kind"
LABEL_ATTEMPT = "vistrain.dev/attempt"
LABEL_PREFLIGHT = "vistrain.dev/preflight"  # "true" on the pre-flight's Job and pod, which are no attempt
# First 10 of the digest, on the Job and pod of a preparation; LABEL_RUN then names the run that made them.
LABEL_PREPARATION = "vistrain.dev/preparation"
ANNOTATION_SPEC_DIGEST = "vistrain.dev/spec-digest"
# On a resolved manifest whose initialization.run became a checkpoint: which run and which of its checkpoints,
# such as `earlier/best`.
ANNOTATION_INITIALIZATION_RUN = "vistrain.dev/initialization-run"

TrainerPhase = Literal["Starting", "Resuming", "Training", "Evaluating", "Saving", "Finished"]


class GpuMemory(Contract):
    """GPU memory of the process's device."""

    used_bytes: int
    """Bytes in use at the peak."""
    total_bytes: int
    """Bytes of the slice or card."""


class AttemptEnd(Contract):
    """How an earlier attempt ended, as the run folder has it."""

    attempt: int
    """Number of the attempt."""
    pod_uid: str = ""
    """UID of its pod; empty without a cluster."""
    last_step: int
    """Last optimiser step it executed, as far as is known (log.jsonl)."""
    exit_code: int | None = None
    """Exit code it announced; none when it was killed."""


class Progress(Contract):
    """What the trainer serves at /progress, and rewrites as its termination message at every checkpoint."""

    version: Literal[1] = 1
    attempt: int
    """Number of the attempt; 0 for the pre-flight and for a preparation."""
    token: int
    """Fencing token taken in the run folder; rises with every start; 0 before it is taken."""
    pod_uid: str = ""
    """UID of the pod; empty without a cluster."""
    phase: TrainerPhase
    """What the trainer is at."""
    epoch: int = 0
    """Epochs completed."""
    epochs: int = 0
    """Epochs planned."""
    step: int = 0
    """Optimiser steps completed, over all attempts."""
    total_steps: int = 0
    """Optimiser steps planned."""
    restored_step: int | None = None
    """Step of the checkpoint this attempt started from; none when it started afresh."""
    last_step: int | None = None
    """Last optimiser step that this attempt executed; none before the first."""
    first_step_at: Annotated[str, Field(max_length=40)] | None = None
    """When this attempt completed its first optimiser step (RFC 3339, UTC); none before it."""
    evaluated: int = 0
    """Batches that the evaluation under way, or the latest, has come to: a sign of life without steps."""
    eta_seconds: float | None = None
    """Seconds to the end at the present pace."""
    images_per_second: float | None = None
    """Training images per second over the last minute."""
    loss: Annotated[dict[str, float], Field(max_length=16)] = Field(default_factory=dict)
    """Parts of the loss at the last logging step."""
    learning_rate: float | None = None
    """Rate of the last step."""
    best: BestMetric | None = None
    """Best value of the primary metric."""
    results: Annotated[dict[str, float | None], Field(max_length=64)] = Field(default_factory=dict)
    """Metrics of the latest evaluation; at the end those of the best checkpoint."""
    last_checkpoint: LastCheckpoint | None = None
    """Newest complete checkpoint."""
    gpu_memory: GpuMemory | None = None
    """GPU memory; none on a CPU."""
    precision: str = ""
    """Resolved precision."""
    device: str = ""
    """Resolved device: cuda, cpu or mps, with its name."""
    notes: Annotated[list[Annotated[str, Field(max_length=300)]], Field(max_length=5)] = Field(
        default_factory=list
    )
    """What a person should know, such as that a torn checkpoint was passed over."""
    previous: AttemptEnd | None = None
    """How the attempt before ended, for evidence that outlived no pod."""
    exit_code: int | None = None
    """Exit code that the process is about to end with; none while it runs."""
    failure: FailureClass | None = None
    """Class of the failure the exit code stands for."""
    message: Annotated[str, Field(max_length=1200)] = ""
    """Why it ended, with the field, the value and the way out."""
