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


def running(cluster: Cluster, *, preflight: bool = False) -> str | None:
    """UID of the attempt's, or the pre-flight's, pod that runs and is not asked to stop."""
    pods = (u for u, p in cluster.pods.items() if objects.trainer_state(p, "running"))
    mine = (u for u in pods if bool(objects.errand(cluster.pods[u])) == preflight)
    return next((u for u in mine if objects.deletion(cluster.pods[u]) is None), None)


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


def in_preflight(
    do: Callable[[Cluster, str], None], after: Callable[[Cluster, str], None] | None = None
) -> Story:
    """Something is done to the first pod of the pre-flight while it runs; and something else 30 s later."""

    def story(cluster: Cluster) -> Iterator[None]:
        while (uid := running(cluster, preflight=True)) is None:
            yield
        node = cluster.pods[uid]["spec"]["nodeName"]
        do(cluster, uid)
        if after is not None:
            for _ in range(30):
                yield
            after(cluster, node)
        yield

    return story


def delete_its_job(propagation: str) -> Callable[[Cluster, str], None]:
    def do(cluster: Cluster, uid: str) -> None:
        cluster.delete_job(objects.label(cluster.pods[uid], "batch.kubernetes.io/job-name"), propagation)

    return do


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
    "pre-flight evicted": (in_preflight(Cluster.evict), {}),
    "pre-flight deleted": (in_preflight(Cluster.delete_pod), {}),
    "pre-flight's Job deleted": (in_preflight(delete_its_job("Foreground")), {}),
    "pre-flight's Job deleted, background": (in_preflight(delete_its_job("Background")), {}),
    "pre-flight's Job deleted, orphan": (in_preflight(delete_its_job("Orphan")), {}),
    "node killed in the pre-flight": (
        in_preflight(lambda c, uid: c.kill_node(c.pods[uid]["spec"]["nodeName"]), Cluster.heal_node),
        {},
    ),
    "fault in the pre-flight": (in_preflight(Cluster.fault), {}),
    "suspended in the pre-flight and back": (
        in_preflight(lambda c, _: c.suspend(True), lambda c, _: c.suspend(False)),
        {},
    ),
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
FAULTS = {"fault in the pre-flight": 1}
"""Of the pre-flight."""


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
        assert cluster.preflight_passed or not cluster.asking_for_a_slice()
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
    classes = CLASSES.get(name, [])
    assert [a["class"] for a in status["attempts"] if "class" in a] == classes
    assert [a["number"] for a in status["attempts"]] == list(range(1, len(classes) + 2))
    assert status["attempt"] == len(classes) + 1
    assert status["preflight"]["failures"] == FAULTS.get(name, 0)
    assert cluster.preflights_made == 1 or "pre-flight" in name
    assert len([text for reason, text in cluster.events.values() if reason == "PreflightPassed"]) == 1
    assert not [j for j in cluster.jobs.values() if objects.errand(j)]
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


def test_faults_of_the_preflight_beyond_the_budget_end_the_run_also_across_kills() -> None:
    for kill_after in range(1, 12):
        cluster = Cluster(run_object(resilience={"maxFailures": 1, "terminationGracePeriod": "30s"}))
        operator = Operator(cluster, kill_after)
        for _ in range(60):
            cluster.step()
            uid = running(cluster, preflight=True)
            if uid is not None:
                cluster.fault(uid, protocol.ExitCode.STORAGE_FAULT)
            try:
                operator.once()
            except Killed:
                operator = Operator(cluster)
        status = status_of(cluster)
        assert (status["phase"], status["failures"], cluster.preflight_faults) == ("Failed", 0, 2)
        assert (status["preflight"]["failures"], status["preflight"]["class"]) == (2, "StorageFault")
        assert status["attempts"] == []
        assert not cluster.asking_for_a_slice()
