"""What is said of a manifest that the API server refuses."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from vistrain_api.problems import Problem
from vistrain_trainer.doctor.finding import Check, Finding


@dataclass(frozen=True)
class Refusal:
    """A manifest that is not valid."""

    values: Any
    """The manifest as read."""
    problems: list[Problem]


def _refused(refusal: Refusal) -> Iterator[Finding]:
    for problem in refusal.problems:
        yield _explained(problem, refusal.values)


def _explained(problem: Problem, values: Any) -> Finding:
    if problem.field == "spec.initialization" and not problem.unknown:
        return Finding(
            severity="error",
            field=problem.field,
            symptom="The API server refuses the manifest: it does not say what the run starts from",
            cause=f"{problem}. A run that starts from random weights because nothing was stated is not begun",
            remedy="State spec.initialization.weights with volume and path; `scratch: {}` where random "
            "weights are meant",
        )
    if problem.field == "spec.evaluation.everyEpochs" and _at(values, "spec", "schedule", "epochs"):
        epochs = _at(values, "spec", "schedule", "epochs")
        return Finding(
            severity="error",
            field=problem.field,
            symptom="The API server refuses the manifest: the run would go by without an evaluation",
            cause=f"{problem}: {_at(values, 'spec', 'evaluation', 'everyEpochs')} of {epochs} epochs",
            remedy="Set spec.evaluation.everyEpochs to 1, or to a small share of the epochs",
        )
    return Finding(
        severity="error",
        field=problem.field,
        symptom="The API server refuses the manifest",
        cause=str(problem),
        remedy=f"Correct {problem.field}; `vistrain validate -f` tells when it is accepted",
    )


def _at(values: Any, *keys: str) -> Any:
    for key in keys:
        values = values.get(key) if isinstance(values, dict) else None
    return values


CHECKS = (
    Check(
        "manifest",
        "every field of the manifest",
        "what the API server refuses, such as a run that does not say what it starts from",
        _refused,
    ),
)
