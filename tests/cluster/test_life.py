"""A run that nothing disturbs, as a user sees it."""

import pytest

from support.site import unique

pytestmark = pytest.mark.cluster


def test_a_run_succeeds_and_shows_itself(runs):
    run = runs.new("life").apply()
    status = run.becomes("Succeeded")

    assert status["attempt"] == 1
    assert status.get("disruptions", 0) == 0
    assert status.get("failures", 0) == 0
    assert status["progress"]["percent"] == 100
    assert status["progress"]["step"] == status["progress"]["totalSteps"] == 18
    assert status["lastCheckpoint"]["step"] == 18
    assert len(status["lastCheckpoint"]["sha256"]) == 64
    assert status["best"]["metric"] == "AP"
    assert set(status["results"]) >= {"AP", "AP50", "AR100", "AP/car"}
    assert status["observedGeneration"] == run.object()["metadata"]["generation"]
    assert status["preflight"]["passedAt"]
    assert run.preflight_jobs() == run.preflight_pods() == []
    for condition in ("Accepted", "Succeeded"):
        assert run.condition(condition)["status"] == "True"
    assert "AP" in run.condition("Succeeded")["message"]
    said = run.said()
    for word in ("PreflightPassed", "Started", "Succeeded"):
        assert word in said

    table = run.kubectl.run("get", "dtrain", run.name)
    header, row = table.splitlines()
    assert (
        " ".join(header.split())
        == "NAME MODEL PHASE EPOCH STEP PROGRESS ETA BEST SLICE ATTEMPT DISRUPTED AGE"
    )
    for shown in ("yolox-nano", "Succeeded", "3/3", "18", "100%", "cpu"):
        assert shown in row
    wide = run.kubectl.run("get", "dtrain", run.name, "-o", "wide")
    assert "NODE" in wide.splitlines()[0]
    assert run.kubectl.run("get", "vistrain", run.name).splitlines()[1].startswith(run.name)  # the category


def test_a_run_on_a_slice_trains_where_the_slice_is_offered(runs):
    run = runs.new("slice", resources={"accelerator": {"cpu": None, "mig": {"profile": "3g.40gb"}}}).apply()
    run.becomes("Succeeded")
    [pod] = run.pods()
    assert pod["spec"]["nodeName"] == runs.node_offering("nvidia.com/mig-3g.40gb")
    assert pod["spec"]["containers"][0]["resources"]["limits"]["nvidia.com/mig-3g.40gb"] == "1"
    assert run.condition("SliceAvailable")["status"] == "True"


def test_a_slice_that_no_node_offers_is_said_and_waited_for(runs):
    run = runs.new(
        "no-slice", resources={"accelerator": {"cpu": None, "mig": {"profile": "7g.80gb"}}}
    ).apply()
    condition = runs.wait(
        "SliceAvailable to be False", lambda: _when(run.condition("SliceAvailable"), "False")
    )
    assert "7g.80gb" in condition["message"]
    assert "1g.20gb" in condition["message"]  # what is offered
    runs.wait("its Job", run.jobs)  # autoscalers need the pending pod
    assert run.status().get("failures", 0) == 0
    run.delete()


def test_a_gate_that_is_not_met_fails_the_run_and_keeps_its_results(runs):
    run = runs.new("gate", evaluation={"gates": [{"metric": "AP50", "min": 0.999}]}).apply()
    status = run.becomes("Failed")
    assert run.classes() == ["GateNotMet"]
    assert status["attempt"] == 1
    assert status.get("failures", 0) == 0
    assert run.condition("GatesMet")["status"] == "False"
    assert "AP50" in run.condition("GatesMet")["message"]
    assert "AP50" in status["results"]


def test_a_finished_folder_is_never_trained_again(runs):
    path = unique("repeat")
    run = runs.new("repeat", checkpoint={"path": path}).apply()
    first = run.becomes("Succeeded")
    run.delete()
    again = runs.new("repeat-again", checkpoint={"path": path}).apply()
    second = again.becomes("Succeeded")
    assert second["results"] == first["results"]
    assert second["lastCheckpoint"]["sha256"] == first["lastCheckpoint"]["sha256"]
    assert "first step" not in again.kubectl.logs(again.pods()[0]["metadata"]["name"])


def test_deleting_a_run_takes_all_it_owns_but_its_checkpoints(runs):
    run = runs.new("gone", schedule={"epochs": 200}).apply()
    run.reaches_step(7)
    path = run.status()["resolved"]["path"]
    run.delete()
    runs.wait("Jobs and pods to go", lambda: not run.jobs() and not run.pods())
    assert run.preflight_jobs() == run.preflight_pods() == []
    maps = run.kubectl.get("configmaps", "-l", f"vistrain.dev/run={run.name}")["items"]
    assert maps == []
    assert any((runs.checkpoint_folder() / path / "checkpoints").glob("step-*/meta.json"))


def test_ttl_after_finished_deletes_the_run_object(runs):
    run = runs.new("ttl", ttlAfterFinished="3s").apply()
    runs.wait("the run to go", lambda: run.kubectl.find("detectortraining", run.name) is None, seconds=90)


def _when(condition: dict, status: str) -> dict | None:
    return condition if condition.get("status") == status else None
