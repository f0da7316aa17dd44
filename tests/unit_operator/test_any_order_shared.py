"""Whatever happens in whatever order to runs that share a preparation: the laws that hold of them."""

from __future__ import annotations

from hypothesis import HealthCheck, Phase, settings, strategies
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from unit_operator.team import Team
from vistrain_api import protocol
from vistrain_operator import objects

NAMES = ("a", "b", "c")
RUN = strategies.sampled_from(NAMES)
CODES = strategies.sampled_from([1, 137, int(protocol.ExitCode.STORAGE_FAULT)])


class AnyOrder(RuleBasedStateMachine):
    """People, machines and the operator take turns as Hypothesis likes."""

    @initialize()
    def begin(self) -> None:
        self.team = Team("a", "b")
        self.faults = 0

    def there(self, name: str) -> bool:
        """Whether a run exists."""
        return name in self.team.clusters and self.team.clusters[name].run is not None

    # The operator

    @rule(name=RUN)
    def a_pass(self, name: str) -> None:
        if self.there(name):
            self.team._pass(name)

    @rule(name=RUN)
    def a_pass_cut_off(self, name: str) -> None:
        if self.there(name):
            self.team.kill_after = self.team.writes + 1
            self.team._pass(name)
            self.team.kill_after = None

    # Time and machines

    @rule(seconds=strategies.sampled_from([1, 1, 1, 3, 12, 40]))
    def time_passes(self, seconds: int) -> None:
        self.team.step(seconds)

    @rule(node=strategies.sampled_from(["a", "b"]))
    def a_node_dies(self, node: str) -> None:
        self.team.commons.kill_node(node)

    @rule(node=strategies.sampled_from(["a", "b"]))
    def a_node_comes_back(self, node: str) -> None:
        self.team.commons.heal_node(node)

    @precondition(lambda self: self.team.pod())
    @rule(code=CODES)
    def the_preparation_fails(self, code: int) -> None:
        pod = self.team.pod()
        assert pod is not None
        if pod["spec"]["nodeName"] not in self.team.commons.dead:
            self.faults += 1
            self.team.commons.fault(objects.uid(pod), code)

    # People

    @precondition(lambda self: self.team.pod())
    @rule()
    def its_pod_is_evicted(self) -> None:
        pod = self.team.pod()
        assert pod is not None
        self.team.commons.evict(objects.uid(pod))

    @precondition(lambda self: self.team.commons.jobs)
    @rule(how=strategies.sampled_from(["Foreground", "Background", "Orphan"]))
    def its_job_is_deleted(self, how: str) -> None:
        for name in list(self.team.commons.jobs):
            self.team.commons.delete_job(name, how)

    @rule(name=RUN, value=strategies.booleans())
    def a_run_is_suspended_or_not(self, name: str, value: bool) -> None:
        if self.there(name):
            self.team.clusters[name].suspend(value)

    @rule(name=RUN)
    def a_run_is_deleted(self, name: str) -> None:
        if self.there(name):
            self.team.delete(name)

    @precondition(lambda self: "c" not in self.team.clusters)
    @rule()
    def another_run_comes(self) -> None:
        self.team.add("c")

    # The laws

    @invariant()
    def no_run_goes_on_before_its_data_are_whole(self) -> None:
        if hasattr(self, "team"):
            for cluster in self.team.clusters.values():
                assert self.team.commons.whole or not cluster.jobs

    @invariant()
    def one_job_at_a_time(self) -> None:
        if hasattr(self, "team"):
            assert len(self.team.commons.jobs) <= 1

    @invariant()
    def no_run_counts_more_faults_than_there_were(self) -> None:
        if hasattr(self, "team"):
            for name in filter(self.there, self.team.clusters):
                assert self.team.record(name).get("failures", 0) <= self.faults

    @invariant()
    def nothing_of_it_counts_as_an_attempt(self) -> None:
        if hasattr(self, "team"):
            for name in filter(self.there, self.team.clusters):
                attempts = self.team.status(name).get("attempts") or []
                assert not [a for a in attempts if a["job"].startswith("prepare-")]

    def teardown(self) -> None:
        """Once everything is quiet, no run is held up by another: each begins to train, or has failed."""
        if not hasattr(self, "team"):
            return
        for node in ("a", "b"):
            self.team.commons.heal_node(node)
        left = [name for name in self.team.clusters if self.there(name)]
        for name in left[1:]:  # one stays suspended, if it is, and holds nobody up
            self.team.clusters[name].suspend(False)
        self.team.until("the others", lambda: all(self._on_its_way(name) for name in left[1:]))
        for name in left:
            self.team.clusters[name].suspend(False)
        self.team.until("the first attempts", lambda: all(self._on_its_way(name) for name in left))
        self.no_run_goes_on_before_its_data_are_whole()
        for name in left:
            if self.team.status(name)["phase"] == "Failed":
                assert self.faults > 0

    def _on_its_way(self, name: str) -> bool:
        status = self.team.status(name)
        return bool(status.get("attempt") or status.get("phase") == "Failed")


AnyOrder.TestCase.settings = settings(
    max_examples=80,
    stateful_step_count=30,
    deadline=None,
    # A failing order of events is short enough to read as it is; shrinking it takes minutes.
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    report_multiple_bugs=False,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TestAnyOrderShared = AnyOrder.TestCase
