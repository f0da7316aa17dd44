"""The operator and its nodes go down; runs carry on."""

import pytest

pytestmark = [pytest.mark.cluster, pytest.mark.alone]


def test_the_leader_is_killed_and_the_other_replica_takes_over(runs):
    run = runs.new("leader", schedule={"epochs": 12}).apply()
    run.reaches_step(2)
    leader = runs.leader()
    runs.system.run("delete", "pod", leader, "--grace-period=0", "--force")
    run.evict()
    run.becomes("Succeeded")
    run.disrupted_only("Evicted")
    assert runs.leader() != leader
    assert run.attempts()[1]["restoredStep"] == run.attempts()[0]["lastStep"]


def test_both_replicas_are_away_while_the_run_is_evicted(runs):
    run = runs.new("away", schedule={"epochs": 12}).apply()
    run.reaches_step(5)
    with runs.no_operator():
        run.evict()
        runs.wait("the pod to end", lambda: not any(p["status"]["phase"] == "Running" for p in run.pods()))
    run.becomes("Succeeded")
    run.disrupted_only("Evicted")


def test_a_run_that_finishes_while_the_operator_is_away(runs):
    run = runs.new("unseen").apply()
    run.reaches_step(1)
    with runs.no_operator():
        runs.wait("the pod to end", lambda: not any(p["status"]["phase"] == "Running" for p in run.pods()))
    status = run.becomes("Succeeded")
    assert status["attempt"] == 1
    assert status["best"]["metric"] == "AP"


def test_helm_upgrade_in_mid_run_leaves_the_pod_alone(runs):
    run = runs.new("upgrade", schedule={"epochs": 12}).apply()
    run.reaches_step(2)
    uid = run.pod()["metadata"]["uid"]
    runs.upgrade({"workers": "7"})
    run.becomes("Succeeded")
    assert [pod["metadata"]["uid"] for pod in run.pods()] == [uid]
    assert run.status()["attempt"] == 1


def test_a_silent_node_is_given_up_and_the_fence_holds_against_its_pod(runs):
    run = runs.new(
        "node-lost",
        schedule={"epochs": 150},  # long enough for the old writer to see the new one
        evaluation={"everyEpochs": 75},
        checkpoint={"interval": "1s"},
        resilience={"terminationGracePeriod": "5s"},
    ).apply()
    run.reaches_step(10)
    old = run.pod()
    node = old["spec"]["nodeName"]
    with runs.node_cut(node):  # its containers go on, nobody hears of them
        runs.wait("the next attempt", lambda: run.status()["attempt"] == 2, seconds=120)
        assert run.pod()["spec"]["nodeName"] != node
        ended = runs.wait("the old writer's end", lambda: _end(runs.node_log(node, old)), seconds=120)
        assert ended["exit_code"] == 76, ended
        assert "attempt 2" in ended["message"]
    run.becomes("Succeeded", seconds=400)
    run.disrupted_only("NodeLost")
    runs.wait("the old pod to go", lambda: len(run.pods()) == 1, seconds=120)
    steps = [row["step"] for row in runs.step_log(run)]
    assert steps == sorted(set(steps)), "each row stands once"


def _end(log):
    return next((record for record in log if record.get("event") == "ended"), None)


def test_a_node_loses_power(runs):
    change = {
        "schedule": {"epochs": 40},
        "evaluation": {"everyEpochs": 20},
        "checkpoint": {"interval": "2s"},
        "resilience": {"terminationGracePeriod": "5s"},
    }
    run = runs.new("power", **change).apply()
    run.reaches_step(10)
    node = run.pod()["spec"]["nodeName"]
    with runs.node_down(node):
        run.becomes("Succeeded", seconds=300)
    run.disrupted_only("NodeLost")
    assert run.attempts()[1]["node"] != node
