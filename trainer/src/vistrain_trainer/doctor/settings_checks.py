"""Checks of what a manifest states, without a look at any volume."""

from __future__ import annotations

from collections.abc import Iterator

from vistrain_api.quantities import MigProfile, to_bytes
from vistrain_trainer.doctor.finding import Check, Finding
from vistrain_trainer.doctor.manifest_case import ManifestCase
from vistrain_trainer.doctor.yolox_size import footprint, gigabytes

PREFETCHED = 2
"""Batches that a loader worker makes ahead."""
_FINE_TUNING = 5e-5
"""Rate per image of SGD below which a YOLOX is fine-tuned: upstream trains from scratch at 1.6e-4."""
_MOSTLY = 0.5


def _random_weights(case: ManifestCase) -> Iterator[Finding]:
    spec = case.manifest.spec
    weights, schedule = spec.initialization.weights, spec.schedule
    if weights is not None and weights.min_matched < _MOSTLY:
        yield Finding(
            severity="warning",
            field="spec.initialization.weights.minMatched",
            symptom=f"The run may start with {100 * (1 - weights.min_matched):.0f} % of its tensors random",
            cause=f"minMatched is {weights.min_matched:g}: a file of which hardly anything fits is accepted",
            remedy="Leave minMatched at 0.95; a class head of other classes is excused anyway",
        )
    rate = schedule.learning_rate
    per_image = rate.per_image if rate.per_image is not None else (rate.peak or 0) / schedule.batch_size
    if (
        spec.initialization.scratch is not None
        and schedule.optimizer.sgd is not None
        and per_image < _FINE_TUNING
    ):
        yield Finding(
            severity="warning",
            field="spec.initialization.scratch",
            symptom="The run starts from random weights at a rate of fine-tuning: it learns next to nothing",
            cause=f"initialization is scratch, and the rate is {per_image:.2g} per image (from scratch, "
            "YOLOX is trained at 1.6e-4)",
            remedy="State the pretrained file in spec.initialization.weights, or raise "
            "spec.schedule.learningRate",
        )


def _memory(case: ManifestCase) -> Iterator[Finding]:
    spec = case.manifest.spec
    accelerator, needs = spec.resources.accelerator, footprint(spec)
    if needs is None:
        return
    if accelerator.mig is not None:
        room = MigProfile.parse(accelerator.mig.profile).memory_gb * 2**30
        place, field = f"slice {accelerator.mig.profile}", "spec.resources.accelerator.mig.profile"
    elif accelerator.cpu is not None:
        room = to_bytes(spec.resources.memory)
        place, field = f"{spec.resources.memory} of host memory", "spec.resources.memory"
    else:
        return  # how much a whole GPU has is known only where it is
    schedule = spec.schedule
    batch = schedule.micro_batch_size or schedule.batch_size
    least = needs.memory(batch)
    if least <= room:
        return
    fitting = needs.largest_batch(room)
    larger = f"take a larger {field} (at least {gigabytes(least)})"
    cause = (
        f"{spec.model.display()} needs at least {gigabytes(least)} for it: "
        f"{gigabytes(needs.per_image)} an image and {gigabytes(needs.fixed)} besides. The {place} has "
        f"{gigabytes(room)}"
    )
    stated = "microBatchSize" if schedule.micro_batch_size else "batchSize"
    shrinks = accelerator.mig is not None and spec.resilience.on_gpu_out_of_memory == "shrinkMicroBatch"
    if shrinks and fitting:
        yield Finding(
            severity="warning",
            field=f"spec.schedule.{stated}",
            symptom=f"Not all {batch} images of a step fit at once: it is done in micro-batches of at most "
            f"{fitting}, of which batch norm sees one at a time",
            cause=cause,
            remedy=f"Set spec.schedule.microBatchSize to {fitting} or less to begin with it, or {larger}",
        )
        return
    yield Finding(
        severity="error",
        field=f"spec.schedule.{stated}",
        symptom=f"The first step ends out of memory at batch {batch}",
        cause=cause,
        remedy=f"Set spec.schedule.microBatchSize to {fitting} at most (less to be safe), or {larger}"
        if fitting
        else f"Not one image fits: lower spec.model.yolox.inputSize, or {larger}",
    )


def _shared_memory(case: ManifestCase) -> Iterator[Finding]:
    spec = case.manifest.spec
    if spec.model.yolox is None:
        return
    size, workers = spec.model.yolox.input_size, spec.dataset.loader.workers
    batch = 3 * size.height * size.width * spec.schedule.batch_size
    needed, room = workers * PREFETCHED * batch, to_bytes(spec.resources.shared_memory)
    if needed > room:
        yield Finding(
            severity="warning",
            field="spec.resources.sharedMemory",
            symptom="A loader worker dies when the others are ahead of training: shared memory is full",
            cause=f"{workers} workers make {PREFETCHED} batches of {gigabytes(batch)} each ahead, "
            f"{gigabytes(needed)} in all; sharedMemory is {spec.resources.shared_memory}",
            remedy=f"Set spec.resources.sharedMemory to {needed // 2**20 + 1}Mi or more, or "
            f"spec.dataset.loader.workers to {room // (PREFETCHED * batch)}",
        )


def _evaluation(case: ManifestCase) -> Iterator[Finding]:
    epochs, every = case.manifest.spec.schedule.epochs, case.manifest.spec.evaluation.every_epochs
    if every > 1 and 2 * every > epochs:
        yield Finding(
            severity="warning",
            field="spec.evaluation.everyEpochs",
            symptom=f"Nobody knows before epoch {every} of {epochs} whether the run learns",
            cause=f"everyEpochs is {every}: more than half of the run goes by without one evaluation, and "
            "until then no checkpoint is the best",
            remedy=f"Set spec.evaluation.everyEpochs to {max(1, epochs // 10)}",
        )


RANDOM_WEIGHTS = Check(
    "random-weights",
    "`initialization`, against the learning rate",
    "a run that starts from random weights, wholly or mostly, and hardly by intent",
    _random_weights,
)
CHECKS = (
    RANDOM_WEIGHTS,
    Check(
        "memory",
        "micro-batch, input size and precision, against the slice or the host's memory",
        "images that cannot fit at once; how many may",
        _memory,
    ),
    Check(
        "shared-memory",
        "loader workers and batch size, against `sharedMemory`",
        "batches made ahead that fill /dev/shm",
        _shared_memory,
    ),
    Check(
        "evaluation-interval",
        "`evaluation.everyEpochs`, against `epochs`",
        "a run of which more than half goes by without an evaluation",
        _evaluation,
    ),
)
