"""The strict base of every model of the contract, with the rules that span several fields."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel


@dataclass(frozen=True)
class Rule:
    """A rule that spans fields, stated twice: in CEL for the API server, in Python for a local reading.

    A unit test holds the two equal on a shared corpus; `message` names the field and the way out.
    """

    cel: str
    message: str
    holds: Callable[[Any], bool]
    field_path: str | None = None


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
        )
    return Rule(
        cel=f"self.{member} == '{allowed}'",
        message=f"{member}: only '{allowed}' is supported by this version of Vistrain",
        holds=lambda model: getattr_by_alias(model, member) == allowed,
        field_path=f".{member}",
    )


def _unique(values: list[Any]) -> list[Any]:
    repeated = sorted({str(v) for v in values if values.count(v) > 1})
    if repeated:
        raise ValueError(f"listed more than once: {', '.join(repeated)}")
    return values


Unique = (AfterValidator(_unique), Field(json_schema_extra={"x-kubernetes-list-type": "set"}))
"""Annotations of a list whose items differ; the API server holds it by the list type `set`."""


def getattr_by_alias(model: BaseModel, alias: str) -> Any:
    """The value of the field that is written `alias` in a manifest."""
    for name, field in type(model).model_fields.items():
        if (field.alias or name) == alias:
            return getattr(model, name)
    raise AttributeError(f"{type(model).__name__} has no field {alias!r}")


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
    )

    rules: ClassVar[tuple[Rule, ...]] = ()

    @model_validator(mode="after")
    def _check_rules(self) -> Self:
        broken = [rule.message for rule in self.rules if not rule.holds(self)]
        if broken:
            raise ValueError("; ".join(broken))
        return self
