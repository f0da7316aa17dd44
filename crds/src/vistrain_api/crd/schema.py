"""A Pydantic model's JSON schema as the structural OpenAPI v3 schema that a CRD demands."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter

Schema = dict[str, Any]

_KEPT = (
    "description",
    "type",
    "format",
    "default",
    "enum",
    "pattern",
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
    "multipleOf",
    "minItems",
    "maxItems",
    "maxProperties",
    "required",
)
_TRANSLATED = (
    "title",
    "const",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "properties",
    "additionalProperties",
    "propertyNames",
    "items",
)


class SchemaError(ValueError):
    """A model that no structural schema can express, or that leaves something without a bound."""


def structural(model: Any) -> Schema:
    """The structural schema of a model (or an annotated type), as written in a manifest (by alias).

    References are put in line; an optional field is one that is not required (there is no null);
    every list has a list type. Raises SchemaError where a string, list or map has no bound, since the
    API server's budget for CEL rules is reckoned from the bounds.
    """
    schema = TypeAdapter(model).json_schema(by_alias=True, mode="validation")
    return _convert(schema, schema.get("$defs", {}), getattr(model, "__name__", "value"))


def without_defaults(schema: Schema) -> Schema:
    """The same schema without defaults: of a status only what was written is true."""
    result = {key: value for key, value in schema.items() if key != "default"}
    for key in ("items", "additionalProperties"):
        if key in result:
            result[key] = without_defaults(result[key])
    if "properties" in result:
        result["properties"] = {k: without_defaults(v) for k, v in result["properties"].items()}
    return result


def _resolve(node: Schema, definitions: Schema, path: str) -> tuple[Schema, bool]:
    """The node with references and `anyOf [X, null]` replaced by what they stand for; whether null may be."""
    node, nullable = dict(node), False
    while "$ref" in node or "anyOf" in node:
        if "$ref" in node:
            target = definitions[node.pop("$ref").removeprefix("#/$defs/")]
        else:
            branches = node.pop("anyOf")
            others = [branch for branch in branches if branch.get("type") != "null"]
            if len(others) != 1:
                raise SchemaError(f"{path}: a union is not structural; make it members of an object")
            nullable, target = len(others) < len(branches), others[0]
        node = {**target, **node}  # what the field says of itself (description, default) wins
    return node, nullable


def _convert(node: Schema, definitions: Schema, path: str) -> Schema:
    node, nullable = _resolve(node, definitions, path)
    unknown = [k for k in node if k not in (*_KEPT, *_TRANSLATED, "$defs") and not k.startswith("x-kubern")]
    if unknown:
        raise SchemaError(f"{path}: {', '.join(unknown)} cannot be expressed in a CRD")
    result: Schema = {key: node[key] for key in _KEPT if key in node}
    if "description" in result:
        result["description"] = " ".join(result["description"].split())
    if nullable and result.get("default", "") is None:
        del result["default"]
    if "const" in node:
        result["enum"] = [node["const"]]
    for bound, limit in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if bound in node:
            result |= {limit: node[bound], bound: True}
    if node.get("properties"):
        result["properties"] = {
            name: _convert(child, definitions, f"{path}.{name}") for name, child in node["properties"].items()
        }
    if isinstance(node.get("additionalProperties"), dict):
        result["additionalProperties"] = _element(
            node["additionalProperties"], definitions, f"{path}.additionalProperties"
        )
    if "items" in node:
        result["items"] = _element(node["items"], definitions, f"{path}[]")
        result["x-kubernetes-list-type"] = "atomic"
    result |= {key: value for key, value in node.items() if key.startswith("x-kubernetes-")}
    if "propertyNames" in node:
        result.setdefault("x-kubernetes-validations", []).append(_key_lengths(node["propertyNames"], path))
    _demand_bound(result, path)
    return result


def _element(node: Schema, definitions: Schema, path: str) -> Schema:
    """A list's item or a map's value, which unlike a property cannot be left out, and so may be null."""
    _, nullable = _resolve(node, definitions, path)
    return _convert(node, definitions, path) | ({"nullable": True} if nullable else {})


def _key_lengths(names: Schema, path: str) -> dict[str, str]:
    """A map's keys are bounded by a rule: a structural schema has no word for them."""
    if set(names) - {"minLength", "maxLength", "type"}:
        raise SchemaError(f"{path}: of a map's keys only the length can be held")
    low, high = names.get("minLength", 0), names["maxLength"]
    return {
        "rule": f"self.all(key, size(key) >= {low} && size(key) <= {high})",
        "message": f"keys must have {low} to {high} characters",
    }


def _demand_bound(node: Schema, path: str) -> None:
    kind = node.get("type")
    if kind == "string" and "enum" not in node and "maxLength" not in node:
        raise SchemaError(f"{path}: a string needs maxLength")
    if kind == "array" and "maxItems" not in node:
        raise SchemaError(f"{path}: a list needs maxItems")
    if "additionalProperties" in node and "maxProperties" not in node:
        raise SchemaError(f"{path}: a map needs maxProperties")
