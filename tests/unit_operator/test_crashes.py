"""The operator is killed after each of its API writes, one after another; the run still ends right."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from unit_operator.model_cluster import TOTAL_STEPS, Cluster, run_object
from unit_operator.model_operator import Killed, Operator
from vistrain_api import protocol
from vistrain_operator import objects

Story = Callable[[Cluster], Iterator[None]]
"""Something that happens to a run; each `yield` lets the world go on for a second."""


def running(cluster: Cluster) -> str | None:
    """UID of the pod that runs and is not asked to stop."""
    pods = (u for u, p in cluster.pods.items() if objects.trainer_state(p, "running"))
    return next((u for u in pods if objects.deletion(cluster.pods[u]) is None), None)


def until_it_trains(cluster: Cluster, beyond: int = 0) -> Iterator[str]:
    """Wait until a pod has executed steps beyond that one, then yield its UID for ever."""
    while (uid := running(cluster)) is None or cluster.executed.get(uid, 0) <= beyond:
        yield ""
    yield uid


def nothing(cluster: Cluster) -> Iterator[None]:
    yield


def eviction(cluster: Cluster) -> Iterator[None]:
    for uid in until_it_trains(cluster, 10):
        if uid:
            cluster.evict(uid)
        yield


def pod_deleted(cluster: Cluster) -> Iterator[None]:
    for uid in until_it_trains(cluster, 10):
        if uid:
            cluster.delete_pod(uid)
        yield


def job_deleted(propagation: str) -> Story:
    def story(cluster: Cluster) -> Iterator[None]:
        for uid in until_it_trains(cluster, 10):
            if uid:
                cluster.delete_job(
                    objects.label(cluster.pods[uid], "batch.kubernetes.io/job-name"), propagation
                )
            yield

    return story


def node_killed(cluster: Cluster) -> Iterator[None]:
    for uid in until_it_trains(cluster, 10):
        if uid:
            node = cluster.pods[uid]["spec"]["nodeName"]
            cluster.kill_node(node)
            for _ in range(80):
                yield
            cluster.heal_node(node)
        yield


def fault(cluster: Cluster) -> Iterator[None]:
    for uid in until_it_trains(cluster, 10):
        if uid:
            cluster.fault(uid)
        yield


def suspended_and_back(cluster: Cluster) -> Iterator[None]:
    for uid in until_it_trains(cluster, 10):
        if uid:
            cluster.suspend(True)
            for _ in range(20):
                yield
            cluster.suspend(False)
        yield


STORIES: dict[str, tuple[Story, dict[str, int]]] = {
    "nothing": (nothing, {}),
    "eviction": (eviction, {"disruptions": 1}),
    "pod deleted": (pod_deleted, {"disruptions": 1}),
    "Job deleted": (job_deleted("Foreground"), {"disruptions": 1}),
    "Job deleted, background": (job_deleted("Background"), {"disruptions": 1}),
    "Job deleted, orphan": (job_deleted("Orphan"), {"disruptions": 1}),
    "node killed": (node_killed, {"disruptions": 1}),
    "fault": (fault, {"failures": 1}),
    "suspended and back": (suspended_and_back, {}),
}
CLASSES = {
    "nothing": [],
    "eviction": ["Evicted"],
    "pod deleted": ["Deleted"],
    "Job deleted": ["Deleted"],
    "Job deleted, background": ["Deleted"],
    "Job deleted, orphan": ["Deleted"],
    "node killed": ["NodeLost"],
    "fault": ["Unknown"],
    "suspended and back": ["Suspended"],
}


def play(story: Story, kill_after: int | None) -> tuple[Cluster, int]:
    """The story from the start to the end of the run. Returns the world and the number of writes."""
    cluster = Cluster()
    operator = Operator(cluster, kill_after)
    events = story(cluster)
    for second in range(400):
        if second > 0:
            cluster.step()
        next(events, None)
        try:
            operator.once()
        except Killed:
            writes = operator.writes
            operator = Operator(cluster)  # a new process; it knows only what the API server knows
            operator.writes = writes
            cluster.step(3)  # it takes a moment to come back
        assert len(cluster.could_start()) <= 1
        if status_of(cluster).get("phase") in {"Succeeded", "Failed"}:
            operator.settle()
            return cluster, operator.writes
    raise AssertionError(f"the run did not end: {status_of(cluster)}")


def status_of(cluster: Cluster) -> dict[str, Any]:
    assert cluster.run is not None
    status: dict[str, Any] = cluster.run.get("status") or {}
    return status


def check(cluster: Cluster, name: str) -> None:
    status = status_of(cluster)
    assert status["phase"] == "Succeeded"
    assert cluster.saved_step == TOTAL_STEPS
    counts = {"disruptions": 0, "failures": 0, **STORIES[name][1]}
    assert {key: status[key] for key in counts} == counts
    assert [a["class"] for a in status["attempts"] if "class" in a] == CLASSES[name]
    assert [a["number"] for a in status["attempts"]] == list(range(1, len(CLASSES[name]) + 2))
    assert status["attempt"] == len(CLASSES[name]) + 1
    starts = [text for reason, text in cluster.events.values() if reason == "AttemptStarted"]
    assert len(starts) == len(set(starts)) == status["attempt"]
    assert not [j for j in cluster.jobs.values() if not objects.job_deciding(j) and not objects.deletion(j)]


@pytest.mark.parametrize("name", STORIES)
def test_the_run_ends_right_untouched(name: str) -> None:
    cluster, _ = play(STORIES[name][0], None)
    check(cluster, name)


@pytest.mark.parametrize("name", STORIES)
def test_the_run_ends_right_though_the_operator_is_killed_after_any_write(name: str) -> None:
    story = STORIES[name][0]
    _, writes = play(story, None)
    assert writes >= 8
    for kill_after in range(1, writes + 1):
        cluster, _ = play(story, kill_after)
        check(cluster, name)


def test_faults_beyond_the_budget_end_the_run_also_across_kills() -> None:
    def crashing(cluster: Cluster) -> Iterator[None]:
        while True:
            uid = running(cluster)
            if uid is not None:
                cluster.fault(uid, protocol.ExitCode.STORAGE_FAULT)
            yield

    for kill_after in range(1, 20):
        cluster = Cluster(run_object(resilience={"maxFailures": 1, "terminationGracePeriod": "30s"}))
        operator = Operator(cluster, kill_after)
        story = crashing(cluster)
        for _ in range(120):
            cluster.step()
            next(story)
            try:
                operator.once()
            except Killed:
                operator = Operator(cluster)
        status = status_of(cluster)
        assert (status["phase"], status["failures"], cluster.faults) == ("Failed", 2, 2)
        assert [a["class"] for a in status["attempts"]] == ["StorageFault", "StorageFault"]
