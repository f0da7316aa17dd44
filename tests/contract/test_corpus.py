"""The corpus itself: nothing of the CRD is without a manifest that breaks it."""

import pytest

from support.contract.constraints import constraints
from support.contract.manifests import VALID, field_of, full, get
from support.contract.patterns import PATTERNS
from support.contract.rules import RULES
from support.contract.violations import violations
from vistrain_api.crd.definition import root_schema


def test_every_constraint_is_broken_by_a_manifest():
    broken = {(v.constraint.path, v.constraint.keyword, str(v.constraint.argument)) for v in violations()}
    lacking = [c for c in constraints() if (c.path, c.keyword, str(c.argument)) not in broken]
    assert [(field_of(c.path), c.keyword, c.argument) for c in lacking] == []


def test_every_case_belongs_to_a_rule_that_exists():
    present = {
        (field_of(c.path), c.argument) for c in constraints() if c.keyword == "x-kubernetes-validations"
    }
    assert set(RULES) - present == set()


def test_every_example_of_a_pattern_belongs_to_one_that_exists():
    assert set(PATTERNS) - {c.argument for c in constraints() if c.keyword == "pattern"} == set()


def fields(schema, path=("spec",)):
    """Every field below a path, items and values of maps included."""
    for name, child in schema.get("properties", {}).items():
        yield (*path, name)
        yield from fields(child, (*path, name))
    if "items" in schema:
        yield from fields(schema["items"], (*path, 0))


@pytest.mark.parametrize("path", list(fields(root_schema()["properties"]["spec"])), ids=field_of)
def test_the_full_manifest_has_every_field(path):
    assert get(full(), path) is not None


def test_there_are_valid_manifests_and_examples():
    assert len(VALID) >= 5
    assert any(path.parent.name == "examples" for path in VALID)
