"""Everything that ends a pod without the run being at fault: nothing is lost, no budget is used."""

from itertools import pairwise

import pytest

pytestmark = pytest.mark.cluster

LONG = {"epochs": 12}  # 72 steps: long enough to be disturbed in the middle


def nothing_lost(run):
    attempts = run.attempts()
    for before, after in pairwise(attempts):
        assert after["restoredStep"] == before["lastStep"], run.describe()
    assert run.status().get("stepsLost", 0) == 0


def test_eviction(runs):
    run = runs.new("evicted", schedule=LONG).apply()
    before = run.reaches_step(9)
    run.evict()
    run.becomes("Succeeded")
    run.disrupted_only("Evicted")
    nothing_lost(run)
    assert run.attempts()[1]["restoredStep"] >= before["step"]
    assert run.attempts()[1]["resumeSeconds"] > 0
    assert "Evicted" in run.said()
    assert "step" in run.said()


def test_drain_moves_the_run_to_the_other_node(runs):
    run = runs.new("drained", schedule=LONG).apply()
    run.reaches_step(8)
    node = run.pod()["spec"]["nodeName"]
    try:
        runs.drain(node, run)
        run.becomes("Succeeded")
    finally:
        runs.uncordon(node)
    run.disrupted_only("Evicted")
    assert run.attempts()[1]["node"] != node
    nothing_lost(run)


def test_pod_deleted_by_hand(runs):
    run = runs.new("pod-deleted", schedule=LONG).apply()
    run.reaches_step(8)
    run.kubectl.run("delete", "pod", run.pod()["metadata"]["name"], "--wait=false")
    run.becomes("Succeeded")
    run.disrupted_only("Deleted")
    nothing_lost(run)


def test_job_deleted_by_hand(runs):
    run = runs.new("job-deleted", schedule=LONG).apply()
    run.reaches_step(8)
    run.kubectl.run("delete", "job", run.jobs()[-1]["metadata"]["name"], "--wait=false")
    run.becomes("Succeeded")
    run.disrupted_only("Deleted")
    nothing_lost(run)


def test_suspend_frees_the_slice_and_resume_goes_on(runs):
    run = runs.new("suspended", schedule=LONG).apply()
    before = run.reaches_step(8)
    run.patch({"suspend": True})
    status = run.becomes("Suspended")
    runs.wait("the pod to go", lambda: not any(p["status"]["phase"] == "Running" for p in run.pods()))
    assert run.condition("Suspended")["status"] == "True"
    assert status.get("failures", 0) == 0
    # Resources may change while it is suspended.
    run.patch({"resources": {"memory": "3Gi"}, "suspend": False})
    run.becomes("Succeeded")
    assert run.classes() == ["Suspended"]
    assert run.status().get("failures", 0) == 0
    assert run.pods()[-1]["spec"]["containers"][0]["resources"]["limits"]["memory"] == "3Gi"
    assert run.attempts()[-1]["restoredStep"] >= before["step"]
    nothing_lost(run)


def test_suspend_in_the_preflight_and_resume_makes_it_again(runs):
    run = runs.new("early").apply()
    runs.wait("the pre-flight", run.preflight_jobs)
    run.patch({"suspend": True})
    run.becomes("Suspended")
    assert run.preflight_jobs() == run.jobs() == []
    run.patch({"suspend": False})
    status = run.becomes("Succeeded")
    assert status["attempt"] == 1
    assert run.classes() == []
    assert status["preflight"]["passedAt"]


def test_the_spec_cannot_change_under_a_run(runs):
    run = runs.new("immutable", schedule=LONG).apply()
    run.reaches_step(1)
    for change, field in (
        ({"schedule": {"epochs": 13}}, "schedule"),
        ({"resources": {"memory": "3Gi"}}, "resources"),
        ({"dataset": {"classes": ["car"]}}, "dataset"),
    ):
        with pytest.raises(Exception, match=field):
            run.patch(change)
    run.patch({"resilience": {"maxFailures": 5}})
    assert run.becomes("Succeeded")["attempt"] == 1
