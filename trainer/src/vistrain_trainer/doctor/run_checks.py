"""Checks of how a run ended."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from vistrain_api.failures import HANDLING, FailureClass
from vistrain_api.protocol import EXIT_MEANINGS, ExitCode
from vistrain_trainer.doctor.evidence import RunEvidence
from vistrain_trainer.doctor.finding import Check, Finding
from vistrain_trainer.doctor.words import again, ago, counted
from vistrain_trainer.doctor.yolox_size import footprint, gigabytes

DATA_CHANGED = "its data have changed since"
"""What the trainer says of a resume whose annotations are not those of the start."""
_MEMORY = {str(FailureClass.OUT_OF_MEMORY_HOST), str(FailureClass.OUT_OF_MEMORY_GPU)}


def _silent(run: RunEvidence) -> Iterator[Finding]:
    if run.state != "silent":
        return
    saved = run.checkpoint
    place = (
        f"; everything up to step {saved.step} is saved and whole" if saved else "; nothing had been saved"
    )
    yield Finding(
        severity="error",
        field="attempts.jsonl",
        symptom=f"The run ended by itself after step {run.last_step} without a word, or hangs: its last sign "
        f"of life is {ago(run.silence)}{place}",
        cause="Its process was killed before it could say why: memory limit, SIGKILL, power or node lost. "
        f"{counted(run.steps_to_repeat, 'step')} after the last checkpoint will be done again",
        remedy=f"See that no process of it is left, then go on: {again(run)}. If memory was short, raise "
        "spec.resources.memory first",
    )


def _stopped(run: RunEvidence) -> Iterator[Finding]:
    done, planned = run.epochs_done, run.epochs_planned
    if run.state == "stopped":
        yield Finding(
            severity="warning",
            field="status.yaml",
            symptom=f"The run is not finished: {done} of {counted(planned, 'epoch')} are done",
            cause=run.attempt.message if run.attempt is not None else "",
            remedy=f"Go on with it: {again(run)}",
        )
    if run.result is not None and done < planned:
        yield Finding(
            severity="warning",
            field="spec.schedule.epochs",
            symptom=f"The run calls itself finished with {done} of {counted(planned, 'epoch')} done",
            cause=f"result.json was stored after epoch {done}, and manifest.yaml plans {planned}: the run "
            "was begun with fewer epochs, or stopped early",
            remedy=f"Do not report it as trained for {planned} epochs; begin a new run from its checkpoint "
            "by spec.initialization.checkpoint to train further",
        )


def _memory(run: RunEvidence) -> Iterator[Finding]:
    attempt, manifest = run.attempt, run.manifest
    if run.result is not None or attempt is None or attempt.failure not in _MEMORY or manifest is None:
        return
    spec, on_gpu = manifest.spec, attempt.failure == FailureClass.OUT_OF_MEMORY_GPU
    needs, batch = footprint(spec), spec.schedule.batch_size
    estimate = f"; a step needs at least {gigabytes(needs.memory(batch))}" if needs else ""
    yield Finding(
        severity="error",
        field="spec.schedule.batchSize" if on_gpu else "spec.resources.memory",
        symptom=f"The run ended out of {'GPU' if on_gpu else 'host'} memory after step {run.last_step}: "
        f"{attempt.message}",
        cause=f"Batch {batch} on {spec.resources.accelerator.display()} with {spec.resources.memory} of host "
        f"memory and {spec.dataset.loader.workers} loader workers{estimate}",
        remedy=f"Begin a new run with spec.schedule.batchSize {max(1, batch // 2)} and the rate per image "
        "kept, or go on with a larger spec.resources.accelerator"
        if on_gpu
        else f"Raise spec.resources.memory or lower spec.dataset.loader.workers, then go on: {again(run)}",
    )


def _not_finite(run: RunEvidence) -> Iterator[Finding]:
    attempt = run.attempt
    if run.result is not None or attempt is None or attempt.exit_code != ExitCode.DIVERGED:
        return
    last = run.log[-1] if run.log else {}
    parts = last.get("loss")
    loss = parts.get("total") if isinstance(parts, dict) else None
    known = isinstance(loss, float) and math.isfinite(loss)
    rate = last.get("learning_rate")
    at_rate = f", at a rate of {rate:.3g}" if isinstance(rate, float) else ""
    cause = (
        f"The loss was still {loss:.4g} at step {last['step']}{at_rate}"
        if known
        else "There is no finite loss in log.jsonl: it was so from the start"
    )
    yield Finding(
        severity="error",
        field="spec.schedule.learningRate",
        symptom=f"The losses are not finite: {attempt.message}",
        cause=f"{cause}. Such weights are never saved",
        remedy="Begin a new run with a lower spec.schedule.learningRate, a longer spec.schedule.warmupEpochs "
        "or precision bf16 or fp32",
    )


def _storage(run: RunEvidence) -> Iterator[Finding]:
    attempt = run.attempt
    if run.result is None and attempt is not None and attempt.exit_code == ExitCode.STORAGE_FAULT:
        yield Finding(
            severity="error",
            field="spec.checkpoint.volume",
            symptom=f"The run ended because its volume failed or is full: {attempt.message}",
            cause="The volume took no more; what had been saved before is untouched",
            remedy=f"Make room or lower spec.checkpoint.keep, then go on: {again(run)}",
        )


def _data_changed(run: RunEvidence) -> Iterator[Finding]:
    attempt = run.attempt
    if run.result is None and attempt is not None and DATA_CHANGED in attempt.message:
        yield Finding(
            severity="error",
            field=attempt.message.partition(":")[0],
            symptom="Going on was refused: the annotations are not those that the run began with",
            cause=attempt.message,
            remedy="Restore the annotation files (train and validation may have changed places), or begin a "
            "new run under another --output",
        )


_OWN: tuple[Callable[[RunEvidence], Iterator[Finding]], ...] = (_memory, _not_finite, _storage, _data_changed)


def _failed(run: RunEvidence) -> Iterator[Finding]:
    result, attempt = run.result, run.attempt
    if result is not None and result.exit_code == ExitCode.GATE_NOT_MET:
        yield Finding(
            severity="error",
            field="spec.evaluation.gates",
            symptom=f"The run is finished, and a gate is not met: {result.message}",
            cause=EXIT_MEANINGS[ExitCode.GATE_NOT_MET],
            remedy="The results are kept: train longer or otherwise in a new run, or ask less of the gates",
        )
    if run.state != "failed" or attempt is None or any(list(check(run)) for check in _OWN):
        return
    failure = FailureClass(attempt.failure) if attempt.failure in set(FailureClass) else FailureClass.UNKNOWN
    refused = attempt.exit_code == ExitCode.BAD_INPUT
    field = attempt.message.partition(":")[0]
    yield Finding(
        severity="error",
        field=field if refused and field.startswith("spec.") else "attempts.jsonl",
        symptom=f"The run failed with exit code {attempt.exit_code} after step {run.last_step}: "
        f"{attempt.message}",
        cause=f"{failure}: {HANDLING[failure].explanation}",
        remedy="Correct the field as the message says, then start again"
        if refused
        else f"Put right what the message names, then go on: {again(run)}",
    )


CHECKS = (
    Check(
        "ended-by-itself",
        "attempts.jsonl, log.jsonl, fence/, checkpoints/",
        "a run whose process was killed without a word; what is saved, what is done again",
        _silent,
    ),
    Check(
        "stopped-early",
        "status.yaml, result.json, manifest.yaml",
        "a run that is over, or calls itself finished, with fewer epochs done than planned",
        _stopped,
    ),
    Check("out-of-memory", "attempts.jsonl, manifest.yaml", "a run that ended out of memory", _memory),
    Check("not-finite", "attempts.jsonl, log.jsonl", "a run that ended with losses not finite", _not_finite),
    Check("volume", "attempts.jsonl", "a run that ended because its volume failed or was full", _storage),
    Check(
        "data-changed",
        "attempts.jsonl",
        "a resume that was refused, since annotations had been swapped or changed",
        _data_changed,
    ),
    Check("failed", "attempts.jsonl, result.json", "a run that failed otherwise; a gate not met", _failed),
)
