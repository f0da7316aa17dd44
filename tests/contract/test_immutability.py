"""What may change after a run has started, on a real API server and in a local reading."""

import copy

import pytest

from support.contract.manifests import CORPUS, base, changed, read, steps
from vistrain_api.crd.definition import root_schema
from vistrain_api.detector import ALWAYS_MUTABLE, MUTABLE_WHILE_SUSPENDED, DetectorTrainingSpec
from vistrain_api.manifest import parse
from vistrain_api.mutability import differences, forbidden_changes

STARTED = {"status": {"startTime": "2026-01-01T00:00:00Z", "phase": "Training"}}

# One change of each member of the spec.
CHANGES = {
    "model": {"yolox": {"inputSize": {"height": 64}}},
    "initialization": {"weights": {"volume": {"claimName": "w"}, "path": "w.pth"}, "scratch": None},
    "dataset": {"classes": ["truck"]},
    "schedule": {"epochs": 4},
    "augmentation": {"flip": 0.25},
    "evaluation": {"gates": [{"metric": "AP", "min": 0.1}]},
    "checkpoint": {"interval": "5m"},
    "resources": {"cpu": 8},
    "resilience": {"maxFailures": 5},
    "scheduling": {"nodeSelector": {"zone": "b"}},
    "pod": {"labels": {"team": "b"}},
    "suspend": True,
    "ttlAfterFinished": "1h",
}
MEMBERS = [field.alias or name for name, field in DetectorTrainingSpec.model_fields.items()]
FIXED = [m for m in MEMBERS if m not in (*ALWAYS_MUTABLE, *MUTABLE_WHILE_SUSPENDED)]


@pytest.fixture
def run(server, request):
    """A run that is stored; its name."""
    name = "still"
    assert server.create(changed(base(), steps("metadata.name"), name), dry_run=False).accepted
    yield name
    server.delete(name)


def start(server, name):
    answer = server.patch(name, STARTED, subresource="/status")
    assert answer.accepted, answer.message


def test_every_member_of_the_spec_has_a_change_here():
    assert set(CHANGES) == set(MEMBERS)


def test_every_rule_on_changes_is_tried_here():
    named = {rule["fieldPath"] for rule in root_schema()["x-kubernetes-validations"]}
    tried = {f".spec.{member}" for member in (*FIXED, *MUTABLE_WHILE_SUSPENDED)}
    assert named == tried | {".status.startTime"}


@pytest.mark.parametrize("member", MEMBERS)
def test_before_the_start_everything_may_change(server, run, member):
    answer = server.patch(run, {"spec": {member: CHANGES[member]}})
    assert answer.accepted, answer.message


@pytest.mark.parametrize("member", FIXED)
@pytest.mark.parametrize("suspended", [False, True], ids=["running", "suspended"])
def test_after_the_start_the_rest_never_changes(server, run, member, suspended):
    assert server.patch(run, {"spec": {"suspend": suspended}}).accepted
    start(server, run)
    answer = server.patch(run, {"spec": {member: CHANGES[member]}})
    assert answer.code == 422
    assert f"{member} cannot change after the run has started: make a new run" in answer.message
    assert f"spec.{member}" in answer.fields


@pytest.mark.parametrize("member", ALWAYS_MUTABLE)
def test_after_the_start_some_of_it_may_change(server, run, member):
    start(server, run)
    answer = server.patch(run, {"spec": {member: CHANGES[member]}})
    assert answer.accepted, answer.message


@pytest.mark.parametrize("member", MUTABLE_WHILE_SUSPENDED)
def test_after_the_start_some_of_it_may_change_while_suspended(server, run, member):
    start(server, run)
    answer = server.patch(run, {"spec": {member: CHANGES[member]}})
    assert answer.code == 422
    assert f"{member} can change only while the run is suspended" in answer.message
    assert f"spec.{member}" in answer.fields
    assert server.patch(run, {"spec": {"suspend": True}}).accepted
    answer = server.patch(run, {"spec": {member: CHANGES[member], "suspend": False}})
    assert answer.accepted, answer.message


@pytest.mark.parametrize("time", [None, "2026-01-02T00:00:00Z"])
def test_the_start_is_never_taken_back(server, run, time):
    start(server, run)
    answer = server.patch(run, {"status": {"startTime": time}}, subresource="/status")
    assert answer.code == 422
    assert "status.startTime" in answer.fields


def test_applying_the_same_manifest_again_is_no_change(server):
    manifest = read(CORPUS / "valid" / "everything-supported.yaml")
    name = manifest["metadata"]["name"]
    try:
        assert server.apply(manifest).accepted
        start(server, name)
        answer = server.apply(manifest)
        assert answer.accepted, answer.message
    finally:
        server.delete(name)


def merged(value, change):
    """RFC 7386, as the API server merges a patch."""
    if not isinstance(change, dict) or not isinstance(value, dict):
        return change
    result = dict(value)
    for key, item in change.items():
        if item is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key, {}), item)
    return result


@pytest.mark.parametrize("member", MEMBERS)
@pytest.mark.parametrize("suspended", [False, True], ids=["running", "suspended"])
def test_a_local_reading_knows_the_same(member, suspended):
    old = changed(base(), steps("spec.suspend"), suspended)
    change = not suspended if member == "suspend" else CHANGES[member]
    new = copy.deepcopy(old) | {"spec": merged(old["spec"], {member: change})}
    before, after = parse(old).spec, parse(new).spec
    allowed = {*ALWAYS_MUTABLE, *(MUTABLE_WHILE_SUSPENDED if suspended else ())}
    assert differences(before, after) != []
    assert bool(forbidden_changes(before, after)) == (member not in allowed)


def test_differences_name_the_fields():
    old = parse(base()).spec
    new = parse(
        changed(changed(base(), steps("spec.schedule.epochs"), 9), ("spec", "pod"), {"image": "a"})
    ).spec
    assert differences(old, new) == ["schedule.epochs", "pod.image"]
    assert differences(old, old) == []
