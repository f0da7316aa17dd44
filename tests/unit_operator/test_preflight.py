"""The pre-flight: what its pod says and suffers, and what becomes of the run."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from unit_operator.model_cluster import START, Cluster
from unit_operator.world import World
from vistrain_api import protocol
from vistrain_operator import objects, timestamps


def begun(**spec: Any) -> World:
    """The pre-flight's pod runs."""
    world = World(**spec)
    while not any(objects.trainer_state(p, "running") for p in world.cluster.pods.values()):
        world.go()
    return world


def ends(world: World, code: int, **words: Any) -> World:
    """Its pod ends so; the operator has seen it."""
    pod = world.pod()
    assert objects.errand(pod)
    world.cluster.end_pod(objects.uid(pod), code, words=world.cluster._words(pod, code, **words))
    world.cluster._job_controller()
    world.operator.settle()
    return world


def hangs(world: World) -> None:
    """A pre-flight that does nothing but heed SIGTERM."""
    cluster = world.cluster
    cluster._check = lambda uid, pod: (  # type: ignore[method-assign]
        cluster.end_pod(uid, protocol.ExitCode.STOPPED) if objects.deletion(pod) is not None else None
    )


def job(world: World) -> dict[str, Any]:
    [found] = world.cluster.jobs.values()
    return found


# What is made


def test_it_comes_first_and_holds_no_slice() -> None:
    world = World()
    world.operator.settle()
    uid = objects.uid(world.cluster.run or {})
    assert list(world.cluster.jobs) == [f"demo-{uid[:5]}-preflight"]
    assert not world.cluster.asking_for_a_slice()
    assert (world.status["phase"], world.status["attempt"]) == ("Pending", 0)
    accepted = world.condition("Accepted")
    assert (accepted["status"], accepted["reason"]) == ("Unknown", "Preflight")
    for kind in ("Running", "Progressing"):
        assert (world.condition(kind)["status"], world.condition(kind)["reason"]) == ("False", "Preflight")
    assert world.status["startTime"] == timestamps.text(START)
    assert "preflight" not in world.status


def test_both_read_the_same_manifest() -> None:
    world = World()
    world.operator.settle()
    first = world.pod_template()["volumes"][0]
    world.checked()
    assert first == world.pod_template()["volumes"][0]
    assert first["configMap"]["name"] == world.status["resolved"]["manifest"]
    assert list(world.cluster.config_maps) == [world.status["resolved"]["manifest"]]


def test_what_passed_is_noted_and_its_job_goes_with_the_first_attempt() -> None:
    world = ends(begun(), 0, notes=["12 of 20 validation images are trained on"])
    assert world.condition("Accepted")["status"] == "True"
    assert (world.status["phase"], world.status["attempt"]) == ("Starting", 1)
    assert not objects.errand(job(world))
    record = world.status["preflight"]
    assert record["passedAt"] == timestamps.text(world.cluster.now)
    assert (record["exitCode"], record["failures"], record["interruptions"]) == (0, 0, 0)
    assert "trained on" in record["message"]
    assert world.told("PreflightPassed") == [
        "data, weights and disk are as the run needs them; but: 12 of 20 validation images are trained on"
    ]
    assert world.status["attempts"] == []


def test_it_is_done_once_also_when_the_first_attempt_is_disturbed() -> None:
    world = World().checked().go(4)
    world.cluster.evict(objects.uid(world.pod()))
    world.go(30)
    assert world.status["phase"] == "Succeeded"
    assert world.cluster.preflights_made == 1


def test_a_run_that_was_trained_by_an_earlier_version_has_none() -> None:
    world = World().checked().go(5)
    del world.status["preflight"]
    world.cluster.evict(objects.uid(world.pod()))
    world.go(30)
    assert world.status["phase"] == "Succeeded"
    assert world.cluster.preflights_made == 1


# What refuses


def test_bad_input_fails_the_run_before_a_slice_is_asked_for() -> None:
    said = "spec.dataset.train.images: 3 of 12 images are not there. Copy them"
    world = ends(begun(), protocol.ExitCode.BAD_INPUT, failure="BadInput", message=said)
    assert (world.status["phase"], world.status["attempt"], world.status["attempts"]) == ("Failed", 0, [])
    for kind, status in (("Accepted", "False"), ("Failed", "True"), ("Succeeded", "False")):
        condition = world.condition(kind)
        assert (condition["status"], condition["reason"], condition["message"]) == (status, "BadInput", said)
    assert world.told("Failed") == [f"BadInput: {said}"]
    assert said in world.told("BadInput")[0]
    assert (world.status["failures"], world.status["disruptions"]) == (0, 0)
    assert world.status["preflight"]["exitCode"] == 64
    world.go(30)
    assert world.cluster.preflights_made == 1
    assert objects.errand(job(world)), "its log stays"
    assert not world.cluster.asking_for_a_slice()


def test_out_of_memory_fails_the_run() -> None:
    world = begun()
    world.cluster.end_pod(objects.uid(world.pod()), 137, reason="OOMKilled", words="")
    world.operator.settle()
    assert world.condition("Failed")["reason"] == "OutOfMemoryHost"
    assert "resources.memory" in world.condition("Failed")["message"]
    assert world.condition("Accepted")["status"] == "Unknown"


@pytest.mark.parametrize(
    ("code", "failure"), [(74, "StorageFault"), (1, "Unknown"), (139, "Unknown"), (137, "Unknown")]
)
def test_a_fault_is_tried_again_within_the_budget(code: int, failure: str) -> None:
    world = begun(resilience={"maxFailures": 2, "terminationGracePeriod": "30s"})
    waits = []
    for _ in range(3):
        ends(world, code, message="the volume does not answer")
        if world.status["phase"] == "Failed":
            break
        assert world.condition("Running")["reason"] == "BackingOff"
        due = timestamps.parse(world.status["retryAt"])
        waits.append(round((due - world.cluster.now).total_seconds()))
        while not any(objects.trainer_state(p, "running") for p in world.cluster.pods.values()):
            world.go()
    assert waits == [10, 20]
    assert (world.status["failures"], world.status["preflight"]["failures"]) == (0, 3)
    assert world.condition("Failed")["reason"] == failure
    text = world.condition("Failed")["message"]
    assert "3 faults, resilience.maxFailures allows 2; last: in the pre-flight: the volume" in text
    assert len(world.told(failure)) == 3
    assert "fault 1, resilience.maxFailures allows 2" in world.told(failure)[0]


def test_faults_of_the_preflight_and_of_attempts_are_one_budget() -> None:
    world = begun(resilience={"maxFailures": 1, "terminationGracePeriod": "30s"})
    ends(world, 74)
    world.checked().go(3)
    world.cluster.fault(objects.uid(world.pod()), 1)
    world.operator.settle()
    assert world.status["phase"] == "Failed"
    assert (world.status["failures"], world.status["preflight"]["failures"]) == (1, 1)
    assert "2 faults, resilience.maxFailures allows 1" in world.condition("Failed")["message"]


# What disturbs


@pytest.mark.parametrize(
    ("disturb", "failure"),
    [
        (lambda c, pod: c.evict(objects.uid(pod)), "Evicted"),
        (lambda c, pod: c.delete_pod(objects.uid(pod)), "Deleted"),
        (lambda c, pod: c.kill_node(pod["spec"]["nodeName"]), "NodeLost"),
    ],
)
def test_a_disturbed_one_is_made_again_and_counts_nowhere(disturb: Any, failure: str) -> None:
    world = begun()
    hangs(world)
    disturb(world.cluster, world.pod())
    world.go(60)
    record = world.status["preflight"]
    assert (record["class"], record["interruptions"], record["failures"]) == (failure, 1, 0)
    assert (world.status["disruptions"], world.status["failures"]) == (0, 0)
    assert "made again" in world.told(failure)[0]
    assert world.cluster.preflights_made == 2
    assert world.condition("Accepted")["reason"] == "Preflight"
    world.cluster._check = Cluster._check.__get__(world.cluster)  # type: ignore[method-assign]
    world.go(30)
    assert world.status["phase"] == "Succeeded"
    assert world.status["disruptions"] == 0


def test_a_node_that_refuses_every_pod_is_not_tried_in_a_hot_loop() -> None:
    world = World()
    refused = {"phase": "Failed", "reason": "OutOfcpu", "message": "Node didn't have enough resource: cpu"}
    world.cluster._start = lambda uid, pod: pod["status"].update(refused)  # type: ignore[method-assign]
    world.go(60)
    assert 4 <= world.status["preflight"]["interruptions"] <= 8
    assert world.status["preflight"]["class"] == "AdmissionRejected"
    assert (world.status["disruptions"], world.status["failures"], world.status["attempt"]) == (0, 0, 0)


def test_a_hanging_one_is_stopped_and_uses_the_budget() -> None:
    world = begun(resilience={"stallTimeout": "1m", "terminationGracePeriod": "30s"})
    hangs(world)
    world.go(80)
    record = world.status["preflight"]
    assert (record["class"], record["failures"]) == ("Stalled", 1)
    assert "stallTimeout (1m)" in world.told("Stalled")[0]
    assert world.cluster.preflights_made == 2


def test_the_deadline_ends_the_run_and_stops_it() -> None:
    world = begun(resilience={"maxDuration": "10s", "terminationGracePeriod": "30s"})
    hangs(world)
    world.go(15)
    assert world.condition("Failed")["reason"] == "DeadlineExceeded"
    assert not world.cluster.jobs
    assert not world.cluster.pods


def test_suspending_stops_it_and_resuming_makes_it_again() -> None:
    world = begun()
    hangs(world)
    world.cluster.suspend(True)
    world.go(5)
    assert world.status["phase"] == "Suspended"
    assert not world.cluster.jobs
    assert not world.cluster.pods
    world.cluster.suspend(False)
    world.go(3)
    assert objects.errand(job(world))
    assert world.condition("Accepted")["reason"] == "Preflight"
    assert world.told("Suspended")
    world.cluster._check = Cluster._check.__get__(world.cluster)  # type: ignore[method-assign]
    record = world.checked().status["preflight"]
    assert (record["interruptions"], record["failures"]) == (0, 0)


def test_a_run_created_suspended_waits_with_it() -> None:
    world = World(suspend=True).go(5)
    assert world.status["phase"] == "Suspended"
    assert not world.cluster.jobs
    assert "startTime" not in world.status
    world.cluster.suspend(False)
    world.checked()


def test_what_passed_while_it_was_being_suspended_has_passed() -> None:
    world = begun()
    world.cluster.suspend(True)
    ends(world, 0)
    assert world.status["preflight"]["passedAt"]
    world.go(3)
    assert world.status["phase"] == "Suspended"
    assert not world.cluster.jobs, "nothing is left of it"
    world.cluster.suspend(False)
    world.go(2)
    assert world.cluster.preflights_made == 1
    assert world.status["attempt"] == 1


def test_a_pod_without_its_job_is_stopped() -> None:
    world = begun()
    hangs(world)
    [name] = world.cluster.jobs
    world.cluster.delete_job(name, "Orphan")
    world.go(4)
    assert len(world.cluster.pods) == 1
    assert world.cluster.preflights_made == 2


# What it waits for


def test_a_pod_that_finds_no_node_is_said() -> None:
    world = World()
    world.cluster.kill_node("a")
    world.cluster.kill_node("b")
    world.go(2)
    condition = {"type": "PodScheduled", "status": "False", "message": "0/2 nodes are available"}
    world.pod()["status"]["conditions"] = [condition]
    world.go(30)
    assert (world.status["phase"], world.condition("Running")["reason"]) == ("Pending", "Unschedulable")
    assert len(world.told("Unschedulable")) == 1
    assert world.cluster.preflights_made == 1


def test_a_job_without_a_pod_is_said() -> None:
    world = World()
    world.operator.settle()
    world.cluster.now += timedelta(seconds=5)
    world.see(troubles={objects.uid(job(world)): "exceeded quota: pods"})
    assert world.condition("Running")["reason"] == "PodRejected"
    assert "exceeded quota" in world.told("PodRejected")[0]


def test_an_image_that_cannot_be_pulled_is_said() -> None:
    world = begun()
    waiting = {"waiting": {"reason": "ImagePullBackOff", "message": "trainer:nope not found"}}
    statuses = [{"name": "trainer", "state": waiting}]
    world.pod()["status"] |= {"phase": "Pending", "containerStatuses": statuses}
    world.operator.settle()
    assert world.condition("Running")["reason"] == "ImagePull"
    assert "pod.image" in world.told("ImagePull")[0]


def test_a_volume_that_cannot_be_mounted_is_said() -> None:
    world = begun()
    pod = world.pod()
    pod["status"] = {"phase": "Pending"}
    world.see(troubles={objects.uid(pod): "MountVolume.SetUp failed for volume pvc-1"})
    assert world.condition("Running")["reason"] == "VolumeNotReady"


def test_a_silent_node_is_said() -> None:
    world = begun()
    hangs(world)
    world.cluster.kill_node(world.pod()["spec"]["nodeName"])
    world.go(2)
    assert world.condition("Running")["reason"] == "NodeUnreachable"
