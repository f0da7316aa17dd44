"""Sentences whose every number is a fact with its source."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from string import Formatter
from types import MappingProxyType


@dataclass(frozen=True)
class Fact:
    """Something that a sentence says, with where it is from."""

    text: str
    """As the sentence has it."""
    source: str
    """File with row and column, or how it is computed."""


@dataclass(frozen=True)
class Sentence:
    """A sentence with a place for every fact in it; outside these places it has no number."""

    template: str
    """Without capital and full stop; `{name}` is a place, never in front, where it would be capitalised."""
    facts: Mapping[str, Fact]
    """The facts in it by the name of their place; others are dropped."""

    def __post_init__(self) -> None:
        places = [(text, name) for text, name, _, _ in Formatter().parse(self.template)]
        if self.template.startswith("{") or any(re.search(r"\d", text) for text, _ in places):
            raise ValueError(f"a fact without a source, or in front: {self.template!r}")
        used = {name: self.facts[name] for _, name in places if name is not None}
        object.__setattr__(self, "facts", MappingProxyType(used))

    def __str__(self) -> str:
        template = f"{self.template[:1].upper()}{self.template[1:]}"
        text = template.format_map({name: fact.text for name, fact in self.facts.items()})
        return f"{text.rstrip('.')}."
