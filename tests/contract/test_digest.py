"""The digest of what decides a run's result."""

import pytest

from support.contract.manifests import CORPUS, base, changed, read, steps
from vistrain_api.detector import DetectorTrainingSpec
from vistrain_api.digest import deciding, preparation_digest, spec_digest
from vistrain_api.manifest import parse, read_yaml

NOT_DECIDING = {"checkpoint", "resources", "resilience", "scheduling", "pod", "suspend", "ttlAfterFinished"}


def digest(manifest):
    return spec_digest(parse(manifest).spec)


def test_its_form():
    assert digest(base()).startswith("sha256:")
    assert len(digest(base())) == len("sha256:") + 64


def test_it_is_stable():
    """A run folder written by an earlier version must be recognised: another digest is a broken contract."""
    assert digest(base()) == "sha256:87cd04a57337a43cc6761de4b95ee4e7099c72e3dce1c0141e19391089d8201a"


def test_two_spellings_of_one_run_have_one_digest():
    text = (CORPUS / "valid" / "minimal.yaml").read_text()
    other = text.replace("peak: 1e-3", "curve: yolox, peak: 0.001").replace(
        "epochs: 3", "seed: 0, epochs: 0x3"
    )
    other = other.replace("scratch: {}", "scratch: {}, weights: null").replace("[car]", "\n    - 'car'")
    other += "  augmentation: {degrees: 3, flip: 5e-1, mixup: {}}\n  evaluation: {gates: []}\n"
    assert other != text
    assert digest(read_yaml(other)) == digest(read_yaml(text))


CHANGES = {
    "model.yolox.variant": "s",
    "model.yolox.inputSize.height": 64,
    "initialization": {"checkpoint": {"volume": {"claimName": "c"}, "path": "a"}},
    "dataset.classes": ["truck"],
    "dataset.train.images": "other",
    "dataset.validation.expectImages": 3,
    "schedule.epochs": 4,
    "schedule.batchSize": 2,
    "schedule.seed": 1,
    "schedule.determinism": "fast",
    "schedule.optimizer": {"adamw": {}},
    "schedule.learningRate.peak": 2e-3,
    "schedule.learningRate.curve": "cosine",
    "schedule.warmupEpochs": 0,
    "schedule.noAugEpochs": 0,
    "schedule.ema": {"enabled": False},
    "schedule.precision": "bf16",
    "augmentation.mosaic": 0.3,
    "evaluation.confidence": 0.1,
    "evaluation.gates": [{"metric": "AP", "min": 0.1}],
}


@pytest.mark.parametrize("field", CHANGES)
def test_what_decides_changes_it(field):
    manifest = changed(base(), steps(f"spec.{field}"), CHANGES[field], grafted=False)
    assert digest(manifest) != digest(base())


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("checkpoint.path", "elsewhere"),
        ("dataset.loader", {"cache": "disk", "cacheBudget": "1Gi"}),
        ("dataset.loader", {"cache": "memory"}),
        ("resources.accelerator", {"mig": {"profile": "1g.20gb"}}),
        ("resources.cpu", 2),
        ("resilience.maxFailures", 9),
        ("scheduling.nodeSelector", {"zone": "a"}),
        ("pod.image", "other:2"),
        ("suspend", True),
        ("ttlAfterFinished", "1h"),
    ],
)
def test_what_does_not_decide_leaves_it(field, value):
    assert digest(changed(base(), steps(f"spec.{field}"), value, grafted=False)) == digest(base())


def test_every_member_of_the_spec_is_known_to_decide_or_not():
    members = {field.alias or name for name, field in DetectorTrainingSpec.model_fields.items()}
    assert members - set(deciding(parse(base()).spec)) == NOT_DECIDING


# The preparation of raw data


def prepared(**changes):
    """The digest of a preparation, with fields of the data set changed."""
    manifest = read(CORPUS / "valid" / "prepared.yaml")
    for field, value in changes.items():
        path = f"spec.dataset.{field.replace('__', '.')}"
        manifest = changed(manifest, steps(path), value, grafted=False)
    return preparation_digest(parse(manifest).spec.dataset)


def test_a_preparation_has_a_digest_and_another_data_set_has_none():
    assert prepared() == "8dc1e8bc6aecf04225e2f6b2acac624c802ed2bd98b4082d29198ddb44199435"
    assert preparation_digest(parse(base()).spec.dataset) is None


@pytest.mark.parametrize(
    "change",
    [
        {"prepare__nuscenes__version": "v1.0-trainval"},
        {"prepare__nuscenes__cameras": ["CAM_BACK"]},
        {"prepare__nuscenes__splits": "custom-560-140"},
        {"prepare__nuscenes__sweeps": True},
        {"prepare__nuscenes__visibility": [4]},
        {"prepare__nuscenes__projection": "clipped"},
        {"classes": ["car", "truck"]},
        {"classes": ["truck", "car"]},
        {"volume__claimName": "other"},
        {"volume__subPath": "other"},
    ],
    ids=str,
)
def test_what_is_made_of_which_data_changes_it(change):
    assert prepared(**change) != prepared()


def test_the_order_of_classes_counts_and_that_of_cameras_and_bins_does_not():
    assert prepared(classes=["car", "truck"]) != prepared(classes=["truck", "car"])
    for field, values in (("cameras", ["CAM_BACK", "CAM_FRONT"]), ("visibility", [2, 4])):
        name = f"prepare__nuscenes__{field}"
        assert prepared(**{name: values}) == prepared(**{name: values[::-1]})


def test_what_is_expected_and_how_it_is_read_leave_it():
    assert prepared(prepare__train={"expectImages": 3}, loader={"workers": 0}) == prepared()


def test_defaults_that_are_written_out_leave_it():
    whole = {"version": "v1.0-mini", "cameras": ["CAM_FRONT"], "splits": "official", "sweeps": False}
    assert prepared(prepare__nuscenes=whole | {"visibility": [], "projection": "devkit"}) == prepared()


def test_another_version_of_the_preparation_changes_it(monkeypatch):
    before = prepared()
    monkeypatch.setattr("vistrain_api.digest.PREPARATION_VERSION", 2)
    assert prepared() != before
