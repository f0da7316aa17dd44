"""What happened to a run, in plain sentences."""

from __future__ import annotations

from typing import Any

from vistrain_api.protocol import ExitCode
from vistrain_trainer.doctor.evidence import RunEvidence
from vistrain_trainer.doctor.words import again, ago, counted

_THE_SAME_AGAIN = (ExitCode.DIVERGED, ExitCode.OUT_OF_GPU_MEMORY)
"""Ends that come again as long as the manifest is the same."""


def tell(run: RunEvidence) -> list[str]:
    """How far it came, why it ended, what a resume takes, what is lost, what to do next."""
    return [_far(run), _end(run), _resume(run), _lost(run), _next(run)]


def facts(run: RunEvidence) -> dict[str, Any]:
    """The same for programs: JSON values; steps are optimiser steps."""
    saved = run.checkpoint
    return {
        "state": run.state,
        "attempt": run.attempt.number if run.attempt is not None else None,
        "exitCode": run.attempt.exit_code if run.attempt is not None else None,
        "epochsDone": run.epochs_done,
        "epochsPlanned": run.epochs_planned,
        "stepsDone": run.last_step,
        "stepsPlanned": run.steps_planned,
        "resumesFrom": None if run.result is not None or saved is None else saved.reference().path,
        "stepsToRepeat": 0 if run.result is not None else run.steps_to_repeat,
    }


def _far(run: RunEvidence) -> str:
    attempt = run.attempt
    starts = f", in attempt {attempt.number}" if attempt is not None else ""
    if not run.epochs_planned:
        return f"The run never came to train{starts}."
    steps = f"{run.last_step} of {counted(run.steps_planned, 'step')}" if run.steps_planned else ""
    steps = steps or counted(run.last_step, "step")
    return f"The run has done {run.epochs_done} of {counted(run.epochs_planned, 'epoch')} ({steps}){starts}."


def _end(run: RunEvidence) -> str:
    said = run.attempt.message if run.attempt is not None else ""
    if run.result is not None:
        return f"It is finished: {run.result.message}."
    if run.state == "stopped":
        return f"It was stopped on request: {said}."
    if run.state == "failed":
        return f"It failed: {said}."
    if run.state == "running":
        return f"It seems to be running: its last sign of life is {ago(run.silence)}."
    return f"It ended without a word, or hangs: its last sign of life is {ago(run.silence)}."


def _resume(run: RunEvidence) -> str:
    saved = run.checkpoint
    if run.result is not None:
        return "A start on this folder trains nothing: it repeats the stored result."
    if saved is None:
        return (
            "No checkpoint is whole: a resume is refused."
            if run.torn
            else "There is no checkpoint to go on from."
        )
    pending = " and evaluates it first" if saved.meta.get("evaluationDue") and not saved.evaluation() else ""
    passed = f", passing over {counted(len(run.torn), 'torn one')}" if run.torn else ""
    return (
        f"A resume takes {saved.reference().path} (epoch {saved.meta['epoch']}, saved at "
        f"{saved.meta['savedAt']}){pending}{passed}."
    )


def _lost(run: RunEvidence) -> str:
    if run.result is not None or run.state == "running" or run.steps_to_repeat == 0:
        return "Nothing is lost."
    first, last = run.last_step - run.steps_to_repeat + 1, run.last_step
    which = f"step {first} is" if first == last else f"steps {first} to {last} are"
    return f"Of what was saved nothing is lost; {which} done again, to the same result."


def _next(run: RunEvidence) -> str:
    if run.result is not None:
        best = run.bests
        where = (
            f" The best weights are weights/best.pth, of epoch {best['epoch']}." if best is not None else ""
        )
        return f"Nothing is left to do.{where}"
    if run.state == "running":
        return "Let it run."
    if run.attempt is not None and run.attempt.exit_code in _THE_SAME_AGAIN:
        return "Going on unchanged would end likewise: the remedy is below."
    if run.state == "failed":
        return f"Put right what is found below, then: {again(run)}."
    return f"To go on: {again(run)}."
