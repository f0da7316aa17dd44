"""The preparation of raw data: one Job for all runs that ask for the same, whatever becomes of any."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from unit_operator.team import RAW, Team
from vistrain_api import protocol
from vistrain_api.digest import preparation_digest
from vistrain_api.manifest import parse
from vistrain_operator import objects, timestamps
from vistrain_operator.decide import decide

MADE = "train: 12 images, 30 boxes; validation: 4 images, 9 boxes"


def begun(*names: str, **spec: Any) -> Team:
    """The preparation's pod runs, and comes to no end by itself."""
    team = Team(*names, **spec)
    team.hang()
    return team.prepares()


def preflights(team: Team, name: str) -> int:
    return team.clusters[name].preflights_made


# What is made


def test_it_comes_first_and_holds_no_slice() -> None:
    team = Team("demo")
    team.look()
    job = team.job()
    run = team.clusters["demo"].run
    assert run is not None
    digest = preparation_digest(parse({**run, "status": None}).spec.dataset)
    assert digest is not None
    assert objects.name(job).startswith(f"prepare-{digest[:10]}-")
    assert "nvidia.com" not in str(job)
    assert team.status("demo")["startTime"]
    assert not team.clusters["demo"].jobs, "no pre-flight yet"
    assert (team.status("demo")["phase"], team.status("demo")["attempt"]) == ("Pending", 0)
    accepted = team.condition("demo", "Accepted")
    assert (accepted["status"], accepted["reason"]) == ("Unknown", "Preparing")
    running = team.condition("demo", "Running")
    assert (running["status"], running["reason"]) == ("False", "Preparing")
    assert objects.name(job) in running["message"]
    assert "v1.0-mini" in running["message"]
    record = team.record("demo")
    assert (record["digest"], record["job"]) == (digest, objects.name(job))
    assert "passedAt" not in record


def test_it_is_done_then_the_pre_flight_comes_and_then_the_attempt() -> None:
    team = begun("demo").ending(0, message=MADE)
    record = team.record("demo")
    assert record["passedAt"] == timestamps.text(team.commons.now)
    assert (record["exitCode"], record["failures"], record["message"]) == (0, 0, MADE)
    assert team.told("demo", "Prepared") == [f"the data set is made: {MADE}"]
    assert team.condition("demo", "Accepted")["reason"] == "Preflight"
    [preflight] = team.clusters["demo"].jobs.values()
    assert objects.errand(preflight) == "preflight"
    team.ends()
    assert team.status("demo")["phase"] == "Succeeded"
    assert team.commons.preparations_made == 1


def test_a_run_without_a_prepare_block_has_none() -> None:
    stated = {"annotations": "a.json", "images": "images"}
    finished = {"volume": {"claimName": "data"}, "train": stated, "validation": stated, "classes": ["car"]}
    team = Team("demo", dataset=finished).ends()
    assert team.status("demo")["phase"] == "Succeeded"
    assert "preparation" not in team.status("demo")
    assert not team.commons.jobs


# What is shared


def test_runs_that_ask_for_the_same_share_one_job() -> None:
    team = begun("a", "b", "c")
    assert team.maker() == "a"
    assert "run a" not in team.condition("a", "Running")["message"]
    assert "made for run a" in team.condition("b", "Running")["message"]
    team.ending(0, message=MADE)
    for name in ("a", "b", "c"):
        assert team.record(name)["passedAt"]
        assert team.told(name, "Prepared")
    team.ends()
    assert {team.status(name)["phase"] for name in "abc"} == {"Succeeded"}
    assert team.commons.preparations_made == 1


@pytest.mark.parametrize(
    "other",
    [
        {"dataset": {**RAW, "prepare": {"nuscenes": {"version": "v1.0-mini", "sweeps": True}}}},
        {"dataset": {**RAW, "classes": ["truck", "car"]}},
        {"checkpoint": {"volume": {"claimName": "checkpoints-of-b"}}},
        {"pod": {"image": "registry.example/trainer:2"}},
    ],
    ids=["other data", "other classes", "other volume", "other trainer"],
)
def test_runs_that_ask_for_something_else_have_a_job_of_their_own(other: Any) -> None:
    team = Team("a")
    team.add("b", **other)
    team.ends()
    assert team.commons.preparations_made == 2
    assert {team.status(name)["phase"] for name in "ab"} == {"Succeeded"}


def test_the_pictures_that_a_run_expects_are_its_own_matter() -> None:
    team = Team("a")
    team.add("b", dataset={**RAW, "prepare": {**RAW["prepare"], "train": {"expectImages": 3}}})
    team.ends()
    assert team.commons.preparations_made == 1


def test_one_that_comes_while_it_is_under_way_shares_it() -> None:
    team = begun("a").go(20)
    team.add("b")
    team.look()
    assert "made for run a" in team.condition("b", "Running")["message"]
    team.ending(0)
    assert team.record("b")["passedAt"]
    assert team.commons.preparations_made == 1


def test_one_that_comes_later_has_it_looked_at_again() -> None:
    """The data may have been deleted since; where they are whole the Job ends at once."""
    team = begun("a").ending(0).go(5)
    old = objects.uid(team.job())
    team.add("b")
    team.prepares()
    assert objects.uid(team.job()) != old
    assert "passedAt" not in team.record("b")
    team.ending(0).ends()
    assert team.status("b")["phase"] == "Succeeded"
    assert team.commons.preparations_made == 2


def test_its_job_stays_for_an_hour() -> None:
    team = begun("a").ending(0, message=MADE).ends()
    assert team.job()
    for _ in range(61):
        team.step(60)
    assert not team.commons.jobs
    team.look()
    assert team.status("a")["phase"] == "Succeeded"


# What becomes of it with the run that made it


def test_the_run_that_made_it_is_deleted_and_another_makes_it_again() -> None:
    team = begun("a", "b")
    team.delete("a")
    team.until("another", lambda: team.commons.jobs and team.maker() == "b" and team.pod())
    assert team.record("b").get("failures", 0) == 0
    team.work()
    team.ends()
    assert team.status("b")["phase"] == "Succeeded"
    assert team.commons.preparations_made == 2


def test_the_run_that_made_it_is_suspended_and_it_goes_on_for_the_other() -> None:
    team = begun("a", "b")
    team.clusters["a"].suspend(True)
    team.go(3)
    assert team.status("a")["phase"] == "Suspended"
    assert team.pod() is not None
    team.ending(0, message=MADE)
    assert team.record("b")["passedAt"]
    assert team.record("a")["passedAt"], "it is done for the suspended one too"
    team.until("the end of b", lambda: team.over("b"))
    assert preflights(team, "a") == 0
    team.clusters["a"].suspend(False)
    team.ends()
    assert team.status("a")["phase"] == "Succeeded"
    assert team.commons.preparations_made == 1


def test_the_only_run_is_suspended_and_it_stops() -> None:
    team = begun("a")
    team.clusters["a"].suspend(True)
    team.go(3)
    assert team.status("a")["phase"] == "Suspended"
    assert not team.commons.jobs
    assert not team.commons.pods
    team.clusters["a"].suspend(False)
    team.work()
    team.ends()
    assert team.status("a")["phase"] == "Succeeded"
    assert (team.record("a")["failures"], team.record("a")["interruptions"]) == (0, 0)


def test_all_are_suspended_and_it_stops() -> None:
    team = begun("a", "b")
    for name in ("b", "a"):
        team.clusters[name].suspend(True)
        team.go(3)
    assert not team.commons.jobs
    assert {team.status(name)["phase"] for name in "ab"} == {"Suspended"}


def test_one_that_does_not_need_it_any_more_does_not_keep_it() -> None:
    team = begun("a", "b")
    team.clusters["a"].suspend(True)
    team.go(3)
    team.delete("b")
    team.go(15)
    assert not team.commons.jobs


def test_the_run_that_made_it_fails_and_it_goes_on_for_the_other() -> None:
    team = Team("a", resilience={"maxDuration": "10s", "terminationGracePeriod": "30s"})
    team.add("b")
    team.hang()
    team.prepares().go(15)
    assert team.condition("a", "Failed")["reason"] == "DeadlineExceeded"
    assert team.maker() == "a"
    team.ending(0).ends()
    assert team.status("b")["phase"] == "Succeeded"
    assert team.commons.preparations_made == 1


def test_a_run_that_is_over_lets_the_pods_of_others_be() -> None:
    """It may hear of a pod before it hears of the pod's Job."""
    team = begun("a").ending(0).ends()
    team.add("b")
    team.hang()
    team.until("another pod", lambda: team.pod() and team.maker() == "b")
    cluster = team.clusters["a"]
    seen = cluster.observe()
    assert seen is not None
    assert seen.pods
    decision = decide(replace(seen, jobs=tuple(j for j in seen.jobs if not objects.errand(j))))
    assert not decision.actions


# What refuses, fails and disturbs


def test_bad_input_fails_every_run_that_waits() -> None:
    said = "sample.json: sample_data 0a1b: no such token. Fetch the release again"
    team = begun("a", "b").ending(protocol.ExitCode.BAD_INPUT, failure="BadInput", message=said)
    for name in "ab":
        assert team.status(name)["phase"] == "Failed"
        for kind, status in (("Accepted", "False"), ("Failed", "True")):
            condition = team.condition(name, kind)
            assert (condition["status"], condition["reason"], condition["message"]) == (
                status,
                "BadInput",
                said,
            )
        assert team.record(name)["exitCode"] == 64
        assert "no slice was asked for" in team.told(name, "BadInput")[0]
        assert preflights(team, name) == 0
    team.go(30)
    assert team.commons.preparations_made == 1
    assert team.job(), "its log stays"


def test_a_failure_from_before_a_run_is_not_believed() -> None:
    said = "sample.json: there is no such table. Fetch it"
    team = begun("a").ending(protocol.ExitCode.BAD_INPUT, failure="BadInput", message=said).go(5)
    team.work()
    team.add("b")
    team.ends()
    assert team.status("b")["phase"] == "Succeeded"
    assert team.commons.preparations_made == 2


def test_the_failure_of_a_job_that_was_begun_before_a_run_is_not_believed_either() -> None:
    """It may have read what was corrected since."""
    team = begun("a").go(5)
    team.add("b")
    team.look()
    team.ending(protocol.ExitCode.BAD_INPUT, failure="BadInput", message="x")
    assert team.status("a")["phase"] == "Failed"
    assert team.status("b")["phase"] == "Pending"
    team.work()
    team.ends()
    assert team.status("b")["phase"] == "Succeeded"


def test_a_fault_counts_in_every_run_that_waits_and_it_is_made_again() -> None:
    team = begun("a", "b").ending(protocol.ExitCode.STORAGE_FAULT, message="the volume does not answer")
    for name in "ab":
        assert team.record(name)["failures"] == 1
        assert team.condition(name, "Running")["reason"] == "BackingOff"
        assert "fault 1, resilience.maxFailures allows 3" in team.told(name, "StorageFault")[0]
    team.work()
    team.ends()
    assert {team.status(name)["phase"] for name in "ab"} == {"Succeeded"}
    assert {team.status(name)["failures"] for name in "ab"} == {0}
    assert team.commons.preparations_made == 2


def test_a_run_whose_budget_is_spent_fails_and_the_other_goes_on() -> None:
    team = begun("a", resilience={"maxFailures": 0, "terminationGracePeriod": "30s"})
    team.add("b")
    team.look()
    team.ending(1)
    assert team.status("a")["phase"] == "Failed"
    assert "in the preparation" in team.condition("a", "Failed")["message"]
    team.work()
    team.ends()
    assert team.status("b")["phase"] == "Succeeded"


def test_out_of_memory_is_not_tried_again() -> None:
    team = begun("a")
    pod = team.pod()
    assert pod is not None
    team.commons.end_pod(objects.uid(pod), 137, reason="OOMKilled", words="")
    team.look()
    assert team.condition("a", "Failed")["reason"] == "OutOfMemoryHost"
    assert "resources.memory" in team.condition("a", "Failed")["message"]


@pytest.mark.parametrize(
    ("disturb", "failure"),
    [
        (lambda c, pod: c.evict(objects.uid(pod)), "Evicted"),
        (lambda c, pod: c.delete_pod(objects.uid(pod)), "Deleted"),
        (lambda c, pod: c.kill_node(pod["spec"]["nodeName"]), "NodeLost"),
    ],
)
def test_a_disturbed_one_is_made_again_and_counts_nowhere(disturb: Any, failure: str) -> None:
    team = begun("a", "b")
    disturb(team.commons, team.pod())
    team.go(60)
    record = team.record("a")  # b may not have seen it: a makes it again at once
    assert (record["class"], record["interruptions"], record["failures"]) == (failure, 1, 0)
    assert "made again" in team.told("a", failure)[0]
    assert team.record("b").get("failures", 0) == 0
    assert team.commons.preparations_made == 2
    team.work()
    team.ends()
    assert {team.status(name)["phase"] for name in "ab"} == {"Succeeded"}
    assert {team.status(name)["disruptions"] for name in "ab"} == {0}


@pytest.mark.parametrize("propagation", ["Foreground", "Background", "Orphan"])
def test_its_job_is_deleted_by_hand_and_made_again(propagation: str) -> None:
    team = begun("a", "b")
    team.commons.delete_job(objects.name(team.job()), propagation)
    team.go(5)
    team.work()
    team.ends()
    assert {team.status(name)["phase"] for name in "ab"} == {"Succeeded"}
    assert team.commons.preparations_made == 2
    assert [p for p in team.commons.pods.values() if not objects.pod_terminal(p)] == []


def test_a_hanging_one_is_stopped_after_an_hour_and_made_once_again_for_all() -> None:
    team = begun("a", "b")
    for _ in range(60):
        team.step(59)
        team.look()
    assert team.commons.preparations_made == 1
    team.go(90)
    assert (team.record("a")["class"], team.record("a")["failures"]) == ("Stalled", 1)
    assert "longer than an hour" in team.told("a", "Stalled")[0]
    assert team.commons.preparations_made == 2
    team.work()
    team.ends()
    assert {team.status(name)["phase"] for name in "ab"} == {"Succeeded"}


# What it waits for


def test_a_pod_that_finds_no_node_is_said_to_all() -> None:
    team = Team("a", "b")
    team.commons.kill_node("a")
    team.commons.kill_node("b")
    team.go(2)
    condition = {"type": "PodScheduled", "status": "False", "message": "0/2 nodes are available"}
    [pod] = team.commons.pods.values()
    pod["status"]["conditions"] = [condition]
    team.go(30)
    for name in "ab":
        assert team.condition(name, "Running")["reason"] == "Unschedulable"
        assert len(team.told(name, "Unschedulable")) == 1
    assert team.commons.preparations_made == 1


def test_a_run_that_lacks_a_claim_says_so_though_another_runs_job_is_under_way() -> None:
    team = begun("a", "b")
    team.clusters["b"].claims.discard("checkpoints")
    team.look()
    assert team.condition("b", "Accepted")["reason"] == "VolumeMissing"
    team.ending(0)
    assert team.record("b")["passedAt"]
    assert preflights(team, "b") == 0
    team.clusters["b"].claims.add("checkpoints")
    team.ends()
    assert team.status("b")["phase"] == "Succeeded"


def test_a_run_that_changes_its_mind_before_its_start_asks_for_the_other() -> None:
    team = begun("a").go(2)
    cluster = team.add("b")
    team.look()
    before = team.record("b")["digest"]
    assert cluster.run is not None
    assert "startTime" not in team.status("b"), "it has made nothing yet, so its spec may change"
    cluster.run["spec"]["dataset"] = {**RAW, "classes": ["car"]}
    cluster.run["metadata"]["generation"] += 1
    team.go(1)
    assert team.record("b")["digest"] != before
    assert len(team.commons.jobs) == 2
