"""Several runs of one namespace on a model cluster, with the operator that looks at each every second."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from unit_operator.model_cluster import Cluster, Commons, run_object
from unit_operator.model_operator import Killed, Operator
from vistrain_api import protocol
from vistrain_operator import objects, timestamps
from vistrain_operator.objects import Object

RAW = {
    "volume": {"claimName": "data"},
    "prepare": {"nuscenes": {"version": "v1.0-mini"}},
    "classes": ["car", "truck"],
}


class Team:
    """Runs that ask for raw data to be prepared: the same data, unless a spec says otherwise."""

    def __init__(self, *names: str, kill_after: int | None = None, **spec: Any) -> None:
        self.commons = Commons()
        self.clusters: dict[str, Cluster] = {}
        self.kill_after = kill_after
        self.writes = 0
        self.also: Callable[[], None] = lambda: None
        """Done after each second."""
        for name in names:
            self.add(name, **spec)

    def add(self, name: str, **spec: Any) -> Cluster:
        """`kubectl apply` of a run, now."""
        run = run_object(name, **{"dataset": RAW, **spec})
        run["metadata"]["creationTimestamp"] = timestamps.text(self.commons.now)
        cluster = Cluster(run, self.commons)
        cluster.now = self.commons.now
        cluster.nodes, cluster.dead = self.commons.nodes, self.commons.dead
        self.commons.clusters.append(cluster)
        self.clusters[name] = cluster
        return cluster

    def delete(self, name: str) -> None:
        """`kubectl delete` of a run; what it owns goes too."""
        cluster = self.clusters[name]
        uid = objects.uid(cluster.run or {})
        cluster.run = None
        for job in list(cluster.jobs):
            cluster.delete_job(job, "Background")
        self.commons.collect(uid)

    def look(self, *names: str) -> None:
        """The operator makes a pass over each run, until there is nothing to do at this moment."""
        for _ in range(12):
            quiet = True
            for name in names or self.clusters:
                decision = self._pass(name)
                quiet &= decision is None or decision.quiet
            if quiet:
                return
        raise AssertionError("no fixpoint after 12 passes over each run")

    def _pass(self, name: str) -> Any:
        operator = Operator(self.clusters[name], self.kill_after)
        operator.writes = self.writes
        try:
            return operator.once()
        except Killed:
            self.kill_after = None
            self.step(3)  # a new process takes a moment to come
            return None
        finally:
            self.writes = operator.writes

    def step(self, seconds: float = 1.0) -> None:
        """Time passes."""
        for cluster in (self.commons, *self.clusters.values()):
            cluster.step(seconds)
        self.also()

    def go(self, seconds: int = 1) -> Team:
        """The operator looks every second."""
        for _ in range(seconds):
            self.look()
            self.step()
        self.look()
        return self

    def until(self, what: str, holds: Callable[[], Any], seconds: int = 300) -> Team:
        """Go on until something is so."""
        for _ in range(seconds):
            if holds():
                return self
            self.go()
        raise AssertionError(f"waited {seconds} s for {what}: {[self.status(n) for n in self.clusters]}")

    def prepares(self) -> Team:
        """The preparation's pod runs."""
        return self.until("the preparation", self.pod)

    def ends(self) -> Team:
        """Every run has ended."""
        return self.until("every end", lambda: all(self.over(name) for name in self.clusters))

    def over(self, name: str) -> bool:
        """Whether a run has ended, or is gone."""
        return self.clusters[name].run is None or self.status(name).get("phase") in {"Succeeded", "Failed"}

    # What is there

    def pod(self) -> Object | None:
        """The preparation's pod that runs and is not asked to stop."""
        pods = (p for p in self.commons.pods.values() if objects.trainer_state(p, "running"))
        return next((p for p in pods if objects.deletion(p) is None), None)

    def job(self) -> Object:
        """The only Job of a preparation."""
        [job] = self.commons.jobs.values()
        return job

    def maker(self) -> str:
        """The run that made it."""
        return objects.label(self.job(), protocol.LABEL_RUN)

    def status(self, name: str) -> Object:
        """A run's status."""
        run = self.clusters[name].run
        assert run is not None
        status: Object = run.get("status") or {}
        return status

    def record(self, name: str) -> Object:
        """A run's record of the preparation."""
        record: Object = self.status(name).get("preparation") or {}
        return record

    def condition(self, name: str, kind: str) -> Object:
        """A run's condition."""
        found: Object = next(c for c in self.status(name)["conditions"] if c["type"] == kind)
        return found

    def told(self, name: str, reason: str) -> list[str]:
        """Messages of a run's events."""
        return [text for why, text in self.clusters[name].events.values() if why == reason]

    # What is done to it

    def ending(self, code: int, **words: Any) -> Team:
        """The preparation's pod ends so, and every run has been looked at."""
        pod = self.pod()
        assert pod is not None
        said = self.commons._words(pod, code, **words)
        self.commons.end_pod(objects.uid(pod), code, words=said)
        self.commons._job_controller()
        self.look()
        return self

    def hang(self) -> None:
        """From now on a preparation does nothing but heed SIGTERM."""
        commons = self.commons
        commons._check = lambda uid, pod: (  # type: ignore[method-assign]
            commons.end_pod(uid, protocol.ExitCode.STOPPED) if objects.deletion(pod) is not None else None
        )

    def work(self) -> None:
        """From now on it comes to its end again."""
        self.commons._check = Commons._check.__get__(self.commons)  # type: ignore[method-assign]
