"""Generated files: no drift, a chart's copy that is the same CRD, a reference that names everything."""

import subprocess
import sys
from typing import Annotated

import pytest
import yaml
from pydantic import Field

from support.contract.constraints import rules
from support.contract.manifests import ROOT
from vistrain_api import generate
from vistrain_api.base import Contract
from vistrain_api.crd.definition import NAME, definition
from vistrain_api.crd.render import chart_template
from vistrain_api.crd.schema import SchemaError, structural
from vistrain_api.failures import FailureClass
from vistrain_api.protocol import ExitCode

REFERENCE = ROOT / "docs" / "reference" / "detectortraining.md"


def check(root):
    command = [sys.executable, "-m", "vistrain_api.generate", "--check", "--root", str(root)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_committed_files_are_what_the_models_say():
    done = check(ROOT)
    assert (done.returncode, done.stdout) == (0, "")


def test_drift_is_found_and_shown(tmp_path):
    assert generate.main(["--root", str(tmp_path)]) == 0
    assert check(tmp_path).returncode == 0
    file = tmp_path / "crds" / f"{NAME}.yaml"
    file.write_text(file.read_text().replace("maximum: 4096", "maximum: 8192", 1))
    done = check(tmp_path)
    assert done.returncode == 1
    assert "-                            maximum: 8192\n" in done.stdout
    assert "make generate" in done.stderr


def test_a_missing_file_is_drift(tmp_path):
    generate.main(["--root", str(tmp_path)])
    (tmp_path / "docs" / "reference" / "detectortraining.md").unlink()
    assert check(tmp_path).returncode == 1


def test_the_root_is_found_from_below():
    assert generate.repository_root(ROOT / "crds" / "src") == ROOT
    with pytest.raises(SystemExit, match="is not inside the repository"):
        generate.repository_root(ROOT.parent)


def test_the_charts_copy_is_the_same_crd():
    text = chart_template(definition())
    lines = [line for line in text.splitlines() if "{{" not in line and line != "  labels:"]
    copy = yaml.safe_load("\n".join(lines))
    assert copy["metadata"].pop("annotations") == {"helm.sh/resource-policy": "keep"}
    assert copy == yaml.safe_load((ROOT / "crds" / f"{NAME}.yaml").read_text()) == definition()


def test_the_reference_names_every_rule_class_and_exit_code():
    text = REFERENCE.read_text()
    assert [message for _, message in rules() if message not in text] == []
    assert [name for name in FailureClass if f"| `{name}` |" not in text] == []
    assert [code for code in ExitCode if f"| {code.value} |" not in text] == []


def test_every_field_of_the_spec_is_described():
    undescribed = []

    def walk(node, path):
        for name, child in node.get("properties", {}).items():
            if not child.get("description"):
                undescribed.append(f"{path}.{name}")
            walk(child, f"{path}.{name}")
        for inner in ("items", "additionalProperties"):
            if inner in node:
                walk(node[inner], f"{path}[]")

    properties = definition()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
    walk(properties["spec"], "spec")
    walk(properties["status"], "status")
    assert undescribed == []


class Inner(Contract):
    """Inner."""

    number: Annotated[float, Field(gt=0, lt=1)] = 0.5
    """Number."""


class Outer(Contract):
    """Outer."""

    inner: Inner = Field(default_factory=Inner)
    """An inner
    object."""
    maybe: Annotated[int, Field(le=3)] | None = None
    """Maybe."""
    values: Annotated[dict[str, float | None], Field(max_length=2)] = Field(default_factory=dict)
    """Values."""
    names: Annotated[list[Annotated[str, Field(max_length=5)]], Field(max_length=2)]
    """Names."""


def test_the_structural_schema_of_a_model():
    assert structural(Outer) == {
        "description": "Outer.",
        "type": "object",
        "required": ["names"],
        "properties": {
            "inner": {
                "description": "An inner object.",
                "type": "object",
                "default": {"number": 0.5},
                "properties": {
                    "number": {
                        "description": "Number.",
                        "type": "number",
                        "default": 0.5,
                        "minimum": 0,
                        "exclusiveMinimum": True,
                        "maximum": 1,
                        "exclusiveMaximum": True,
                    }
                },
            },
            "maybe": {"description": "Maybe.", "type": "integer", "maximum": 3},
            "values": {
                "description": "Values.",
                "type": "object",
                "default": {},
                "maxProperties": 2,
                "additionalProperties": {"type": "number", "nullable": True},
            },
            "names": {
                "description": "Names.",
                "type": "array",
                "maxItems": 2,
                "items": {"type": "string", "maxLength": 5},
                "x-kubernetes-list-type": "atomic",
            },
        },
    }


class Union(Contract):
    """Union."""

    value: Annotated[int, Field(le=3)] | Annotated[str, Field(max_length=3)]


class Unbounded(Contract):
    """Unbounded."""

    value: list[int]


class UnboundedText(Contract):
    """Unbounded."""

    value: str


class KeyPattern(Contract):
    """A map whose keys have a pattern."""

    value: Annotated[dict[Annotated[str, Field(max_length=3, pattern="^a")], int], Field(max_length=3)]


@pytest.mark.parametrize(
    ("model", "says"),
    [
        (Union, "Union.value: a union is not structural"),
        (Unbounded, "Unbounded.value: a list needs maxItems"),
        (UnboundedText, "UnboundedText.value: a string needs maxLength"),
        (KeyPattern, "KeyPattern.value: patternProperties cannot be expressed"),
    ],
)
def test_what_no_structural_schema_can_say_is_refused(model, says):
    with pytest.raises(SchemaError, match=says):
        structural(model)
