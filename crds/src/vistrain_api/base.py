"""The strict base of every model of the contract, with the rules that span several fields."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

from vistrain_api.quantities import seconds


@dataclass(frozen=True)
class Rule:
    """A rule that spans fields, stated twice: in CEL for the API server, in Python for a local reading.

    A test holds the two equal on a shared corpus; `message` names the field and the way out.
    """

    cel: str
    message: str
    holds: Callable[[Any], bool]
    field_path: str | None = None
    """The field at fault, relative to the model, such as `.sharedMemory`; the model itself when absent."""
    reason: str = "FieldValueInvalid"
    """How the API server words the refusal: FieldValueInvalid or FieldValueForbidden."""
    cluster_only: bool = False
    """Whether only the API server holds it, since it makes no sense for a local run."""


class BrokenRules(ValueError):
    """The rules that a model breaks; each names its own field."""

    def __init__(self, rules: list[Rule]) -> None:
        super().__init__("; ".join(rule.message for rule in rules))
        self.rules = rules


def exactly_one(*members: str) -> Rule:
    """Exactly one of the optional members is given (a union of members: CRDs know no string-or-object)."""
    terms = [f"(has(self.{m}) ? 1 : 0)" for m in members]
    return Rule(
        cel=f"{' + '.join(terms)} == 1",
        message=f"exactly one of {', '.join(members)} must be given",
        holds=lambda model: sum(getattr_by_alias(model, m) is not None for m in members) == 1,
    )


def not_supported(member: str, *, allowed: str | None = None) -> Rule:
    """A field of the contract that this version does not act on: refused, never ignored."""
    if allowed is None:
        return Rule(
            cel=f"!has(self.{member})",
            message=f"{member} is not supported by this version of Vistrain: remove the field",
            holds=lambda model: getattr_by_alias(model, member) is None,
            field_path=f".{member}",
            reason="FieldValueForbidden",
        )
    return Rule(
        cel=f"self.{member} == '{allowed}'",
        message=f"{member}: only '{allowed}' is supported by this version of Vistrain",
        holds=lambda model: getattr_by_alias(model, member) == allowed,
        field_path=f".{member}",
        reason="FieldValueForbidden",
    )


def duration_within(member: str, shortest: str, longest: str) -> Rule:
    """The duration, where given, is neither shorter nor longer than stated."""

    def holds(model: Any) -> bool:
        value = getattr_by_alias(model, member)
        return value is None or seconds(shortest) <= seconds(value) <= seconds(longest)

    return Rule(
        cel=f"!has(self.{member}) || (duration(self.{member}) >= duration('{shortest}')"
        f" && duration(self.{member}) <= duration('{longest}'))",
        message=f"{member} must lie between {shortest} and {longest}",
        holds=holds,
        field_path=f".{member}",
    )


def _repeated(values: list[Any]) -> None:
    repeated = sorted(str(value) for value, times in Counter(values).items() if times > 1)
    if repeated:
        raise ValueError(f"listed more than once: {', '.join(repeated)}")


def _unique(values: list[Any]) -> list[Any]:
    _repeated(values)
    return values


Unique = (AfterValidator(_unique), Field(json_schema_extra={"x-kubernetes-list-type": "set"}))
"""Annotations of a list whose items differ; the API server holds it by the list type `set`."""


def unique_by(key: str) -> tuple[Any, ...]:
    """Annotations of a list whose items differ in one field; the API server holds it by the type `map`."""

    def check(items: list[Any]) -> list[Any]:
        _repeated([getattr_by_alias(item, key) for item in items])
        return items

    keys: Any = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [key]}
    return AfterValidator(check), Field(json_schema_extra=keys)


def getattr_by_alias(model: BaseModel, alias: str) -> Any:
    """The value of the field that is written `alias` in a manifest."""
    for name, field in type(model).model_fields.items():
        if (field.alias or name) == alias:
            return getattr(model, name)
    raise AttributeError(f"{type(model).__name__} has no field {alias!r}")


def _extend_schema(schema: dict[str, Any], model: type[BaseModel]) -> None:
    """Add to a model's JSON schema what the CRD needs of it: its rules, its defaults made by factories."""
    for name, field in model.model_fields.items():
        if field.default_factory is not None:
            default = field.get_default(call_default_factory=True, validated_data={})
            if isinstance(default, BaseModel):
                # Whole, not `{}`: the API server tries the rules on a default before it fills in inner ones.
                default = default.model_dump(mode="json", by_alias=True, exclude_none=True)
            schema["properties"][field.alias or name]["default"] = default
    rules: tuple[Rule, ...] = getattr(model, "rules", ())
    if rules:
        schema["x-kubernetes-validations"] = [
            {"rule": rule.cel, "message": rule.message}
            | ({"fieldPath": rule.field_path} if rule.field_path else {})
            | ({"reason": rule.reason} if rule.reason != "FieldValueInvalid" else {})
            for rule in rules
        ]


class Contract(BaseModel):
    """Base of all models: unknown fields and loose types are refused; names are camelCase."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        alias_generator=to_camel,
        populate_by_name=True,
        use_attribute_docstrings=True,
        allow_inf_nan=False,
        json_schema_extra=_extend_schema,
    )

    rules: ClassVar[tuple[Rule, ...]] = ()

    @model_validator(mode="after")
    def _check_rules(self) -> Self:
        broken = [rule for rule in self.rules if not rule.cluster_only and not rule.holds(self)]
        if broken:
            raise BrokenRules(broken)
        return self
