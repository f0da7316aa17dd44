"""A figure of a data set, with what it may be and whether it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from vistrain_trainer.checking.bounds import Bound

ALL = "all"
"""Scope of a figure that is of the whole data set."""
NAMED = 20
"""Places that a figure names at most in each scope."""

Unit = Literal["", "share", "Hz", "s"]
Verdict = Literal["within", "outside", "no bound"]


@dataclass(frozen=True)
class Kind:
    """What a figure tells."""

    name: str
    """Of the option and in JSON."""
    title: str
    unit: Unit
    """A share is from 0 to 1; without a unit it is a count."""
    how: str
    """How it is computed."""


@dataclass(frozen=True)
class Figure:
    """A figure of each split, or of the whole."""

    kind: Kind
    values: Mapping[str, float]
    """By scope: a split, or ALL; a scope of which it is not known is not there."""
    bound: Bound | None = None
    places: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """What it is made of, for a person to look it up, by scope; at most NAMED each."""

    @property
    def outside(self) -> tuple[str, ...]:
        """Scopes in which it is outside its bound."""
        if self.bound is None:
            return ()
        return tuple(scope for scope, value in self.values.items() if not self.bound.holds(value))

    @property
    def verdict(self) -> Verdict:
        """Of all scopes together."""
        if self.bound is None or not self.values:
            return "no bound"
        return "outside" if self.outside else "within"
