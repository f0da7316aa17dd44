"""What is true of a run: written by the operator, and to status.yaml by a local run."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from vistrain_api.base import Contract
from vistrain_api.failures import FailureClass
from vistrain_api.initialization import CheckpointRef

Phase = Literal[
    "Pending", "Queued", "Starting", "Resuming", "Training", "Evaluating", "Suspended", "Succeeded", "Failed"
]
TERMINAL_PHASES: frozenset[str] = frozenset({"Succeeded", "Failed"})

ConditionType = Literal[
    "Accepted", "SliceAvailable", "Running", "Suspended", "Progressing", "GatesMet", "Succeeded", "Failed"
]
PHASE_MEANINGS: dict[Phase, str] = {
    "Pending": "its data are prepared or looked at, or its pod has no node, volume or image yet",
    "Queued": "its Job waits in a queue",
    "Starting": "the trainer reads its manifest and data",
    "Resuming": "the trainer starts from its last checkpoint",
    "Training": "steps are executed",
    "Evaluating": "the weights are judged on the validation split",
    "Suspended": "`spec.suspend` is set; the slice is free, the checkpoint kept",
    "Succeeded": "finished, every gate met",
    "Failed": "over; the condition Failed says why and what to do",
}
CONDITION_MEANINGS: dict[ConditionType, str] = {
    "Accepted": "the manifest can be acted on; False names the field, or the volume or run that is missing;"
    " Unknown while its data are prepared, and while the pre-flight looks at data, weights and disk",
    "SliceAvailable": "some node offers the accelerator asked for; False lists what is offered",
    "Running": "a trainer pod runs",
    "Suspended": "`spec.suspend` is set, and no pod is left",
    "Progressing": "steps go on; False says what the run waits for",
    "GatesMet": "the best checkpoint meets every gate",
    "Succeeded": "the run finished, every gate met",
    "Failed": "the run is over without success",
}

Timestamp = Annotated[str, Field(max_length=40, json_schema_extra={"format": "date-time"})]
Text = Annotated[str, Field(max_length=1024)]
Name = Annotated[str, Field(max_length=253)]
Natural = Annotated[int, Field(ge=0)]


class Condition(Contract):
    """A condition, as metav1.Condition."""

    type: ConditionType
    """What it is about."""
    status: Literal["True", "False", "Unknown"]
    """Whether it holds."""
    reason: Annotated[str, Field(max_length=128, pattern=r"^[A-Za-z]([A-Za-z0-9_]*[A-Za-z0-9])?$")]
    """Why, as one word."""
    message: Annotated[str, Field(max_length=4096)] = ""
    """Why, for a person, with the way out."""
    last_transition_time: Timestamp
    """When status last changed."""
    observed_generation: Natural = 0
    """Generation of the spec it was computed from."""


class RunProgress(Contract):
    """How far the run is."""

    epoch: Natural = 0
    """Epochs completed."""
    epochs: Natural = 0
    """Epochs planned."""
    step: Natural = 0
    """Optimiser steps completed."""
    total_steps: Natural = 0
    """Optimiser steps planned."""
    percent: Annotated[int, Field(ge=0, le=100)] = 0
    """Share of the steps completed, in percent."""
    evaluated: Natural = 0
    """Batches that the evaluation under way, or the latest, has come to."""
    eta_seconds: Natural | None = None
    """Seconds to the end at the present pace."""
    images_per_second: float | None = None
    """Training images per second."""
    updated_at: Timestamp | None = None
    """When the trainer last reported."""


class LastCheckpoint(Contract):
    """A complete checkpoint: the newest, or that of the best value."""

    step: Natural
    """Optimiser steps completed in it."""
    path: Annotated[str, Field(max_length=1024)]
    """Folder, relative to the run folder."""
    sha256: Annotated[str, Field(max_length=64)]
    """Digest of its state file."""
    saved_at: Timestamp
    """When it was complete."""


class BestMetric(Contract):
    """The best value of the primary metric."""

    metric: Annotated[str, Field(max_length=40)]
    """Name of the metric."""
    value: float
    """Value."""
    epoch: Natural
    """Epoch it was reached at, from 1."""
    step: Natural
    """Step it was reached at."""


class Attempt(Contract):
    """One Job and its pod."""

    pod_uid: Annotated[str, Field(alias="podUID", min_length=1, max_length=80)]
    """UID of the pod; `job:` and the Job's UID when there never was a pod."""
    number: Annotated[int, Field(ge=1)]
    """Number of the attempt."""
    job: Name
    """Name of the Job."""
    pod: Name = ""
    """Name of the pod."""
    node: Name = ""
    """Node it ran on."""
    started_at: Timestamp | None = None
    """When the trainer container started."""
    ended_at: Timestamp | None = None
    """When it was seen to have ended."""
    restored_step: Natural | None = None
    """Step of the checkpoint it started from; none when it started afresh."""
    last_step: Natural | None = None
    """Last step it executed."""
    steps_lost: Natural | None = None
    """Steps of the attempt before that were executed again."""
    resume_seconds: float | None = None
    """Seconds from the end of the attempt before to its first new step."""
    exit_code: int | None = None
    """Exit code of the trainer."""
    failure_class: Annotated[FailureClass | None, Field(alias="class", strict=False)] = None
    """Why it ended; none while it runs and when it finished the run."""
    counted: Literal["", "disruption", "failure"] = ""
    """Which counter it was added to; makes the counters idempotent."""
    message: Text = ""
    """What is known of its end."""


class Errand(Contract):
    """What comes before the first attempt, on a CPU: a Job that is made until it has done what it is for."""

    passed_at: Timestamp | None = None
    """When it was done; it is not repeated after that."""
    failures: Natural = 0
    """Times it ended by a fault; with the run's failures compared with resilience.maxFailures."""
    interruptions: Natural = 0
    """Times it was evicted, deleted or lost with its node, and made again."""
    job_uid: Annotated[str, Field(alias="jobUID", max_length=80)] = ""
    """UID of the Job whose end is noted here: makes the counts idempotent."""
    ended_at: Timestamp | None = None
    """When that Job was seen to have ended."""
    exit_code: int | None = None
    """Its exit code."""
    failure_class: Annotated[FailureClass | None, Field(alias="class", strict=False)] = None
    """Why it ended; none when it was done."""
    message: Text = ""
    """What is known of its end; when it was done, what it tells."""


class PreparationRecord(Errand):
    """The preparation of raw data, where dataset.prepare asks for one. Runs that ask for the same share its
    Job, and each keeps its own record."""

    digest: Annotated[str, Field(max_length=64)] = ""
    """What is made of which data, in hexadecimal; the first 10 characters are its folder's name."""
    job: Name = ""
    """Name of the Job."""


class Preflight(Errand):
    """The check of data, weights and disk that comes before the first attempt."""


class Resolved(Contract):
    """What was decided once, at the first start."""

    image: Annotated[str, Field(max_length=512)] = ""
    """Trainer image."""
    manifest: Name = ""
    """Immutable ConfigMap with the resolved manifest."""
    spec_digest: Annotated[str, Field(max_length=80)] = ""
    """Digest of the part of the spec that decides the result."""
    path: Annotated[str, Field(max_length=512)] = ""
    """Run folder inside the checkpoint volume."""
    precision: Annotated[str, Field(max_length=16)] = ""
    """Arithmetic of the network."""
    device: Annotated[str, Field(max_length=120)] = ""
    """Device last trained on."""
    initialization: CheckpointRef | None = None
    """The checkpoint that initialization.run came to."""


class GpuMemoryStatus(Contract):
    """GPU memory of the slice."""

    used_bytes: Natural
    """Bytes in use at the peak."""
    total_bytes: Natural
    """Bytes of the slice."""


class Display(Contract):
    """Strings for printer columns."""

    model: Text = ""
    """What is trained, such as yolox-l."""
    epoch: Text = ""
    """Epochs completed and planned, such as 12/30."""
    progress: Text = ""
    """Share of the steps completed, such as 41%."""
    eta: Text = ""
    """Time to the end, such as 2h10m."""
    best: Text = ""
    """Best value of the primary metric, such as AP 0.087."""
    slice: Text = ""
    """Device asked for, such as 1g.20gb."""
    images_per_second: Text = ""
    """Training images per second."""
    node: Text = ""
    """Node of the current attempt."""
    checkpoint: Text = ""
    """Step and age of the newest checkpoint."""


class RunStatus(Contract):
    """What is true of a run."""

    observed_generation: Natural = 0
    """Generation of the spec that this status was computed from."""
    phase: Phase = "Pending"
    """Where the run is in its life."""
    start_time: Timestamp | None = None
    """Written before the first Job and never cleared; after it most of the spec is immutable."""
    completion_time: Timestamp | None = None
    """When the run reached Succeeded or Failed."""
    conditions: Annotated[
        list[Condition],
        Field(
            max_length=16,
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
        ),
    ] = Field(default_factory=list)
    """Conditions by type."""
    progress: RunProgress | None = None
    """How far the run is."""
    attempt: Natural = 0
    """Number of the current or last attempt."""
    disruptions: Natural = 0
    """Attempts ended by evictions, drains, preemptions and the like."""
    failures: Natural = 0
    """Attempts ended by faults; with those of preparation and pre-flight compared with
    resilience.maxFailures."""
    steps_lost: Natural = 0
    """Steps executed again, over all attempts."""
    attempts: Annotated[
        list[Attempt],
        Field(
            max_length=10,
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["podUID"]},
        ),
    ] = Field(default_factory=list)
    """The last ten attempts."""
    preparation: PreparationRecord | None = None
    """The preparation of raw data; none before it is asked for."""
    preflight: Preflight | None = None
    """The check before the first attempt; none before it has ended once."""
    retry_at: Timestamp | None = None
    """When the next attempt is due, while the operator backs off."""
    last_checkpoint: LastCheckpoint | None = None
    """The newest complete checkpoint."""
    best: BestMetric | None = None
    """Best value of the primary metric."""
    best_checkpoint: LastCheckpoint | None = None
    """The checkpoint of that value, where the trainer has named it."""
    results: Annotated[dict[str, float | None], Field(max_length=64)] = Field(default_factory=dict)
    """Metrics of the latest evaluation; at the end those of the best checkpoint."""
    resolved: Resolved | None = None
    """What was decided once, at the first start."""
    gpu_memory: GpuMemoryStatus | None = None
    """GPU memory used of the slice."""
    display: Display | None = None
    """Strings for printer columns."""
