"""A status as operator and trainer write it is what the API server keeps."""

import pytest

from support.contract.manifests import base, changed, steps
from vistrain_api.crd.definition import root_schema
from vistrain_api.failures import FailureClass
from vistrain_api.status import RunStatus

WHEN = "2026-01-01T10:00:00Z"
CHECKPOINT = {"step": 120, "path": "checkpoints/step-000000120", "sha256": "0" * 64, "savedAt": WHEN}
FULL = {
    "observedGeneration": 3,
    "phase": "Training",
    "startTime": WHEN,
    "completionTime": WHEN,
    "conditions": [
        {
            "type": kind,
            "status": "True",
            "reason": "AsExpected",
            "message": "as expected",
            "lastTransitionTime": WHEN,
            "observedGeneration": 3,
        }
        for kind in ("Accepted", "Running")
    ],
    "progress": {
        "epoch": 1,
        "epochs": 4,
        "step": 121,
        "totalSteps": 400,
        "percent": 30,
        "evaluated": 5,
        "etaSeconds": 60,
        "imagesPerSecond": 31.5,
        "updatedAt": WHEN,
    },
    "attempt": 2,
    "disruptions": 1,
    "failures": 0,
    "stepsLost": 0,
    "attempts": [
        {
            "podUID": "a",
            "number": 1,
            "job": "run-abcde-1",
            "pod": "run-abcde-1-xyz",
            "node": "node-a",
            "startedAt": WHEN,
            "endedAt": WHEN,
            "restoredStep": 100,
            "lastStep": 120,
            "stepsLost": 0,
            "resumeSeconds": 4.5,
            "exitCode": 75,
            "class": "Evicted",
            "counted": "disruption",
            "message": "evicted by the Eviction API",
        }
    ],
    "retryAt": WHEN,
    "lastCheckpoint": CHECKPOINT,
    "preparation": {
        "digest": "0" * 64,
        "job": "prepare-0000000000-00000",
        "passedAt": WHEN,
        "failures": 1,
        "interruptions": 1,
        "jobUID": "c",
        "endedAt": WHEN,
        "exitCode": 74,
        "class": "StorageFault",
        "message": "the volume is full",
    },
    "preflight": {
        "passedAt": WHEN,
        "failures": 1,
        "interruptions": 1,
        "jobUID": "b",
        "endedAt": WHEN,
        "exitCode": 74,
        "class": "StorageFault",
        "message": "the volume is full",
    },
    "best": {"metric": "AP", "value": 0.25, "epoch": 1, "step": 100},
    "bestCheckpoint": CHECKPOINT | {"step": 100, "path": "checkpoints/step-000000100"},
    "results": {"AP": 0.25, "APsmall": None},
    "resolved": {
        "image": "trainer:1",
        "manifest": "run-manifest",
        "specDigest": "sha256:0",
        "path": "run-abcdefgh",
        "precision": "bf16",
        "device": "cpu",
        "initialization": {
            "volume": {"claimName": "checkpoints"},
            "path": "earlier/checkpoints/step-000000120",
            "sha256": "0" * 64,
            "optimizer": "keep",
        },
    },
    "gpuMemory": {"usedBytes": 1, "totalBytes": 2},
    "display": {
        "model": "yolox-s",
        "epoch": "1/4",
        "progress": "30%",
        "eta": "1m",
        "best": "AP 0.250",
        "slice": "1g.20gb",
        "imagesPerSecond": "31.5",
        "node": "node-a",
        "checkpoint": "120",
    },
}


@pytest.fixture
def run(server):
    """A run that is stored; its name."""
    name = "status"
    assert server.create(changed(base(), steps("metadata.name"), name), dry_run=False).accepted
    yield name
    server.delete(name)


def test_here_is_every_field_of_the_status():
    missing = []

    def walk(schema, value, path):
        for name, child in schema.get("properties", {}).items():
            if name in value:
                inner, item = (child["items"], value[name][0]) if "items" in child else (child, value[name])
                walk(inner, item, f"{path}.{name}")
            else:
                missing.append(f"{path}.{name}")

    walk(root_schema()["properties"]["status"], FULL, "status")
    assert missing == []


def test_a_status_is_kept_as_it_was_written(server, run):
    written = RunStatus.model_validate(FULL).model_dump(mode="json", by_alias=True, exclude_none=True)
    answer = server.patch(run, {"status": written}, subresource="/status")
    assert answer.accepted, answer.message
    # A merge patch takes null for "no such key"; server-side apply keeps it.
    assert answer.body["status"] == FULL | {"results": {"AP": 0.25}}
    assert RunStatus.model_validate(answer.body["status"]).attempts[0].failure_class is FailureClass.EVICTED


def test_nothing_is_added_to_a_status(server, run):
    answer = server.patch(run, {"status": {"phase": "Pending"}}, subresource="/status")
    assert answer.body["status"] == {"phase": "Pending"}


@pytest.mark.parametrize(
    ("status", "field"),
    [
        ({"phase": "Ready"}, "status.phase"),
        ({"conditions": [FULL["conditions"][0] | {"type": "Stalled"}]}, "status.conditions[0].type"),
        ({"conditions": [FULL["conditions"][0]] * 2}, "status.conditions[1]"),
        ({"attempts": [FULL["attempts"][0] | {"class": "Bored"}]}, "status.attempts[0].class"),
        ({"attempts": [FULL["attempts"][0]] * 2}, "status.attempts[1]"),
        ({"progress": {"percent": 101}}, "status.progress.percent"),
        ({"disruptions": -1}, "status.disruptions"),
        ({"preparation": {"digest": "0" * 65}}, "status.preparation.digest"),
        ({"preparation": {"class": "Bored"}}, "status.preparation.class"),
        ({"preflight": {"class": "Bored"}}, "status.preflight.class"),
        ({"preflight": {"failures": -1}}, "status.preflight.failures"),
    ],
)
def test_a_status_that_makes_no_sense_is_refused(server, run, status, field):
    answer = server.patch(run, {"status": status}, subresource="/status")
    assert answer.code == 422
    assert field in answer.fields


def test_a_status_is_not_taken_from_a_manifest(server):
    answer = server.create(base() | {"status": {"phase": "Succeeded"}})
    assert answer.accepted
    assert "status" not in answer.body
