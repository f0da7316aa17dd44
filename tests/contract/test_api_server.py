"""A real API server holds the contract: it refuses by field, fills in defaults, and its messages help."""

import copy
import json

import pytest

from support.contract.manifests import VALID, base, changed, read, steps
from support.contract.violations import violations
from vistrain_api.crd.definition import NAME
from vistrain_api.manifest import parse
from vistrain_devcluster.kubectl import KubectlError


def test_the_crd_is_established_and_structural(server):
    conditions = {
        c["type"]: c["status"] for c in server.kubectl.get("crd", NAME)["status"].get("conditions", ())
    }
    assert conditions == {"NamesAccepted": "True", "Established": "True"}


@pytest.mark.parametrize("path", VALID, ids=lambda path: path.stem)
def test_a_valid_manifest_gets_the_defaults_of_a_local_reading(server, path):
    manifest = read(path)
    answer = server.create(manifest)
    assert answer.accepted, answer.message
    local = parse(copy.deepcopy(manifest)).spec.model_dump(mode="json", by_alias=True, exclude_none=True)
    assert answer.body["spec"] == local


@pytest.mark.parametrize("violation", violations(), ids=str)
def test_a_violation_is_refused_by_field(server, violation):
    answer = server.create(violation.manifest)
    assert answer.code == 422, answer.body
    assert violation.says in answer.message
    assert violation.field in answer.fields, answer.message


TYPOS = [
    ("spec.schedule.epoch", "epochs"),
    ("spec.shedule", "schedule"),
    ("spec.resources.accelerator.cpu.count", "there are no fields here"),
    ("spec.model.yolox.inputsize", "inputSize"),
    ("spec.dataset.train.anotations", "annotations"),
    ("spec.checkpoint.keep.lst", "last"),
    ("metadata.lables", "labels"),
    ("sepc", "spec"),
]


@pytest.mark.parametrize(("field", "hint"), TYPOS)
def test_a_typo_is_refused_by_kubectl_and_locally(server, field, hint):
    manifest = base()
    for part in [".".join(field.split(".")[:n]) for n in range(1, field.count(".") + 1)]:
        if part == "spec.checkpoint.keep":
            manifest = changed(manifest, steps(part), {})
    manifest = changed(manifest, steps(field), 1, grafted=False)
    with pytest.raises(KubectlError, match=f'unknown field "{field}"'):
        server.kubectl.run("apply", "-f", "-", stdin=json.dumps(manifest))
    with pytest.raises(ValueError, match=f"^{field}: unknown field.*{hint}"):
        parse(manifest)


def test_a_typo_is_refused_by_server_side_apply(server):
    manifest = changed(base(), steps("spec.schedule.epoch"), 1)
    with pytest.raises(KubectlError, match=r"spec\.schedule\.epoch"):
        server.kubectl.run("apply", "--server-side", "-f", "-", stdin=json.dumps(manifest))


def test_a_client_that_does_not_ask_for_strictness_loses_the_field(server):
    manifest = changed(base(), steps("spec.schedule.epoch"), 1)
    answer = server.create(manifest, strict=False)
    assert answer.accepted
    assert "epoch" not in answer.body["spec"]["schedule"]


# One of each kind, through kubectl itself, as a person meets it.
SAMPLE = [
    ("spec.model.yolox.variant", "xl", "Unsupported value"),
    ("spec.model.yolox.inputSize.height", 100, "multiple of 32"),
    ("spec.schedule.epochs", 0, "greater than or equal to 1"),
    ("spec.schedule.epochs", "ten", "must be of type integer"),
    ("spec.schedule.learningRate.peak", 0, "greater than 0"),
    ("spec.checkpoint", {"volume": {"claimName": "c"}, "interval": "10min"}, "spec.checkpoint.interval"),
    ("spec.checkpoint", {"volume": {"claimName": "c"}, "path": "../c"}, "spec.checkpoint.path"),
    ("spec.resources.memory", "24GB", "should match"),
    ("spec.resources.memory", 24, "a number without a unit counts bytes"),
    ("spec.resources.accelerator", {"mig": {"profile": "1g20gb"}}, "spec.resources.accelerator.mig.profile"),
    ("spec.dataset.classes", ["car", "car"], "Duplicate value"),
    ("spec.model", {}, "exactly one of yolox, ultralytics must be given"),
    ("spec.schedule.phases", [{"name": "a", "freeze": ["encoder"]}], "name parts of YOLOX"),
    ("metadata.name", "a" * 51, "may not be more than 50"),
]


@pytest.mark.parametrize(("field", "value", "says"), SAMPLE)
def test_kubectl_apply_names_the_field(server, field, value, says):
    manifest = changed(base(), steps(field), value)
    with pytest.raises(KubectlError) as caught:
        server.kubectl.run("apply", "-f", "-", stdin=json.dumps(manifest))
    assert field in str(caught.value)
    assert says in str(caught.value)


def test_the_order_of_classes_is_kept_by_server_side_apply(server):
    """Their order is part of the artifact's identity, and the list's type is a set, which apply merges."""
    manifest = changed(base(), steps("metadata.name"), "ordered")
    try:
        for classes in (["car", "truck", "bus"], ["bus", "car", "truck"], ["truck", "van", "bus", "car"]):
            answer = server.apply(changed(manifest, steps("spec.dataset.classes"), classes))
            assert answer.body["spec"]["dataset"]["classes"] == classes
    finally:
        server.delete("ordered")


COLUMNS = "NAME MODEL PHASE EPOCH STEP PROGRESS ETA BEST SLICE ATTEMPT DISRUPTED AGE"
ROW = "columns yolox-l Training 12/30 10540 41% 2h10m AP 0.087 1g.20gb 3 2 "


def test_columns_of_kubectl_get(server):
    manifest = changed(base(), steps("metadata.name"), "columns")
    assert server.create(manifest, dry_run=False).accepted
    display = {
        "model": "yolox-l",
        "epoch": "12/30",
        "progress": "41%",
        "eta": "2h10m",
        "best": "AP 0.087",
        "slice": "1g.20gb",
        "imagesPerSecond": "31.2",
        "node": "node-a",
    }
    status = {
        "phase": "Training",
        "display": display,
        "progress": {"step": 10540},
        "attempt": 3,
        "disruptions": 2,
        "failures": 1,
        "lastCheckpoint": {
            "step": 10500,
            "path": "checkpoints/step-000010500",
            "sha256": "0" * 64,
            "savedAt": "2026-01-01T00:00:00Z",
        },
    }
    try:
        answer = server.patch("columns", {"status": status}, subresource="/status")
        assert answer.accepted, answer.message
        head, row = server.kubectl.run("get", "dtrain", "columns").splitlines()
        assert " ".join(head.split()) == COLUMNS
        assert " ".join(row.split()).startswith(ROW)
        head, row = server.kubectl.run("get", "dtrain", "columns", "-o", "wide").splitlines()
        assert head.split()[12:] == ["IMAGES/S", "NODE", "CHECKPOINT", "SAVED", "FAILURES"]
        assert row.split()[13:16] == ["31.2", "node-a", "10500"]
        selected = server.kubectl.run(
            "get", "dtrain", "--field-selector", "status.phase=Training", "-o", "name"
        )
        assert selected.split() == [f"detectortraining.{NAME.split('.', 1)[1]}/columns"]
        for category in ("vistrain", "all"):
            assert "columns" in server.kubectl.run("get", category, "-o", "name")
    finally:
        server.delete("columns")
