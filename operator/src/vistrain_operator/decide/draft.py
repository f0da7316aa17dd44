"""A decision in the making: the status as it becomes, with the events and actions that belong to it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from functools import cached_property
from typing import Any, Literal, cast

from vistrain_api import protocol
from vistrain_api.detector import DetectorTraining, DetectorTrainingSpec
from vistrain_api.status import Attempt, Condition, ConditionType, RunStatus
from vistrain_operator import objects, preparations, timestamps
from vistrain_operator.actions import Decision, RecordEvent, Write
from vistrain_operator.decide import classify
from vistrain_operator.objects import Object
from vistrain_operator.observed import Observed
from vistrain_operator.preparations import Wanted

KEPT_ATTEMPTS = 10


class Draft:
    """What the steps of a decision read and change. It does no I/O; its time is `observed.now`."""

    def __init__(self, observed: Observed, run: DetectorTraining | None, old: RunStatus) -> None:
        # An errand is no attempt: what deals with attempts does not see it.
        self.errand_jobs = [j for j in observed.jobs if objects.errand(j)]
        self.errand_pods = [p for p in observed.pods if objects.errand(p)]
        self.observed = replace(
            observed,
            jobs=tuple(j for j in observed.jobs if not objects.errand(j)),
            pods=tuple(p for p in observed.pods if not objects.errand(p)),
        )
        self._run = run
        self.old = old
        self.status = old
        self.uid = objects.uid(observed.run)
        self.generation = int(objects.meta(observed.run).get("generation", 0))
        self.now = observed.now
        self.steps_lost = 0
        self._events: list[RecordEvent] = []
        self._actions: list[Write] = []
        self._wake: datetime | None = None
        self._counted: list[tuple[str, str]] = []
        self._resumed: list[float] = []

    @classmethod
    def bare(cls, observed: Observed, old: RunStatus) -> Draft:
        """A draft for a run whose spec is not needed, or cannot be read."""
        return cls(observed, None, old)

    @property
    def run(self) -> DetectorTraining:
        """The run, validated."""
        if self._run is None:
            raise ValueError(f"run {objects.name(self.observed.run)}: its spec was not read")
        return self._run

    @property
    def spec(self) -> DetectorTrainingSpec:
        """Its spec."""
        return self.run.spec

    @cached_property
    def preparation(self) -> Wanted | None:
        """The preparation that it asks for, reckoned once: steps ask for it many times."""
        return preparations.wanted(self.observed.run, self.observed.default_image)

    def set(self, **fields: Any) -> None:
        """Change fields of the status."""
        self.status = self.status.model_copy(update=fields)

    def condition(self, kind: str, status: str, reason: str, message: str = "") -> None:
        """Set a condition; its transition time changes only with its status."""
        before = self.find(kind)
        kept = before is not None and before.status == status
        entry = Condition.model_construct(
            type=cast(ConditionType, kind),
            status=cast(Literal["True", "False", "Unknown"], status),
            reason=reason,
            message=message[:4096],
            last_transition_time=before.last_transition_time
            if kept and before
            else timestamps.text(self.now),
            observed_generation=self.generation,
        )
        others = [c for c in self.status.conditions if c.type != kind]
        position = next((i for i, c in enumerate(self.status.conditions) if c.type == kind), len(others))
        self.set(conditions=[*others[:position], entry, *others[position:]])

    def find(self, kind: str) -> Condition | None:
        """The condition of that type as it now stands."""
        return next((c for c in self.status.conditions if c.type == kind), None)

    def newly(self, kind: str, reason: str) -> bool:
        """Whether the old status does not have that reason for that condition yet."""
        return not any(c.type == kind and c.reason == reason for c in self.old.conditions)

    def event(self, kind: str, reason: str, message: str, token: str = "") -> None:
        """Record an event: Normal or Warning."""
        self._events.append(RecordEvent(kind, reason, message[:1000], token))

    def act(self, action: Write) -> None:
        """Ask for a write, to be done after the status is written."""
        self._actions.append(action)

    def wake(self, moment: datetime) -> None:
        """Ask for another look at that moment; the earliest asked for counts."""
        self._wake = moment if self._wake is None else min(self._wake, moment)

    def count(self, counter: str, failure: str) -> None:
        """Note for the metrics that this status adds an attempt to a counter."""
        self._counted.append((counter, failure))

    def resumed(self, seconds: float) -> None:
        """Note for the metrics that this status first shows an attempt training again."""
        self._resumed.append(seconds)

    # What exists

    def job_of(self, uid: str) -> Object | None:
        """The Job with that UID."""
        return next((j for j in self.observed.jobs if objects.uid(j) == uid), None)

    def live_pods(self) -> list[Object]:
        """Attempts' pods that may still write to the run folder. A pod on a dead node is not among them once
        its grace is over: from there on the trainer's own fence holds it off."""
        return self._live(self.observed.pods)

    def live_errand_pods(self) -> list[Object]:
        """Pods of errands that may still run, those left aside that serve another run."""
        return [p for p in self._live(self.errand_pods) if not self.serves_others(p)]

    def _live(self, pods: Iterable[Object]) -> list[Object]:
        o = self.observed
        return [
            p
            for p in pods
            if not (objects.pod_terminal(p) or classify.never_ran(p) or classify.lost(p, o.nodes, o.now))
        ]

    def fertile_jobs(self) -> list[Object]:
        """Attempts' Jobs that may still make a pod or have a live one."""
        return self._fertile(self.observed.jobs, self.observed.pods)

    def fertile_errand_jobs(self) -> list[Object]:
        """Jobs of errands that may still make a pod or have a live one, those left aside that serve another
        run."""
        fertile = self._fertile(self.errand_jobs, self.errand_pods)
        return [j for j in fertile if not self.serves_others(j)]

    def serves_others(self, obj: Object) -> bool:
        """Whether a Job or pod of an errand is not this run's to stop: another made it, or needs it too."""
        made_here = objects.label(obj, protocol.LABEL_RUN_UID) == self.uid
        return objects.errand(obj) == "preparation" and not (made_here and not self.observed.sharers)

    def _fertile(self, jobs: Iterable[Object], pods: Sequence[Object]) -> list[Object]:
        """A Job whose pod has ended makes no other, since its policy fails it; unless its queue has suspended
        it."""
        live = {objects.controller_uid(p) for p in self._live(pods)}
        spent = {objects.controller_uid(p) for p in pods if objects.pod_terminal(p)} - live
        return [
            j
            for j in jobs
            if objects.deletion(j) is None
            and not objects.job_deciding(j)
            and (objects.uid(j) not in spent or (j.get("spec") or {}).get("suspend"))
        ]

    def newest(self) -> Attempt | None:
        """The newest attempt on record."""
        return self.status.attempts[-1] if self.status.attempts else None

    def current(self) -> Attempt | None:
        """The newest attempt, if it has not ended."""
        newest = self.newest()
        return newest if newest is not None and newest.ended_at is None else None

    def result(self) -> Decision:
        """The decision: a status only where it changed."""
        changed = self.status != self.old
        return Decision(
            status=self.status if changed else None,
            events=tuple(self._events),
            actions=tuple(self._actions),
            wake_after=None if self._wake is None else max(0.0, (self._wake - self.now).total_seconds()),
            counted=tuple(self._counted) if changed else (),
            steps_lost=self.steps_lost if changed else 0,
            resumed=tuple(self._resumed) if changed else (),
        )
