"""Written units: durations, quantities, MIG profiles."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.contract.patterns import PATTERNS
from vistrain_api import quantities
from vistrain_api.quantities import MigProfile, seconds, to_bytes, to_millicores


@pytest.mark.parametrize(
    ("text", "value"),
    [("0s", 0), ("120s", 120), ("10m", 600), ("1h30m", 5400), ("1h1m1s", 3661), ("1m1m", 120)],
)
def test_seconds(text, value):
    assert seconds(text) == value


@pytest.mark.parametrize("text", [*PATTERNS[quantities.DURATION_PATTERN].refused, "", "10s\n"])
def test_no_duration(text):
    with pytest.raises(ValueError, match="is not a duration such as 120s, 10m or 1h30m"):
        seconds(text)


@given(st.integers(0, 999), st.integers(0, 59), st.integers(0, 59))
def test_seconds_add_up(hours, minutes, rest):
    assert seconds(f"{hours}h{minutes}m{rest}s") == hours * 3600 + minutes * 60 + rest


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (0, 0),
        (1024, 1024),
        ("1", 1),
        ("1k", 1000),
        ("1Ki", 1024),
        ("24Gi", 24 * 2**30),
        ("0.5Gi", 2**29),
        ("2T", 2 * 10**12),
    ],
)
def test_bytes(text, value):
    assert to_bytes(text) == value


@pytest.mark.parametrize("text", [*PATTERNS[quantities.MEMORY_PATTERN].refused, "", "1Gi\n", -1])
def test_no_memory_quantity(text):
    with pytest.raises(ValueError, match="is not a memory quantity such as 24Gi or 512Mi"):
        to_bytes(text)


@pytest.mark.parametrize(
    ("text", "value"), [(4, 4000), ("4", 4000), ("500m", 500), ("0.5", 500), ("0.001", 1), ("1.25", 1250)]
)
def test_millicores(text, value):
    assert to_millicores(text) == value


@pytest.mark.parametrize("text", [*PATTERNS[quantities.CPU_PATTERN].refused, "", "1m\n", -1])
def test_no_cpu_quantity(text):
    with pytest.raises(ValueError, match=r"is not a CPU quantity such as 4, 0\.5 or 500m"):
        to_millicores(text)


@pytest.mark.parametrize(
    ("name", "compute", "memory", "attributes", "resource", "suffix"),
    [
        ("1g.20gb", 1, 20, (), "nvidia.com/mig-1g.20gb", "-MIG-1g.20gb"),
        ("7g.80gb", 7, 80, (), "nvidia.com/mig-7g.80gb", "-MIG-7g.80gb"),
        ("1g.10gb+me", 1, 10, ("me",), "nvidia.com/mig-1g.10gb.me", "-MIG-1g.10gb.me"),
        ("1g.24gb+me.all", 1, 24, ("me", "all"), "nvidia.com/mig-1g.24gb.me.all", "-MIG-1g.24gb.me.all"),
    ],
)
def test_a_mig_profile(name, compute, memory, attributes, resource, suffix):
    profile = MigProfile.parse(name)
    assert (profile.compute_slices, profile.memory_gb, profile.attributes) == (compute, memory, attributes)
    assert (profile.resource, profile.product_suffix) == (resource, suffix)


@pytest.mark.parametrize("name", PATTERNS[quantities.MIG_PATTERN].refused)
def test_no_mig_profile(name):
    with pytest.raises(ValueError, match=r"is not a MIG profile such as 1g\.20gb"):
        MigProfile.parse(name)


@given(st.from_regex(quantities.MIG_PATTERN, fullmatch=True))
def test_what_the_schema_lets_pass_can_be_parsed(name):
    assert MigProfile.parse(name).resource.startswith("nvidia.com/mig-")


@pytest.mark.parametrize(("pattern", "texts"), [(p, e.passed) for p, e in PATTERNS.items()])
def test_patterns_let_pass_what_is_meant(pattern, texts):
    assert [text for text in texts if not re.fullmatch(pattern, text)] == []
