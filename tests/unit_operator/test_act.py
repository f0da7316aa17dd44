"""Writes: in order, repeatable, never against an old version."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from unit_operator.fake_api import FakeApi
from unit_operator.model_cluster import Cluster
from vistrain_api import protocol
from vistrain_operator import metrics, objects
from vistrain_operator.act import Actor, NameTaken
from vistrain_operator.actions import CreateJob, Decision, DeleteJob, RecordEvent
from vistrain_operator.api import Api, ApiError
from vistrain_operator.decide import decide
from vistrain_operator.store import Store

RUN = "/apis/vistrain.dev/v1alpha1/namespaces/team/detectortrainings/demo"
JOBS = "/apis/batch/v1/namespaces/team/jobs"


class Stage:
    """A run on a fake API server, with the decision of its first pass."""

    def __init__(self) -> None:
        self.api = FakeApi()
        self.store = Store()
        self.actor = Actor(cast(Api, self.api), self.store, "me")
        self.cluster = Cluster()
        assert self.cluster.run is not None
        self.run = self.api.put(RUN, self.cluster.run)
        self.cluster.run = self.run
        observed = self.cluster.observe()
        assert observed is not None
        self.decision = decide(observed)

    def act(self, decision: Decision | None = None) -> None:
        asyncio.run(self.actor.act(self.run, decision or self.decision))


def test_the_status_is_written_before_the_job() -> None:
    stage = Stage()
    stage.act()
    status, manifest, job = stage.api.requests
    assert status == ("PATCH", "detectortrainings/status")
    assert manifest == ("POST", "configmaps")
    assert job == ("POST", "jobs")
    assert stage.api.objects[RUN]["status"]["startTime"]


def test_a_conflict_stops_the_pass_before_the_job() -> None:
    stage = Stage()
    stage.api.put(RUN, stage.api.objects[RUN])  # somebody else writes
    with pytest.raises(ApiError) as caught:
        stage.act()
    assert caught.value.conflict
    assert ("POST", "jobs") not in stage.api.requests


def test_everything_can_be_repeated() -> None:
    stage = Stage()
    stage.act()
    before = stage.api.objects.copy()
    stage.run = stage.api.objects[RUN]
    again = Decision(status=None, actions=stage.decision.actions)
    stage.act(again)
    assert set(stage.api.objects) == set(before)


def test_a_job_of_another_owner_is_not_adopted() -> None:
    stage = Stage()
    [job] = [a.body for a in stage.decision.actions if isinstance(a, CreateJob)]
    stage.api.put(f"{JOBS}/{objects.name(job)}", {"metadata": {"name": objects.name(job)}})
    with pytest.raises(NameTaken, match="another owner"):
        stage.act()
    told = [o for path, o in stage.api.objects.items() if "/events/" in path]
    assert [e["reason"] for e in told] == ["NameTaken"]


def shared_job(name: str, mark: str, owner: str) -> dict[str, Any]:
    owners = [{"uid": owner, "controller": True}]
    labels = {protocol.LABEL_PREPARATION: mark, protocol.LABEL_RUN_UID: owner}
    return {"metadata": {"name": name, "namespace": "team", "labels": labels, "ownerReferences": owners}}


def test_a_preparation_of_another_run_is_adopted() -> None:
    stage = Stage()
    stage.api.put(f"{JOBS}/prepare-a", shared_job("prepare-a", "0123456789", "another run"))
    body = shared_job("prepare-a", "0123456789", objects.uid(stage.run))
    stage.act(Decision(status=None, actions=(CreateJob(body, shared=True),)))
    [seen] = stage.store.jobs(("team", "0123456789"))
    assert objects.controller_uid(seen) == "another run"
    assert not [path for path in stage.api.objects if "/events/" in path]


def test_something_else_by_the_name_of_a_preparation_is_not_adopted() -> None:
    stage = Stage()
    stage.api.put(f"{JOBS}/prepare-a", shared_job("prepare-a", "fedcba9876", "another run"))
    body = shared_job("prepare-a", "0123456789", objects.uid(stage.run))
    with pytest.raises(NameTaken, match="another owner"):
        stage.act(Decision(status=None, actions=(CreateJob(body, shared=True),)))


def test_a_job_that_a_quota_refuses_is_told() -> None:
    stage = Stage()
    stage.api.refuse["POST", "jobs"] = ApiError(403, "Forbidden", "exceeded quota: jobs")
    with pytest.raises(ApiError):
        stage.act()
    told = [o for path, o in stage.api.objects.items() if "/events/" in path]
    assert [(e["reason"], e["type"]) for e in told] == [("JobRejected", "Warning")]
    assert "exceeded quota" in told[0]["message"]


def test_the_same_event_is_told_once() -> None:
    stage = Stage()
    event = RecordEvent("Normal", "Evicted", "attempt 1 ended", "pod-1")
    for _ in range(3):
        stage.act(Decision(status=None, events=(event,)))
    stage.act(Decision(status=None, events=(RecordEvent("Normal", "Evicted", "attempt 1 ended", "pod-2"),)))
    assert len([p for p in stage.api.objects if "/events/" in p]) == 2


def test_an_event_that_cannot_be_recorded_stops_nothing() -> None:
    stage = Stage()
    stage.api.refuse["POST", "events"] = ApiError(403, "Forbidden", "namespace is being terminated")
    stage.act(Decision(status=stage.decision.status, events=(RecordEvent("Normal", "A", "b"),)))
    assert stage.api.objects[RUN]["status"]


def test_counters_rise_with_the_status_that_holds_the_count_and_not_without_it() -> None:
    def evicted() -> float:
        value = metrics.REGISTRY.get_sample_value("vistrain_disruptions_total", {"class": "Evicted"})
        return value or 0.0

    stage = Stage()
    before = evicted()
    counted = Decision(status=stage.decision.status, counted=(("disruption", "Evicted"),))
    stage.act(counted)
    assert evicted() == before + 1
    with pytest.raises(ApiError):
        stage.act(counted)  # against the old version: another process wrote it meanwhile
    assert evicted() == before + 1


def test_a_deletion_names_the_uid() -> None:
    stage = Stage()
    job = stage.api.put(f"{JOBS}/j", {"metadata": {"name": "j"}})
    stage.act(Decision(status=None, actions=(DeleteJob("j", "another"),)))
    assert f"{JOBS}/j" in stage.api.objects
    stage.act(Decision(status=None, actions=(DeleteJob("j", objects.uid(job)),)))
    assert f"{JOBS}/j" not in stage.api.objects


def test_what_was_written_is_seen_before_the_watch_brings_it() -> None:
    stage = Stage()
    stage.act()
    key = ("team", "demo")
    uid = objects.uid(stage.run)
    old: dict[Any, Any] = {key: [_packed(stage.run)]}
    stage.store.connect(old, {}, {}, None)
    seen = stage.store.run(key)
    assert seen is not None
    assert seen["status"]["startTime"]
    [job] = stage.store.jobs(uid)
    # The watch brings the Job, then its deletion: it must not come back.
    stage.store.saw_job({**job, "metadata": {**job["metadata"]}})
    assert stage.store.jobs(uid) == []
    stage.store.saw_run(stage.api.objects[RUN], deleted=False)
    seen = stage.store.run(key)
    assert seen is not None
    assert "status" not in seen


def _packed(run: dict[str, Any]) -> bytes:
    from vistrain_operator.store import pack, trim_run

    return pack(trim_run(run))
