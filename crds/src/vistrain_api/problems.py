"""What is wrong with a manifest, in words: the field as the API server writes it, the value, the way out."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from vistrain_api.base import BrokenRules, Rule


@dataclass(frozen=True)
class Problem:
    """One wrong field."""

    field: str
    """Path such as `spec.pod.env[0].name`; empty for the text as a whole."""
    message: str
    """What is wrong, and the value."""
    unknown: bool = False
    """Whether the field does not exist."""

    def __str__(self) -> str:
        return f"{self.field}: {self.message}" if self.field else self.message


def problems_of(error: ValidationError) -> list[Problem]:
    """Every problem that a validation found, one per field and rule."""
    return [problem for item in error.errors() for problem in _problems_of_item(dict(item))]


def nearest(name: str, known: Iterable[str]) -> str:
    """`; did you mean …?` when a known name is near, else the list of known names."""
    known = tuple(known)
    lowered = {candidate.lower(): candidate for candidate in known}
    close = difflib.get_close_matches(name.lower(), lowered, n=1)
    if close:
        return f"; did you mean {lowered[close[0]]!r}?"
    return f"; known here: {', '.join(known)}" if known else "; there are no fields here"


def field_path(location: Iterable[int | str]) -> str:
    """`spec.pod.env[0].name` of `('spec', 'pod', 'env', 0, 'name')`."""
    path = ""
    for part in location:
        if isinstance(part, int):
            path += f"[{part}]"
        else:
            path += f".{part}" if path else part
    return path


def _problems_of_item(item: dict[str, Any]) -> list[Problem]:
    location, value = item["loc"], item["input"]
    path = field_path(location)
    cause = item.get("ctx", {}).get("error")
    if isinstance(cause, BrokenRules):
        return [_broken(path, rule, value) for rule in cause.rules]
    if item["type"] == "extra_forbidden":
        known = _fields_at(location[:-1])
        return [Problem(path, f"unknown field{nearest(str(location[-1]), known)}", unknown=True)]
    if item["type"] == "missing":
        return [Problem(path, "required value is missing")]
    message = item["msg"].removeprefix("Value error, ")
    if location[-1] == "[key]":  # as Pydantic marks a map's key: the map is at fault
        return [Problem(field_path(location[:-2]), f"key {value!r:.120}: {message}")]
    return [Problem(path, f"{message} (got {value!r:.120})")]


def _broken(path: str, rule: Rule, value: Any) -> Problem:
    names = [name for name in (rule.field_path or "").split(".") if name]
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    given = f" (got {value!r:.120})" if names and value is not None and not isinstance(value, dict) else ""
    return Problem(field_path([path, *names]) if path else field_path(names), rule.message + given)


def _fields_at(location: Iterable[int | str]) -> list[str]:
    """Names of the fields of the object at a location."""
    from vistrain_api.crd.definition import root_schema  # only on a typo: it walks every model

    node: dict[str, Any] = root_schema()
    for part in location:
        if isinstance(part, int):
            node = node.get("items", {})
        else:
            node = node.get("properties", {}).get(part) or node.get("additionalProperties", {})
    return list(node.get("properties", {}))
