"""What is decided in named situations, and what a person is told."""

from __future__ import annotations

from datetime import timedelta

import pytest

from unit_operator.model_cluster import SLICE, START, TOTAL_STEPS, Cluster
from unit_operator.model_operator import Operator
from unit_operator.world import World
from vistrain_api import protocol
from vistrain_api.status import RunStatus
from vistrain_operator import objects, timestamps
from vistrain_operator.observed import NodeView

# Before the first pod


def test_a_missing_volume_is_a_condition_and_an_event_and_no_pod() -> None:
    world = World()
    world.cluster.claims.clear()
    world.go(5)
    accepted = world.condition("Accepted")
    assert (accepted["status"], accepted["reason"]) == ("False", "VolumeMissing")
    for word in ("checkpoints", "data", "team", "create it"):
        assert word in accepted["message"]
    assert world.told("VolumeMissing") == [accepted["message"]]
    assert not world.cluster.jobs
    assert "startTime" not in world.status
    world.cluster.claims |= {"checkpoints", "data"}
    world.go()
    assert world.condition("Accepted")["reason"] == "Preflight"
    assert len(world.cluster.jobs) == 1
    world.checked()
    assert world.condition("Accepted")["status"] == "True"
    assert len(world.cluster.jobs) == 1


def test_without_an_image_nothing_starts() -> None:
    world = World().see(default_image="")
    assert world.condition("Accepted")["reason"] == "NoImage"
    assert "pod.image" in world.condition("Accepted")["message"]


def test_a_spec_that_cannot_be_read_is_said() -> None:
    world = World(resources={"accelerator": {"mig": {"profile": "1g.20gb"}, "cpu": {}}})
    world.go()
    assert world.condition("Accepted")["reason"] == "Invalid"
    assert "exactly one of mig, gpu, cpu, mps" in world.told("Invalid")[0]
    assert not world.cluster.jobs


def test_a_slice_that_nobody_offers_is_said_and_the_job_is_made() -> None:
    world = World(resources={"accelerator": {"mig": {"profile": "7g.80gb"}}}).checked()
    condition = world.condition("SliceAvailable")
    assert condition["status"] == "False"
    assert "7g.80gb" in condition["message"]
    assert f"{SLICE} (1 on a)" in condition["message"]
    assert world.told("SliceNotOffered") == [condition["message"]]
    assert len(world.cluster.jobs) == 1


def test_without_access_to_nodes_the_slice_is_unknown() -> None:
    world = World()
    world.cluster.readable_nodes = False
    world.checked()
    assert world.condition("SliceAvailable")["status"] == "Unknown"
    assert len(world.cluster.jobs) == 1


def test_what_is_fixed_at_the_first_start() -> None:
    world = World().checked().go(3)
    resolved = world.status["resolved"]
    uid = objects.uid(world.cluster.run or {})
    assert resolved["image"] == "registry.example/trainer:1"
    assert resolved["path"] == f"demo-{uid[:8]}"
    assert resolved["manifest"] in world.cluster.config_maps
    assert resolved["specDigest"].startswith("sha256:")
    assert world.status["startTime"] == timestamps.text(START)
    [job] = world.cluster.jobs
    assert job == f"demo-{uid[:5]}-1"


def test_the_digest_that_ran_first_is_kept() -> None:
    world = World().checked().go(2)
    image = "registry.example/trainer@sha256:" + "0" * 64
    world.pod()["status"]["containerStatuses"][0]["imageID"] = image
    world.go()
    assert world.status["resolved"]["image"] == image
    world.cluster.evict(objects.uid(world.pod()))
    world.go(3)
    newest = max(world.cluster.jobs.values(), key=objects.attempt_number)
    assert newest["spec"]["template"]["spec"]["containers"][0]["image"] == image


@pytest.mark.parametrize(
    "image", ["sha256:" + "0" * 64, "docker.io/library/import-2026@sha256:" + "0" * 64, ""]
)
def test_an_image_that_no_registry_serves_keeps_its_tag(image: str) -> None:
    world = World().checked().go(2)
    world.pod()["status"]["containerStatuses"][0]["imageID"] = image
    world.go()
    assert world.status["resolved"]["image"] == "registry.example/trainer:1"


# While it does not run


def test_a_pod_that_finds_no_node_is_said() -> None:
    world = World().checked()
    world.cluster.kill_node("a")
    world.cluster.kill_node("b")
    world.go(2)
    message = "0/2 nodes are available: 2 Insufficient nvidia.com/mig-1g.20gb"
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
    world.pod()["status"]["conditions"] = [condition]
    world.go(30)
    assert world.status["phase"] == "Pending"
    assert world.condition("Running")["reason"] == "Unschedulable"
    assert message in world.condition("Running")["message"]
    assert len(world.told("Unschedulable")) == 1
    assert world.status["failures"] == world.status["disruptions"] == 0


def test_a_pod_that_the_api_server_refuses_is_said() -> None:
    world = World().checked()
    [job] = world.cluster.jobs.values()
    message = 'pods "demo" is forbidden: exceeded quota: gpus'
    world.cluster.now += timedelta(seconds=5)
    world.see(troubles={objects.uid(job): message})
    assert world.status["phase"] == "Pending"
    assert world.condition("Running")["reason"] == "PodRejected"
    assert message in world.told("PodRejected")[0]
    assert world.status["failures"] == 0


@pytest.mark.parametrize("reason", ["ErrImagePull", "ImagePullBackOff", "InvalidImageName"])
def test_an_image_that_cannot_be_pulled_is_said(reason: str) -> None:
    world = World().checked().go(2)
    waiting = {"waiting": {"reason": reason, "message": "trainer:nope not found"}}
    world.pod()["status"] |= {
        "phase": "Pending",
        "containerStatuses": [{"name": "trainer", "state": waiting}],
    }
    world.operator.settle()
    assert world.condition("Running")["reason"] == "ImagePull"
    assert "pod.image" in world.told("ImagePull")[0]


def test_a_volume_that_waits_for_its_detach_is_said() -> None:
    world = World().checked().go(2)
    pod = world.pod()
    pod["status"] = {"phase": "Pending"}
    message = 'Multi-Attach error for volume "pvc-1": already used by another node'
    world.see(troubles={objects.uid(pod): message})
    assert world.condition("Running")["reason"] == "VolumeNotReady"
    assert "Multi-Attach" in world.told("VolumeNotReady")[0]


def test_a_queue_that_takes_the_quota_back_and_gives_it_again() -> None:
    world = World().checked().go(5)
    [job] = world.cluster.jobs.values()
    uid = objects.uid(world.pod())
    job["spec"]["suspend"] = True
    del world.cluster.pods[uid]  # its finalizer is stripped, and its evidence goes with it
    world.operator.settle()
    assert world.status["phase"] == "Queued"
    assert [a["class"] for a in world.status["attempts"]] == ["Preempted"]
    assert (world.status["disruptions"], world.status["failures"]) == (1, 0)
    assert list(world.cluster.jobs.values()) == [job]
    job["spec"]["suspend"] = False
    world.go(40)
    assert world.status["phase"] == "Succeeded"
    assert world.status["attempt"] == 1
    assert len(world.cluster.jobs) == 1
    assert len(world.status["attempts"]) == 2


# While it runs


def test_progress_is_written_at_most_every_ten_seconds_and_transitions_at_once() -> None:
    world = World().checked().go(2)
    written = []
    for _ in range(14):
        decision = world.operator.once()
        assert decision is not None
        if decision.status is not None:
            written.append(decision.status.progress.step if decision.status.progress else 0)
        world.cluster.step()
    assert 2 <= len(written) <= 4
    assert world.status["phase"] == "Training"
    world.go(20)
    assert world.status["progress"] == {
        "epoch": 0,
        "epochs": 4,
        "step": TOTAL_STEPS,
        "totalSteps": TOTAL_STEPS,
        "percent": 100,
        "evaluated": 0,
        "updatedAt": world.status["progress"]["updatedAt"],
    }


def test_steps_lost_and_the_time_to_resume() -> None:
    world = World().checked().go(9)
    uid = objects.uid(world.pod())
    executed, saved = world.cluster.executed[uid], world.cluster.saved_step
    assert executed > saved > 0
    world.cluster.fault(uid)
    world.go(15)
    first, second = world.status["attempts"]
    assert first["lastStep"] == executed
    assert second["restoredStep"] == saved
    assert second["stepsLost"] == world.status["stepsLost"] == executed - saved
    assert second["resumeSeconds"] >= 10  # the back-off
    assert f"from step {saved}; steps lost: {executed - saved}" in world.told("Resumed")[0]


def test_a_stalled_trainer_is_stopped_and_uses_the_budget() -> None:
    world = (
        World(resilience={"stallTimeout": "1m", "terminationGracePeriod": "30s", "maxFailures": 3})
        .checked()
        .go(6)
    )
    world.cluster._train = lambda uid, pod: (  # type: ignore[method-assign] - it hangs, but heeds SIGTERM
        world.cluster.end_pod(uid, 75) if objects.deletion(pod) is not None else None
    )
    world.go(80)
    assert [a.get("class") for a in world.status["attempts"]][:1] == ["Stalled"]
    assert world.status["failures"] == 1
    assert "stallTimeout (1m)" in world.told("Stalled")[0]
    assert len(world.cluster.could_start()) <= 1


def test_a_long_evaluation_is_not_taken_for_a_stall() -> None:
    """No step, no checkpoint, no better value for longer than the time-out; but batch after batch."""
    world = (
        World(resilience={"stallTimeout": "1m", "terminationGracePeriod": "30s", "maxFailures": 3})
        .checked()
        .go(6)
    )

    def evaluate(uid, pod):
        world.cluster.evaluated += 1

    world.cluster._train = evaluate  # type: ignore[method-assign]
    world.go(300)
    assert world.status["phase"] == "Training"
    assert world.status["failures"] == 0
    assert world.status["progress"]["evaluated"] > 100


def test_a_trainer_that_was_never_heard_is_not_taken_for_stalled() -> None:
    world = World(resilience={"stallTimeout": "1m", "terminationGracePeriod": "30s"}).checked()
    world.cluster.answering = False
    world.cluster._train = lambda uid, pod: None  # type: ignore[method-assign] - it trains on, unheard
    world.go(90)
    assert world.status["failures"] == 0
    assert world.condition("Progressing")["status"] == "Unknown"
    assert world.condition("Running")["status"] == "True"


def test_the_deadline_ends_the_run() -> None:
    world = World(resilience={"maxDuration": "10s", "terminationGracePeriod": "30s"}).go(12)
    assert world.status["phase"] == "Failed"
    assert world.condition("Failed")["reason"] == "DeadlineExceeded"
    world.go(5)
    assert not world.cluster.could_start()


def test_a_silent_node_is_said_before_it_is_given_up() -> None:
    world = World().checked().go(4)
    world.cluster.kill_node(world.pod()["spec"]["nodeName"])
    world.go(2)
    assert world.condition("Running")["reason"] == "NodeUnreachable"
    assert world.status["attempt"] == 1
    world.go(40)
    assert world.status["attempt"] == 2
    assert [a.get("class") for a in world.status["attempts"]] == ["NodeLost", None]
    assert world.status["failures"] == 0


def test_a_node_that_refuses_every_pod_is_not_tried_in_a_hot_loop() -> None:
    world = World().checked()
    refused = {"phase": "Failed", "reason": "UnexpectedAdmissionError", "message": "device plugin not ready"}
    world.cluster._start = lambda uid, pod: pod["status"].update(refused)  # type: ignore[method-assign]
    world.go(60)
    assert world.status["failures"] == 0
    assert 4 <= world.status["disruptions"] <= 8
    assert {a["class"] for a in world.status["attempts"] if "class" in a} == {"AdmissionRejected"}


# The end


@pytest.mark.parametrize(
    ("code", "failure", "failures"),
    [
        (protocol.ExitCode.BAD_INPUT, "BadInput", 1),
        (protocol.ExitCode.GATE_NOT_MET, "GateNotMet", 0),
        (protocol.ExitCode.OUT_OF_GPU_MEMORY, "OutOfMemoryGpu", 1),
        (protocol.ExitCode.DIVERGED, "NumericalDivergence", 1),
    ],
)
def test_what_no_retry_helps(code: int, failure: str, failures: int) -> None:
    world = World(evaluation={"gates": [{"metric": "AP50", "min": 0.5}]}).checked().go(4)
    uid = objects.uid(world.pod())
    said = world.cluster._words(
        world.pod(), int(code), message="the thing and the way out", results={"AP50": 0.1}
    )
    world.cluster.end_pod(uid, int(code), words=said)
    world.go(30)
    assert (world.status["phase"], world.status["attempt"]) == ("Failed", 1)
    assert world.status["failures"] == failures
    assert world.status["results"] == {"AP50": 0.1}
    for kind, status in (("Failed", "True"), ("Succeeded", "False")):
        condition = world.condition(kind)
        assert (condition["status"], condition["reason"]) == (status, failure)
        assert condition["message"] == "the thing and the way out"
    assert "the thing and the way out" in world.told("Failed")[0]
    gates = world.condition("GatesMet")
    assert gates["status"] == ("False" if failure == "GateNotMet" else "Unknown")


def test_faults_back_off_and_then_end_the_run() -> None:
    world = World(resilience={"maxFailures": 2, "terminationGracePeriod": "30s"}).checked()
    waits = []
    for _ in range(3):
        world.go(3)
        world.cluster.fault(objects.uid(world.pod()), protocol.ExitCode.STORAGE_FAULT)
        world.operator.settle()
        if world.status["phase"] == "Failed":
            break
        assert world.condition("Running")["reason"] == "BackingOff"
        due = timestamps.parse(world.status["retryAt"])
        waits.append(round((due - world.cluster.now).total_seconds()))
        world.go(waits[-1])
    assert waits == [10, 20]
    assert world.status["failures"] == 3
    assert world.condition("Failed")["reason"] == "StorageFault"
    assert "maxFailures allows 2" in world.condition("Failed")["message"]


def test_the_run_object_goes_when_its_time_is_over() -> None:
    world = World(ttlAfterFinished="30s").go(30)
    assert world.status["phase"] == "Succeeded"
    ended = timestamps.parse(world.status["completionTime"])
    while world.cluster.now < ended + timedelta(seconds=29):
        world.go()
        assert world.cluster.run is not None
    world.cluster.step(5)
    world.operator.once()
    assert world.cluster.run is None


def test_a_run_that_is_being_deleted_is_left_alone() -> None:
    world = World().checked().go(3)
    assert world.cluster.run is not None
    world.cluster.run["metadata"]["deletionTimestamp"] = timestamps.text(world.cluster.now)
    decision = world.operator.look()
    assert decision is not None
    assert decision.quiet


def test_only_the_last_ten_attempts_are_kept_and_older_jobs_go() -> None:
    world = World(resources={"accelerator": {"cpu": {}}}).checked()
    for _ in range(13):
        world.go(4)
        world.cluster.evict(objects.uid(world.pod()))
        world.go(2)
        world.cluster.saved_step = 0  # so that it does not finish
    world.go(4)
    assert world.status["disruptions"] == 13
    assert [a["number"] for a in world.status["attempts"]] == list(range(5, 15))
    assert {objects.attempt_number(j) for j in world.cluster.jobs.values()} == set(range(5, 15))


def test_resources_changed_while_suspended_make_a_new_manifest() -> None:
    world = World().checked().go(4)
    first = world.status["resolved"]["manifest"]
    world.cluster.suspend(True)
    world.go(5)
    assert world.status["phase"] == "Suspended"
    assert not world.cluster.could_start()
    assert world.condition("Suspended")["status"] == "True"
    assert world.cluster.run is not None
    world.cluster.run["spec"]["resources"] = {"accelerator": {"cpu": {}}, "memory": "48Gi"}
    world.cluster.suspend(False)
    world.go(3)
    second = world.status["resolved"]["manifest"]
    assert first != second
    assert {first, second} <= set(world.cluster.config_maps)
    container = world.pod_template()["containers"][0]
    assert container["resources"]["limits"] == {"cpu": "4", "memory": "48Gi"}


def test_suspending_and_back_makes_no_new_manifest() -> None:
    world = World().checked().go(4)
    first = world.status["resolved"]["manifest"]
    world.cluster.suspend(True)
    world.go(5)
    world.cluster.suspend(False)
    world.go(3)
    assert world.status["resolved"]["manifest"] == first


def test_the_status_is_always_one_that_the_contract_allows() -> None:
    world = World().go(40)
    assert RunStatus.model_validate(world.status).phase == "Succeeded"
    assert world.status["display"]["model"] == "yolox-nano"
    assert world.status["display"]["slice"] == "1g.20gb"


def test_no_slice_anywhere() -> None:
    cluster = Cluster()
    cluster.nodes = {"a": NodeView("a", ready="True")}
    Operator(cluster).settle()
    assert cluster.run is not None
    [message] = [m for r, m in cluster.events.values() if r == "SliceNotOffered"]
    assert "no GPU and no slice at all" in message
