"""What errands differ in."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from vistrain_api.status import Errand as Record
from vistrain_operator.decide.classify import End
from vistrain_operator.decide.draft import Draft
from vistrain_operator.decide.settled import Settled
from vistrain_operator.objects import Object


@dataclass(frozen=True)
class Limit:
    """How long it may run before it is taken to hang (mostly on a volume)."""

    seconds: int
    text: str
    """For a person."""


class Errand(ABC):
    """One kind of errand."""

    field: str
    """Its record, of the status."""
    title: str
    """For a person, such as `the pre-flight`."""
    reason: str
    """Of conditions while it is under way."""
    doing: str
    """What it is for, for a person."""
    shared: bool
    """Whether runs share its Job."""

    @abstractmethod
    def wanted(self, draft: Draft) -> bool:
        """Whether the run needs it at all."""

    @abstractmethod
    def begun(self, draft: Draft) -> Record:
        """The record as it is, or a new one."""

    @abstractmethod
    def name(self, draft: Draft) -> str:
        """Name of its Job."""

    @abstractmethod
    def body(self, draft: Draft, settled: Settled) -> Object:
        """Its Job."""

    @abstractmethod
    def limit(self, draft: Draft) -> Limit:
        """How long it may run."""

    @abstractmethod
    def told(self, end: End) -> tuple[str, str, str]:
        """Of an end with success: what the record keeps, and the event's reason and message."""

    def saying(self, draft: Draft, job: Object | None) -> str:
        """What is under way, for a person."""
        return self.doing

    def outdated(self, draft: Draft, job: Object, end: End) -> bool:
        """Whether an end says nothing to this run."""
        return False
