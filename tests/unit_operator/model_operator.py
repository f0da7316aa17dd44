"""The operator upon the model cluster: the real `decide`, with writes that can be cut off."""

from __future__ import annotations

from unit_operator.model_cluster import Cluster
from vistrain_operator import act, objects
from vistrain_operator.actions import (
    CreateConfigMap,
    CreateJob,
    Decision,
    DeleteJob,
    DeletePod,
    DeleteRun,
)
from vistrain_operator.decide import decide


class Killed(Exception):
    """The operator was killed after a write."""


class Operator:
    """Makes passes; `kill_after` lets it do that many writes in all."""

    def __init__(self, cluster: Cluster, kill_after: int | None = None) -> None:
        self.cluster = cluster
        self.kill_after = kill_after
        self.writes = 0

    def look(self) -> Decision | None:
        """What it would decide now."""
        observed = self.cluster.observe()
        return decide(observed) if observed is not None else None

    def once(self) -> Decision | None:
        """One pass."""
        observed = self.cluster.observe()
        if observed is None:
            return None
        decision = decide(observed)
        for event in decision.events:
            body = act.event_object(observed.run, event, "model", observed.now)
            self.cluster.events.setdefault(objects.name(body), (event.reason, event.message))
            self._wrote()
        if decision.status is not None:
            if not self.cluster.write_status(observed.run, act.dump(decision.status)):
                return decision
            self._wrote()
        for action in decision.actions:
            self._do(action)
        return decision

    def _do(self, action: object) -> None:
        cluster = self.cluster
        match action:
            case CreateConfigMap(body):
                cluster.config_maps.setdefault(objects.name(body), body)
            case CreateJob(body, shared):
                (cluster.commons if shared and cluster.commons else cluster).create_job(body)
            case DeleteJob(name, uid, propagation):
                for place in self._places():
                    if name in place.jobs and objects.uid(place.jobs[name]) == uid:
                        place.delete_job(name, propagation)
            case DeletePod(_, uid):
                for place in self._places():
                    place.delete_pod(uid)
            case DeleteRun():
                cluster.run = None
        self._wrote()

    def _places(self) -> list[Cluster]:
        commons = self.cluster.commons
        return [self.cluster] if commons is None else [self.cluster, commons]

    def _wrote(self) -> None:
        self.writes += 1
        if self.kill_after is not None and self.writes >= self.kill_after:
            self.kill_after = None
            raise Killed

    def settle(self, limit: int = 12) -> Decision | None:
        """Passes until there is nothing to do at this moment."""
        for _ in range(limit):
            decision = self.once()
            if decision is None or decision.quiet:
                return decision
        raise AssertionError(f"no fixpoint after {limit} passes: {decision}")
