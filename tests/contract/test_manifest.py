"""What a person reads when a manifest is wrong."""

import json
import re

import pytest

from support.contract.manifests import EXAMPLES, ROOT, base, changed, steps
from vistrain_api.manifest import ManifestError, load, parse, read_yaml


def refusal(manifest):
    with pytest.raises(ManifestError) as caught:
        parse(manifest)
    return str(caught.value)


def test_every_wrong_field_is_named_at_once():
    manifest = changed(base(), steps("spec.schedule.epochs"), 0)
    manifest = changed(manifest, steps("spec.model.yolox.variant"), "xl")
    lines = refusal(changed(manifest, steps("metadata.name"), "Upper")).splitlines()
    assert [line.split(":")[0] for line in lines] == [
        "metadata.name",
        "spec.model.yolox.variant",
        "spec.schedule.epochs",
    ]
    assert lines[1].endswith("Input should be 'nano', 'tiny', 's', 'm', 'l' or 'x' (got 'xl')")


def test_a_rule_names_the_field_and_the_value():
    manifest = changed(base(), steps("spec.resources.sharedMemory"), "25Gi")
    field, problem = refusal(manifest).split(": ", 1)
    assert field == "spec.resources.sharedMemory"
    assert problem == "sharedMemory must be less than memory: it counts towards it (got '25Gi')"


def test_an_index_is_written_as_the_api_server_writes_it():
    manifest = changed(base(), ("spec", "pod"), {"env": [{"name": "A"}, {"name": "1"}]})
    assert refusal(manifest).startswith("spec.pod.env[1].name: ")


def test_a_missing_field():
    manifest = base() | {"spec": {k: v for k, v in base()["spec"].items() if k != "initialization"}}
    assert refusal(manifest) == "spec.initialization: required value is missing"


def test_a_typo_beside_its_missing_field():
    manifest = base() | {"spec": {("modle" if k == "model" else k): v for k, v in base()["spec"].items()}}
    assert refusal(manifest).splitlines() == [
        "spec.modle: unknown field; did you mean 'model'?",
        "spec.model: required value is missing",
    ]


def test_an_unknown_field_without_a_near_name_lists_the_known_ones():
    manifest = changed(base(), steps("spec.model.yolox.zzz"), None)
    assert refusal(manifest) == "spec.model.yolox.zzz: unknown field; known here: variant, inputSize"


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (None, "a manifest is a mapping"),
        ([1], "a manifest is a mapping"),
        ({}, "kind: not one of DetectorTraining (got None)"),
        ({"kind": "Job"}, "kind: not one of DetectorTraining (got 'Job')"),
        (base() | {"apiVersion": "vistrain.dev/v1"}, "apiVersion: Input should be 'vistrain.dev/v1alpha1'"),
        (
            {"apiVersion": "vistrain.dev/v1alpha1", "kind": "DetectorTraining"},
            "metadata: required value is missing",
        ),
    ],
)
def test_what_is_no_run(value, says):
    assert says in refusal(value)


def test_a_run_beside_other_objects_is_found():
    text = "kind: PersistentVolumeClaim\n---\n---\n" + json.dumps(base()) + "\n"
    assert read_yaml(text) == base()


@pytest.mark.parametrize(
    ("text", "says"),
    [("", "0 runs in 0 documents"), (f"{json.dumps(base())}\n---\n{json.dumps(base())}", "2 runs")],
)
def test_exactly_one_run_is_read(text, says):
    with pytest.raises(ManifestError, match=f"{says}.*: give exactly one"):
        read_yaml(text)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ManifestError, match=r"none\.yaml: No such file"):
        load(tmp_path / "none.yaml")


def test_a_file_that_is_not_text(tmp_path):
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00\xd8")
    with pytest.raises(ManifestError, match="not a text in UTF-8"):
        load(tmp_path / "binary")


def test_text_that_is_not_yaml():
    with pytest.raises(ManifestError, match=r"not YAML(.|\n)*line 1, column 5"):
        read_yaml("a: b: c")


def test_metadata_of_the_api_server_is_let_pass():
    manifest = base() | {
        "metadata": {"name": "a", "resourceVersion": "1", "managedFields": [{}], "generation": 3}
    }
    assert parse(manifest).metadata.name == "a"


def test_the_guides_manifest_is_valid():
    guide = (ROOT / "docs" / "manifest.md").read_text()
    blocks = re.findall(r"```yaml\n(.*?)```", guide, re.DOTALL)
    assert [parse(read_yaml(block)).metadata.name for block in blocks] == ["yolox-s-front"]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_survives_being_written_and_read(path):
    run = load(path)
    written = run.model_dump(mode="json", by_alias=True, exclude_none=True)
    assert parse(json.loads(json.dumps(written))) == run
