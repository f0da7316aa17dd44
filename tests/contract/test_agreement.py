"""The API server and a local reading agree on manifests that nobody thought of."""

import copy

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.contract.constraints import constraints
from support.contract.manifests import ABSENT, CORPUS, changed, field_of, full, get, read
from support.contract.patterns import PATTERNS
from vistrain_api.manifest import ManifestError, parse

CONSTRAINTS = [c for c in constraints() if c.path[:1] == ("spec",) and c.path != ("spec",)]
PATHS = sorted({c.path for c in CONSTRAINTS}, key=field_of)
NAMES = ("minimal", "everything-supported", "nulls", "prepared-in-full")
STARTS = [read(CORPUS / "valid" / f"{name}.yaml") for name in NAMES]


def values(path):
    """Values on both sides of every limit of a field, and some of no type that it knows."""
    found = [get(full(), path), None, ABSENT, {}, [], "", "text", True, 0, 1, -1, 0.5, [None], {"a": None}]
    for c in (c for c in CONSTRAINTS if c.path == path):
        if c.keyword in ("minimum", "maximum"):
            found += [c.argument, c.argument - 1, c.argument + 1]
        elif c.keyword == "enum":
            found += c.argument
        elif c.keyword == "pattern":
            found += [*PATTERNS[c.argument].passed, *PATTERNS[c.argument].refused]
        elif c.keyword == "maxLength":
            found += ["a" * c.argument, "a" * (c.argument + 1)]
        elif c.keyword == "maxItems":
            items = get(full(), path)
            found += [items[:1], items * 2, items[:1] * c.argument]
    return found


EDITS = st.sampled_from(PATHS).flatmap(lambda p: st.tuples(st.just(p), st.sampled_from(values(p))))


def edited(manifest, edits):
    for path, value in edits:
        try:
            manifest = changed(manifest, path, copy.deepcopy(value), grafted=False)
        except (KeyError, IndexError, TypeError):  # an earlier edit took the place away
            continue
    return manifest


def read_locally(manifest):
    try:
        return parse(copy.deepcopy(manifest)).spec, ""
    except ManifestError as error:
        return None, str(error)


# The same examples every time: a run of CI that fails must fail again on the next machine.
@settings(
    max_examples=400,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(start=st.sampled_from(STARTS), edits=st.lists(EDITS, min_size=1, max_size=3))
def test_both_accept_or_both_refuse(server, start, edits):
    manifest = edited(start, edits)
    answer = server.create(manifest)
    assert answer.code < 500, answer.body
    spec, refusal = read_locally(manifest)
    if spec is None:
        assert not answer.accepted, f"refused locally only: {refusal}"
        return
    if spec.resources.accelerator.mps is not None:
        assert "mps is an Apple GPU" in answer.message
        return
    assert answer.accepted, f"refused by the API server only: {answer.message}"
    assert answer.body["spec"] == spec.model_dump(mode="json", by_alias=True, exclude_none=True)
