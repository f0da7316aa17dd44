"""A model cluster with an operator that looks every second."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from unit_operator.model_cluster import START, Cluster, run_object
from unit_operator.model_operator import Operator
from vistrain_operator import objects
from vistrain_operator.decide import decide
from vistrain_operator.observed import Observed


class World:
    """A model cluster with an operator that looks every second."""

    def __init__(self, **spec: Any) -> None:
        self.cluster = Cluster(run_object(**spec))
        self.operator = Operator(self.cluster)

    def go(self, seconds: int = 1) -> World:
        for _ in range(seconds):
            self.operator.settle()
            self.cluster.step()
        self.operator.settle()
        return self

    def checked(self) -> World:
        """The pre-flight has passed: the first attempt's Job has just been made."""
        while not [j for j in self.cluster.jobs.values() if not objects.errand(j)]:
            self.go()
            assert self.cluster.now < START + timedelta(minutes=1), self.status
        return self

    @property
    def status(self) -> dict[str, Any]:
        assert self.cluster.run is not None
        status: dict[str, Any] = self.cluster.run["status"]
        return status

    def condition(self, kind: str) -> dict[str, Any]:
        found: dict[str, Any] = next(c for c in self.status["conditions"] if c["type"] == kind)
        return found

    def told(self, reason: str) -> list[str]:
        return [message for name, message in self.cluster.events.values() if name == reason]

    def pod(self) -> dict[str, Any]:
        return next(p for p in self.cluster.pods.values() if not objects.pod_terminal(p))

    def pod_template(self) -> dict[str, Any]:
        """The pod template of the newest Job."""
        newest = max(self.cluster.jobs.values(), key=objects.attempt_number)
        spec: dict[str, Any] = newest["spec"]["template"]["spec"]
        return spec

    def see(self, **more: Any) -> World:
        """One pass in which something more is seen."""
        observed = self.cluster.observe()
        assert observed is not None
        decision = decide(Observed(**{**observed.__dict__, **more}))
        if decision.status is not None:
            self.cluster.write_status(observed.run, decision.status.model_dump(mode="json", by_alias=True))
        for event in decision.events:
            self.cluster.events[f"{event.reason}/{event.message}"] = (event.reason, event.message)
        return self
