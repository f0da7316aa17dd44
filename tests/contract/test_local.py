"""A local reading refuses what the API server refuses, and names the field."""

import pytest

from support.contract.manifests import VALID, read
from support.contract.violations import violations
from vistrain_api.crd.definition import root_schema
from vistrain_api.manifest import ManifestError, load, parse


@pytest.mark.parametrize("path", VALID, ids=lambda path: path.stem)
def test_a_valid_manifest_is_accepted(path):
    assert load(path).metadata.name == read(path)["metadata"]["name"]


CLUSTER_ONLY = "mps is an Apple GPU"


@pytest.mark.parametrize(
    "violation", [v for v in violations() if not v.says.startswith(CLUSTER_ONLY)], ids=str
)
def test_a_violation_is_refused_by_field(violation):
    with pytest.raises(ManifestError) as caught:
        parse(violation.manifest)
    # A whole list is at fault locally where the API server names the item that is there twice.
    named = [violation.field, violation.field.removesuffix("[1]")]
    assert [p for p in caught.value.problems if p.field in named], str(caught.value)
    assert violation.field.removesuffix("[1]") in str(caught.value)


@pytest.mark.parametrize(
    "violation", [v for v in violations() if v.constraint.keyword == "x-kubernetes-validations"], ids=str
)
def test_a_broken_rule_says_the_same_locally(violation):
    if violation.says.startswith(CLUSTER_ONLY):
        assert parse(violation.manifest).spec.resources.accelerator.display() == "mps"
        return
    with pytest.raises(ManifestError) as caught:
        parse(violation.manifest)
    if not violation.says.startswith("keys must have"):  # Pydantic's own words
        assert violation.says in str(caught.value)


def test_only_what_may_be_refused_is_refused():
    """The fields of the contract that this version may leave to a later one."""
    refused = set()

    def walk(node, path):
        for rule in node.get("x-kubernetes-validations", ()):
            if "supported by this version" in rule["message"]:
                refused.add(path + rule["fieldPath"])
        for name, child in node.get("properties", {}).items():
            walk(child, f"{path}.{name}")

    walk(root_schema()["properties"]["spec"], "spec")
    assert refused == {
        "spec.model.ultralytics",
        "spec.dataset.format",
        "spec.scheduling.queueName",
    }
