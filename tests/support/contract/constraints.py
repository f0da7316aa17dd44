"""Every constraint of the generated CRD, found by walking its schema."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from support.contract.manifests import Path_, full, get
from vistrain_api.crd.definition import root_schema

# Keywords that say something of a value without forbidding any, or that another keyword here stands for.
_SILENT = {
    "description",
    "default",
    "properties",
    "items",
    "additionalProperties",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "x-kubernetes-list-map-keys",
}


@dataclass(frozen=True)
class Constraint:
    """One keyword of the schema at one place."""

    path: Path_
    """Where the value stands in `full()`."""
    keyword: str
    """Such as `minimum`, `required` or `x-kubernetes-validations`."""
    argument: Any
    """What the schema says; for `required` one field's name, for a rule its message."""
    schema: Any
    """The schema of the value."""


def constraints() -> list[Constraint]:
    """All constraints on what a user writes: the spec, and the run's name."""
    properties = root_schema()["properties"]
    name = properties["metadata"]["properties"]["name"]
    example = full()
    return [
        # Its type is refused before any schema is looked at.
        *(c for c in _walk(name, ("metadata", "name"), example) if c.keyword != "type"),
        Constraint((), "required", "spec", root_schema()),
        *_walk(properties["spec"], ("spec",), example),
    ]


def rules() -> list[tuple[Path_, str]]:
    """Place and message of every CEL rule on the spec."""
    return [(c.path, c.argument) for c in constraints() if c.keyword == "x-kubernetes-validations"]


def _walk(schema: dict[str, Any], path: Path_, example: Any) -> Iterator[Constraint]:
    for keyword, argument in schema.items():
        if keyword in _SILENT or argument in ("atomic", False):
            continue
        if keyword == "required":
            yield from (Constraint(path, keyword, name, schema) for name in argument)
        elif keyword == "x-kubernetes-validations":
            yield from (Constraint(path, keyword, rule["message"], schema) for rule in argument)
        else:
            yield Constraint(path, keyword, argument, schema)
    for name, child in schema.get("properties", {}).items():
        yield from _walk(child, (*path, name), example)
    if "items" in schema:
        yield from _walk(schema["items"], (*path, 0), example)
    if "additionalProperties" in schema:
        key = next(iter(get(example, path)))
        yield from _walk(schema["additionalProperties"], (*path, key), example)
