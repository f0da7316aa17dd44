"""The digest of what decides a run's result."""

import pytest

from support.contract.manifests import CORPUS, base, changed, steps
from vistrain_api.detector import DetectorTrainingSpec
from vistrain_api.digest import deciding, spec_digest
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
