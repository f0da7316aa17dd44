"""For every constraint of the CRD, manifests that break it, with the field that a refusal must name."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from support.contract.constraints import Constraint, constraints
from support.contract.manifests import ABSENT, Manifest, Path_, base, changed, field_of, full, get
from support.contract.patterns import PATTERNS
from support.contract.rules import RULES


@dataclass(frozen=True)
class Violation:
    """A manifest that breaks one constraint."""

    constraint: Constraint
    path: Path_
    """The field that a refusal names."""
    value: Any
    """What is set there, for the test's name."""
    manifest: Manifest
    says: str
    """What the API server's message holds."""

    @property
    def field(self) -> str:
        """The field that a refusal names."""
        return field_of(self.path)

    def __str__(self) -> str:
        return f"{self.field}-{self.constraint.keyword}-{str(self.value)[:24]}"


@functools.cache
def violations() -> tuple[Violation, ...]:
    """At least one for every constraint; the corpus' own test says which lack one."""
    return tuple(violation for constraint in constraints() for violation in _violations_of(constraint))


def _violations_of(constraint: Constraint) -> Iterator[Violation]:
    if constraint.keyword == "x-kubernetes-validations":
        for case in RULES.get((field_of(constraint.path), constraint.argument), ()):
            yield Violation(constraint, case.path, case.change, case.manifest(), constraint.argument)
        return
    for path, value, says in _BREAKERS[constraint.keyword](constraint):
        yield Violation(constraint, path, value, changed(base(), *_edit(constraint, path, value)), says)


def _edit(constraint: Constraint, path: Path_, value: Any) -> tuple[Path_, Any]:
    """A refusal may name an item of the list that is set as a whole."""
    if constraint.keyword == "x-kubernetes-list-type":
        return constraint.path, value
    return path, value


Breaker = Callable[[Constraint], Iterator[tuple[Path_, Any, str]]]


def _type(c: Constraint) -> Iterator[tuple[Path_, Any, str]]:
    wrong = {
        "object": ["text", 1, []],
        "array": ["text", {}],
        "string": [1, True, [], {}],
        "integer": ["1", True, 1.5, []],
        "number": ["1", True, []],
        "boolean": ["true", 1, "yes"],
    }[c.argument]
    for value in wrong:
        yield c.path, value, "must be of type"


def _int_or_string(c: Constraint) -> Iterator[tuple[Path_, Any, str]]:
    for value in (1.5, True, [], {}):
        yield c.path, value, "must be of type"


def _required(c: Constraint) -> Iterator[tuple[Path_, Any, str]]:
    yield (*c.path, c.argument), ABSENT, "Required value"


def _enum(c: Constraint) -> Iterator[tuple[Path_, Any, str]]:
    first = c.argument[0]
    for value in ("", "no-such", first.swapcase()) if isinstance(first, str) else (first - 1, first + 1):
        if value not in c.argument:
            yield c.path, value, "Unsupported value"


def _pattern(c: Constraint) -> Iterator[tuple[Path_, Any, str]]:
    for value in PATTERNS[c.argument].refused:
        yield c.path, value, "should match"


def _minimum(c: Constraint) -> Iterator[tuple[Path_, Any, str]]:
    exclusive = c.schema.get("exclusiveMinimum", False)
    step = c.schema.get("multipleOf", 1)
    says = "should be greater than" if exclusive else "should be greater than or equal to"
    if exclusive:
        yield c.path, c.argument, says
    yield c.path, c.argument - step, says
    if c.schema.get("type") == "number":
        yield c.path, c.argument - 0.001, says


def _maximum(c: Constraint) -> Iterator[tuple[Path_, Any, str]]:
    exclusive = c.schema.get("exclusiveMaximum", False)
    step = c.schema.get("multipleOf", 1)
    says = "should be less than" if exclusive else "should be less than or equal to"
    if exclusive:
        yield c.path, c.argument, says
    yield c.path, c.argument + step, says
    if c.schema.get("type") == "number":
        yield c.path, c.argument + 0.001, says


def _multiple_of(c: Constraint) -> Iterator[tuple[Path_, Any, str]]:
    yield c.path, c.schema["minimum"] + c.argument - 1, "should be a multiple of"


def _min_length(c: Constraint) -> Iterator[tuple[Path_, Any, str]]:
    yield c.path, "a" * (c.argument - 1), "should be at least" if c.path[0] == "spec" else "name"


def _max_length(c: Constraint) -> Iterator[tuple[Path_, Any, str]]:
    yield c.path, "1" * (c.argument + 1), "Too long"


def _min_items(c: Constraint) -> Iterator[tuple[Path_, Any, str]]:
    yield c.path, get(full(), c.path)[: c.argument - 1], "should have at least"


def _max_items(c: Constraint) -> Iterator[tuple[Path_, Any, str]]:
    yield c.path, [_item(c, number) for number in range(c.argument + 1)], "Too many"


def _max_properties(c: Constraint) -> Iterator[tuple[Path_, Any, str]]:
    value = next(iter(get(full(), c.path).values()))
    yield c.path, {f"key-{number}": value for number in range(c.argument + 1)}, "Too many"


def _list_type(c: Constraint) -> Iterator[tuple[Path_, Any, str]]:
    item = get(full(), c.path)[0]
    if keys := c.schema.get("x-kubernetes-list-map-keys"):  # the rest may break rules of its own
        needed = {*keys, *c.schema["items"].get("required", ())}
        item = {name: value for name, value in item.items() if name in needed}
    yield (*c.path, 1), [item, copy.deepcopy(item)], "Duplicate value"


def _item(c: Constraint, number: int) -> Any:
    """An item of a list, none like another where the list asks for it."""
    item = copy.deepcopy(get(full(), c.path)[0])
    for key in c.schema.get("x-kubernetes-list-map-keys", ()):
        item[key] += str(number)
    if c.schema.get("x-kubernetes-list-type") != "set":
        return item
    return item + number if isinstance(item, int) else f"{item}{number}"


_BREAKERS: dict[str, Breaker] = {
    "type": _type,
    "x-kubernetes-int-or-string": _int_or_string,
    "required": _required,
    "enum": _enum,
    "pattern": _pattern,
    "minimum": _minimum,
    "maximum": _maximum,
    "multipleOf": _multiple_of,
    "minLength": _min_length,
    "maxLength": _max_length,
    "minItems": _min_items,
    "maxItems": _max_items,
    "maxProperties": _max_properties,
    "x-kubernetes-list-type": _list_type,
}
