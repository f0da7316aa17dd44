"""A check, which looks at one thing that has gone wrong before."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Generic, Literal, TypeVar

from vistrain_trainer.errors import BadInput

Severity = Literal["error", "warning", "note"]
"""error: the run fails or has failed; warning: it runs, but not as meant; note: other programs stumble."""

Subject = TypeVar("Subject")


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong."""

    severity: Severity
    field: str
    """Field of the manifest, or file of the run folder."""
    symptom: str
    """What shows, or will show."""
    cause: str
    """Why."""
    remedy: str
    """What to do."""
    check: str = ""
    """Identifier of the check; set by the check."""

    def sentence(self) -> str:
        """All of it in one line."""
        return f"{self.field}: {self.symptom}. {self.cause}. {self.remedy}"


@dataclass(frozen=True)
class NotLookedAt:
    """A check that lacked something to look at."""

    check: str
    why: str


class Unseen(Exception):
    """What a check looks at was not given; the text says how to give it."""


@dataclass(frozen=True)
class Check(Generic[Subject]):
    """One thing that is looked at."""

    identifier: str
    looks_at: str
    """What is read."""
    finds: str
    """What has gone wrong when there is a finding."""
    examine: Callable[[Subject], Iterable[Finding]]

    def __call__(self, subject: Subject) -> list[Finding]:
        """The findings; input that the trainer would refuse is one too. Raises Unseen."""
        try:
            return [replace(found, check=self.identifier) for found in self.examine(subject)]
        except BadInput as error:
            return [replace(refused(error), check=self.identifier)]


def refused(error: BadInput) -> Finding:
    """The finding that an error of the trainer stands for."""
    return Finding(
        severity="error",
        field=error.field,
        symptom=f"The run is refused at its start: {error.problem}",
        cause=f"{error.field} is {error.value}",
        remedy=error.remedy,
    )


def look(checks: Sequence[Check[Subject]], subject: Subject) -> tuple[list[Finding], list[NotLookedAt]]:
    """Findings of all checks, and the checks that could not look."""
    findings, unseen = [], []
    for check in checks:
        try:
            findings += check(subject)
        except Unseen as why:
            unseen.append(NotLookedAt(check.identifier, str(why)))
    return findings, unseen
