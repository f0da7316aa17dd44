"""Why an attempt ended: a table of pods, and of Jobs whose pod is gone."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from vistrain_api.failures import HANDLING, FailureClass
from vistrain_api.protocol import EXIT_CLASSES
from vistrain_operator import timestamps
from vistrain_operator.decide.classify import End, end_of_job, end_of_pod, lost
from vistrain_operator.observed import NodeView

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
ALIVE = {"n": NodeView("n", ready="True")}
SILENT = {"n": NodeView("n", ready="Unknown")}
JOB: dict[str, Any] = {"metadata": {"name": "j", "uid": "j"}, "spec": {}, "status": {}}
DELETED_JOB = {**JOB, "metadata": {**JOB["metadata"], "deletionTimestamp": timestamps.text(NOW)}}
QUEUED_JOB = {**JOB, "spec": {"suspend": True}}


def pod(
    code: int | None = None,
    *,
    phase: str = "Failed",
    container_reason: str = "Error",
    disruption: str | None = None,
    deleted_before: float | None = None,
    words: dict[str, Any] | None = None,
    node: str = "n",
    **status: Any,
) -> dict[str, Any]:
    """A pod; `deleted_before`: seconds since its grace period was over."""
    made: dict[str, Any] = {"metadata": {"name": "p", "uid": "p"}, "spec": {}, "status": {"phase": phase}}
    made["status"] |= status
    if node:
        made["spec"]["nodeName"] = node
    if code is not None:
        terminated: dict[str, Any] = {"exitCode": code, "reason": container_reason}
        if words is not None:
            terminated["message"] = json.dumps({"attempt": 1, "token": 1, "phase": "Training", **words})
        made["status"]["containerStatuses"] = [{"name": "trainer", "state": {"terminated": terminated}}]
    if disruption is not None:
        condition = {"type": "DisruptionTarget", "status": "True", "reason": disruption, "message": "told"}
        made["status"]["conditions"] = [condition]
    if deleted_before is not None:
        over = NOW - timedelta(seconds=deleted_before)
        made["metadata"]["deletionTimestamp"] = timestamps.text(over)
    return made


def end(made: dict[str, Any], job: Any = JOB, *, suspending: bool = False, nodes: Any = ALIVE) -> End | None:
    return end_of_pod(made, job, suspending=suspending, nodes=nodes, now=NOW)


F = FailureClass
TABLE: list[tuple[str, dict[str, Any], dict[str, Any], FailureClass | None]] = [
    ("finished", {"code": 0, "phase": "Succeeded"}, {}, None),
    ("finished while it was evicted", {"code": 0, "disruption": "EvictionByEvictionAPI"}, {}, None),
    ("finished while it was suspended", {"code": 0, "phase": "Succeeded"}, {"suspending": True}, None),
    ("Eviction API", {"code": 75, "disruption": "EvictionByEvictionAPI"}, {}, F.EVICTED),
    ("Eviction API, killed", {"code": 137, "disruption": "EvictionByEvictionAPI"}, {}, F.EVICTED),
    ("evicted, an odd code", {"code": 1, "disruption": "EvictionByEvictionAPI"}, {}, F.EVICTED),
    ("evicted, disk full", {"code": 74, "disruption": "EvictionByEvictionAPI"}, {}, F.STORAGE_FAULT),
    ("preempted", {"code": 75, "disruption": "PreemptionByScheduler"}, {}, F.PREEMPTED),
    ("tainted node", {"code": 75, "disruption": "DeletionByTaintManager"}, {}, F.EVICTED),
    ("node lost", {"disruption": "DeletionByTaintManager"}, {"nodes": SILENT}, F.NODE_LOST),
    ("node object gone", {"disruption": "DeletionByPodGC"}, {"nodes": {}}, F.NODE_LOST),
    ("no node yet", {"disruption": "DeletionByPodGC", "node": ""}, {}, F.DELETED),
    (
        "node pressure",
        {"code": 137, "disruption": "TerminationByKubelet", "reason": "Evicted"},
        {},
        F.EVICTED,
    ),
    ("node pressure, old kubelet", {"code": 137, "reason": "Evicted"}, {}, F.EVICTED),
    ("node shutdown", {"code": 75, "reason": "Terminated"}, {}, F.EVICTED),
    ("refused by the device plugin", {"reason": "UnexpectedAdmissionError"}, {}, F.ADMISSION_REJECTED),
    ("refused for want of a slice", {"reason": "OutOfnvidia.com/mig-1g.20gb"}, {}, F.ADMISSION_REJECTED),
    ("pod deleted", {"code": 75, "deleted_before": -20}, {}, F.DELETED),
    ("pod deleted before it ran", {"phase": "Pending", "node": "", "deleted_before": 0}, {}, F.DELETED),
    ("Job deleted", {"code": 75}, {"job": DELETED_JOB}, F.DELETED),
    ("Job gone", {"code": 75}, {"job": None}, F.DELETED),
    ("suspended", {"code": 75, "deleted_before": -20}, {"suspending": True}, F.SUSPENDED),
    ("suspended, killed", {"code": 137, "deleted_before": 0}, {"suspending": True}, F.SUSPENDED),
    ("quota taken back", {"code": 75, "deleted_before": 0}, {"job": QUEUED_JOB}, F.PREEMPTED),
    ("bad input while suspended", {"code": 64}, {"suspending": True}, F.BAD_INPUT),
    ("out of memory", {"code": 137, "container_reason": "OOMKilled"}, {}, F.OUT_OF_MEMORY_HOST),
    ("loader killed", {"code": 70, "words": {"failure": "OutOfMemoryHost"}}, {}, F.OUT_OF_MEMORY_HOST),
    ("loader died", {"code": 70, "words": {"failure": "Unknown"}}, {}, F.UNKNOWN),
    ("stopped, nobody asked", {"code": 75}, {}, F.UNKNOWN),
    ("killed, nobody knows why", {"code": 137}, {}, F.UNKNOWN),
    ("segmentation fault", {"code": 139}, {}, F.UNKNOWN),
    ("fenced while current", {"code": 76, "words": {"failure": "NodeLost"}}, {}, F.UNKNOWN),
    ("no code at all", {"reason": "Weird"}, {}, F.UNKNOWN),
    *((f"exit {code}", {"code": code}, {}, failure) for code, failure in EXIT_CLASSES.items()),
]


@pytest.mark.parametrize(("made", "around", "expected"), [t[1:] for t in TABLE], ids=[t[0] for t in TABLE])
def test_the_end_of_a_pod(
    made: dict[str, Any], around: dict[str, Any], expected: FailureClass | None
) -> None:
    found = end(pod(**made), **around)
    assert found is not None
    assert found.failure == expected
    assert found.message or expected is None


def test_a_pod_that_runs_has_not_ended() -> None:
    assert end(pod(phase="Running")) is None
    assert end(pod(phase="Running", deleted_before=-10)) is None
    assert end(pod(phase="Running", deleted_before=4)) is None  # the kubelet may be a little late


@pytest.mark.parametrize(
    ("seconds", "nodes", "disruption", "expected"),
    [
        (6, SILENT, None, True),
        (6, {}, None, True),  # the node object is gone
        (6, ALIVE, None, False),  # its kubelet will end it
        (301, ALIVE, None, True),  # or not
        (4, SILENT, None, False),
        (6, None, "DeletionByTaintManager", True),  # nodes may not be read: the pod itself tells
        (6, None, None, False),
    ],
)
def test_a_pod_is_lost(seconds: float, nodes: Any, disruption: str | None, expected: bool) -> None:
    made = pod(phase="Running", deleted_before=seconds, disruption=disruption)
    assert lost(made, nodes, NOW) is expected
    found = end(made, nodes=nodes)
    assert (found is not None and found.failure is F.NODE_LOST) is expected


def test_last_words_are_kept_and_words_that_are_none_are_passed_over() -> None:
    told = end(pod(64, words={"message": "dataset.train.annotations: no such file", "lastStep": 7}))
    assert told is not None
    assert told.message == "dataset.train.annotations: no such file"
    assert told.words is not None
    assert told.words.last_step == 7
    cut = pod(64)
    cut["status"]["containerStatuses"][0]["state"]["terminated"]["message"] = '{"attempt": 1, "tok'
    assert end(cut) == End(F.BAD_INPUT, "the trainer ended with exit code 64", NOW, 64, None)
    newer = end(pod(64, words={"message": "m", "fieldOfTheFuture": 1}))
    assert newer is not None
    assert newer.message == "m"


def failed(message: str) -> dict[str, Any]:
    condition = {"type": "Failed", "status": "True", "reason": "PodFailurePolicy", "message": message}
    return {**JOB, "status": {"conditions": [condition]}}


BY_CODE = "Container trainer for pod ns/p failed with exit code {} matching FailJob rule at index 1"
JOBS: list[tuple[str, Any, dict[str, Any], FailureClass | None]] = [
    ("gone", None, {}, F.DELETED),
    ("gone, suspended", None, {"suspending": True}, F.SUSPENDED),
    ("complete", {**JOB, "status": {"conditions": [{"type": "Complete", "status": "True"}]}}, {}, None),
    (
        "disrupted",
        failed("Pod ns/p has condition DisruptionTarget matching FailJob rule at index 0"),
        {},
        F.EVICTED,
    ),
    ("stopped", failed(BY_CODE.format(75)), {}, F.DELETED),
    ("stopped, suspended", failed(BY_CODE.format(75)), {"suspending": True}, F.SUSPENDED),
    ("bad input", failed(BY_CODE.format(64)), {}, F.BAD_INPUT),
    ("a fault", failed(BY_CODE.format(1)), {}, F.UNKNOWN),
    ("no code", failed("Job has reached the specified backoff limit"), {}, F.DELETED),
    ("taken back by its queue", QUEUED_JOB, {"had_pod": True}, F.PREEMPTED),
]


@pytest.mark.parametrize(("job", "around", "expected"), [t[1:] for t in JOBS], ids=[t[0] for t in JOBS])
def test_the_end_of_a_job_whose_pod_is_gone(
    job: Any, around: dict[str, Any], expected: FailureClass | None
) -> None:
    found = end_of_job(job, **{"had_pod": True, "suspending": False, "now": NOW, **around})
    assert found is not None
    assert found.failure == expected


def test_a_job_that_may_still_make_its_pod_has_not_ended() -> None:
    assert end_of_job(JOB, had_pod=True, suspending=False, now=NOW) is None
    assert end_of_job(QUEUED_JOB, had_pod=False, suspending=False, now=NOW) is None


def test_every_class_is_handled() -> None:
    assert set(HANDLING) == set(FailureClass)
