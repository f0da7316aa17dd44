"""Whatever happens in whatever order: the laws that hold of every run."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, Phase, settings, strategies
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from unit_operator.model_cluster import Cluster, run_object
from unit_operator.model_operator import Killed, Operator
from vistrain_api import protocol
from vistrain_operator import objects

MAX_FAILURES = 2
CODES = strategies.sampled_from(
    [1, 137, int(protocol.ExitCode.STORAGE_FAULT), int(protocol.ExitCode.BAD_INPUT), 139]
)


class AnyOrder(RuleBasedStateMachine):
    """People, machines and the operator take turns as Hypothesis likes."""

    @initialize(readable=strategies.booleans(), answering=strategies.booleans())
    def begin(self, readable: bool, answering: bool) -> None:
        resilience = {"maxFailures": MAX_FAILURES, "terminationGracePeriod": "30s"}
        self.cluster = Cluster(run_object(resilience=resilience))
        self.cluster.readable_nodes = readable
        self.cluster.answering = answering
        self.operator = Operator(self.cluster)
        self.ended: dict[str, Any] | None = None
        self.passed_after: int | None = None
        self.seen_counted: dict[str, str] = {}

    def status(self) -> dict[str, Any]:
        assert self.cluster.run is not None
        status: dict[str, Any] = self.cluster.run.get("status") or {}
        return status

    def running(self) -> list[str]:
        """Pods that run where their kubelet can say so."""
        return sorted(
            u
            for u, p in self.cluster.pods.items()
            if objects.trainer_state(p, "running") and p["spec"].get("nodeName") not in self.cluster.dead
        )

    # The operator

    @rule()
    def a_pass(self) -> None:
        self.operator.once()

    @rule()
    def a_pass_cut_off(self) -> None:
        self.operator.kill_after = self.operator.writes + 1
        try:
            self.operator.once()
        except Killed:
            self.operator = Operator(self.cluster)
        self.operator.kill_after = None

    # Time and machines

    @rule(seconds=strategies.sampled_from([1, 1, 1, 3, 12, 40, 120]))
    def time_passes(self, seconds: int) -> None:
        self.cluster.step(seconds)

    @rule(node=strategies.sampled_from(["a", "b"]))
    def a_node_dies(self, node: str) -> None:
        self.cluster.kill_node(node)

    @rule(node=strategies.sampled_from(["a", "b"]))
    def a_node_comes_back(self, node: str) -> None:
        self.cluster.heal_node(node)

    @precondition(lambda self: self.running())
    @rule(code=CODES, data=strategies.data())
    def a_trainer_fails(self, code: int, data: strategies.DataObject) -> None:
        self.cluster.fault(data.draw(strategies.sampled_from(self.running())), code)

    # People

    @precondition(lambda self: self.running())
    @rule(data=strategies.data())
    def a_pod_is_evicted(self, data: strategies.DataObject) -> None:
        self.cluster.evict(data.draw(strategies.sampled_from(self.running())))

    @precondition(lambda self: self.cluster.pods)
    @rule(data=strategies.data())
    def a_pod_is_deleted(self, data: strategies.DataObject) -> None:
        self.cluster.delete_pod(data.draw(strategies.sampled_from(sorted(self.cluster.pods))))

    @precondition(lambda self: self.cluster.jobs)
    @rule(data=strategies.data(), how=strategies.sampled_from(["Foreground", "Background", "Orphan"]))
    def a_job_is_deleted(self, data: strategies.DataObject, how: str) -> None:
        self.cluster.delete_job(data.draw(strategies.sampled_from(sorted(self.cluster.jobs))), how)

    @rule(value=strategies.booleans())
    def it_is_suspended_or_not(self, value: bool) -> None:
        self.cluster.suspend(value)

    # The laws

    @invariant()
    def at_most_one_pod_may_write(self) -> None:
        if hasattr(self, "cluster"):
            assert len(self.cluster.could_start()) <= 1, self.cluster.could_start()
            assert len(self.cluster.writers()) <= 1, self.cluster.writers()

    @invariant()
    def disruptions_never_spend_the_budget(self) -> None:
        if hasattr(self, "cluster"):
            assert self.status().get("failures", 0) <= self.cluster.faults

    @invariant()
    def no_slice_is_asked_for_before_the_preflight_has_passed(self) -> None:
        if hasattr(self, "cluster"):
            assert self.cluster.preflight_passed or not self.cluster.asking_for_a_slice()

    @invariant()
    def the_preflight_counts_only_in_its_own_record(self) -> None:
        if hasattr(self, "cluster"):
            record = self.status().get("preflight") or {}
            assert record.get("failures", 0) <= self.cluster.preflight_faults
            assert not [a for a in self.status().get("attempts") or [] if "preflight" in a["job"]]
            if not self.cluster.pods_made:
                assert not self.status().get("failures", 0) + self.status().get("disruptions", 0)

    @invariant()
    def a_preflight_that_passed_is_not_made_again(self) -> None:
        if not hasattr(self, "cluster"):
            return
        if self.passed_after is None and (self.status().get("preflight") or {}).get("passedAt"):
            self.passed_after = self.cluster.preflights_made
        if self.passed_after is not None:
            assert self.cluster.preflights_made == self.passed_after

    @invariant()
    def each_attempt_is_counted_once(self) -> None:
        if not hasattr(self, "cluster"):
            return
        status = self.status()
        attempts = status.get("attempts") or []
        uids = [a["podUID"] for a in attempts]
        assert len(uids) == len(set(uids))
        for attempt in attempts:
            counted = attempt["counted"]
            before = self.seen_counted.setdefault(attempt["podUID"], counted) or counted
            assert before == counted, "an attempt changed its counter"
            self.seen_counted[attempt["podUID"]] = counted
        tally = list(self.seen_counted.values())
        assert status.get("disruptions", 0) == tally.count("disruption")
        assert status.get("failures", 0) == tally.count("failure")

    @invariant()
    def the_end_is_the_end(self) -> None:
        if not hasattr(self, "cluster"):
            return
        status = self.status()
        if self.ended is not None:
            assert status == self.ended
        elif status.get("phase") in {"Succeeded", "Failed"}:
            self.ended = status
            assert status["completionTime"]

    @invariant()
    def the_start_is_written_before_the_first_job(self) -> None:
        if hasattr(self, "cluster") and self.cluster.jobs:
            assert self.status().get("startTime")

    def teardown(self) -> None:
        """Once everything is quiet, the run ends by itself; and then there is nothing more to do."""
        if not hasattr(self, "cluster"):
            return
        for node in ("a", "b"):
            self.cluster.heal_node(node)
        if self.cluster.run is not None and self.cluster.run["spec"].get("suspend"):
            self.cluster.suspend(False)
        for _ in range(300):
            self.operator.settle()
            self.at_most_one_pod_may_write()
            self.no_slice_is_asked_for_before_the_preflight_has_passed()
            self.a_preflight_that_passed_is_not_made_again()
            self.each_attempt_is_counted_once()
            if self.status()["phase"] in {"Succeeded", "Failed"}:
                break
            self.cluster.step(5)
        status = self.status()
        assert status["phase"] in {"Succeeded", "Failed"}, status
        decision = self.operator.look()
        assert decision is not None
        assert decision.quiet
        if status["phase"] == "Failed":
            record = status.get("preflight") or {}
            assert self.cluster.faults + self.cluster.preflight_faults > 0
            assert status["failures"] + record["failures"] > 0 or record["class"] == "BadInput"
        else:
            left = [j for j in self.cluster.jobs.values() if objects.errand(j)]
            assert not left, "the pre-flight's Job is cleared away"


AnyOrder.TestCase.settings = settings(
    max_examples=150,
    stateful_step_count=40,
    deadline=None,
    # A failing order of events is short enough to read as it is; shrinking it takes minutes.
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    report_multiple_bugs=False,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TestAnyOrder = AnyOrder.TestCase
