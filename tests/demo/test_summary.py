"""The demo's summary is computed from the evidence: other evidence, another summary."""

import json

import pytest

from vistrain_devcluster.demo.ending import as_promised
from vistrain_devcluster.demo.evidence import documents
from vistrain_devcluster.demo.summary import EvidenceError, summarise


def pod(attempt: int, uid: str, *, restored: int | None, last: int, code: int) -> dict:
    words = {"attempt": attempt, "restoredStep": restored, "lastStep": last, "phase": "Training"}
    return {
        "metadata": {"name": f"run-{attempt}", "uid": uid, "labels": {"vistrain.dev/attempt": str(attempt)}},
        "spec": {"nodeName": f"node-{attempt}"},
        "status": {
            "containerStatuses": [
                {"name": "trainer", "state": {"terminated": {"exitCode": code, "message": json.dumps(words)}}}
            ]
        },
    }


@pytest.fixture
def evidence(tmp_path):
    (tmp_path / "logs").mkdir()
    files = {
        "run": {
            "metadata": {"name": "run"},
            "status": {
                "phase": "Succeeded",
                "disruptions": 1,
                "failures": 0,
                "best": {"metric": "AP", "value": 0.3, "epoch": 4, "step": 80},
                "attempts": [{"podUID": "u1", "class": "Evicted"}, {"podUID": "u2"}],
            },
        },
        "pods": {
            "items": [
                {"metadata": {"name": "run-preflight", "labels": {"vistrain.dev/preflight": "true"}}},
                pod(2, "u2", restored=33, last=80, code=0),
                pod(1, "u1", restored=None, last=33, code=75),
            ]
        },
        "eviction": {
            "at": "2026-01-01T10:00:00+00:00",
            "podUID": "u1",
            "progress": {"totalSteps": 80, "epochs": 4, "step": 32, "lastCheckpoint": {"step": 20}},
        },
        "diff": [{"name": "model", "identical": True}, {"name": "ema", "identical": True}],
    }
    for name, value in files.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(value))
    (tmp_path / "logs" / "run-2.log").write_text(
        '2026-01-01T10:00:05.000000000Z {"event": "resumed", "step": 33}\n'
        "2026-01-01T10:00:06.000000000Z a line of a library\n"
        '2026-01-01T10:00:06.250000000Z {"event": "first step", "step": 34}\n'
        '2026-01-01T10:00:07.000000000Z {"event": "step", "step": 35}\n'
    )
    return tmp_path


def test_the_story_of_an_eviction(evidence):
    summary = summarise(evidence)
    assert summary["podUIDs"] == ["u1", "u2"]
    assert (summary["stepAtEviction"], summary["stepAtResume"], summary["stepsLost"]) == (33, 33, 0)
    assert summary["secondsFromEvictionToFirstStep"] == 6.25
    assert summary["checkpointBeforeEviction"] == 20
    assert summary["offCheckpointBoundary"] is True
    assert [attempt["class"] for attempt in summary["attempts"]] == ["Evicted", None]
    assert as_promised(summary)


def change(evidence, name, edit):
    path = evidence / f"{name}.json"
    value = json.loads(path.read_text())
    edit(value)
    path.write_text(json.dumps(value))


def test_a_lost_step_is_told(evidence):
    change(
        evidence,
        "pods",
        lambda value: value["items"].__setitem__(0, pod(2, "u2", restored=20, last=80, code=0)),
    )
    summary = summarise(evidence)
    assert summary["stepsLost"] == 13
    assert not as_promised(summary)


def test_an_eviction_on_a_boundary_is_told(evidence):
    change(
        evidence,
        "pods",
        lambda value: value.__setitem__(
            "items",
            [pod(1, "u1", restored=None, last=40, code=75), pod(2, "u2", restored=40, last=80, code=0)],
        ),
    )
    assert not as_promised(summarise(evidence))


@pytest.mark.parametrize(
    ("name", "edit"),
    [
        ("diff", lambda value: value[1].__setitem__("identical", False)),
        ("diff", lambda value: value.clear()),
        ("run", lambda value: value["status"].__setitem__("phase", "Failed")),
        ("run", lambda value: value["status"].__setitem__("failures", 1)),
    ],
)
def test_a_broken_promise_is_told(evidence, name, edit):
    change(evidence, name, edit)
    assert not as_promised(summarise(evidence))


def test_missing_evidence_is_an_error(evidence):
    change(evidence, "pods", lambda value: value["items"].pop())
    with pytest.raises(EvidenceError, match="two pods"):
        summarise(evidence)


def test_no_first_step_is_an_error(evidence):
    (evidence / "logs" / "run-2.log").write_text("nothing\n")
    with pytest.raises(EvidenceError, match="first step"):
        summarise(evidence)


def test_a_stream_of_documents_may_end_in_the_middle_of_one():
    assert list(documents('{"a": 1}\n{"b": [2]}{"c"')) == [{"a": 1}, {"b": [2]}]
