"""Bounds that figures are held against: stated on the command line, in a file, or by default."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import NoReturn

import msgspec

from vistrain_trainer.errors import BadInput

_REMEDY = "Say it such as visible-share=0.13:0.18; an end that is left out is open"


class Bound(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The least and the greatest that a figure may be; both are within. An end that is none is open."""

    min: float | None = None
    max: float | None = None

    def holds(self, value: float) -> bool:
        """Whether a value is within."""
        return (self.min is None or value >= self.min) and (self.max is None or value <= self.max)


NOTHING = Bound(max=0)
"""Of faults: there must be none."""

Bounds = Mapping[str, Bound | None]
"""By name of the figure; a figure with none is not judged."""


def read_bounds(path: Path | None, stated: Sequence[str], known: Collection[str]) -> Bounds:
    """Bounds of a YAML or JSON file, and those of the command line, which come first.

    Args:
        path: of a file such as `visible-share: {min: 0.13, max: 0.18}`, a figure a line.
        stated: each NAME=MIN:MAX.
        known: names of figures.

    Raises:
        BadInput: the file cannot be read, a name is unknown, or a bound is none.
    """
    bounds = {} if path is None else _of_file(path)
    for text in stated:
        name, _, bound = text.partition("=")
        bounds[name.strip()] = parse_bound(bound, text)
    for name, one in bounds.items():
        if name not in known:
            close = get_close_matches(name, known, 1)
            _refuse(name, "there is no such figure", f"Did you mean {close[0]}?" if close else _listed(known))
        if one is not None and one.min is not None and one.max is not None and one.min > one.max:
            _refuse(name, f"the least, {one.min:g}, is above the greatest, {one.max:g}", _REMEDY)
    return bounds


def parse_bound(text: str, stated: str) -> Bound | None:
    """The bound MIN:MAX; none where both ends are open.

    Raises:
        BadInput: it is no such text.
    """
    low, colon, high = text.partition(":")
    if not colon:
        _refuse(stated, "it is not NAME=MIN:MAX", _REMEDY)
    ends = [_number(end, stated) if end.strip() else None for end in (low, high)]
    return None if ends == [None, None] else Bound(*ends)


def _of_file(path: Path) -> dict[str, Bound | None]:
    import yaml

    try:
        content = yaml.safe_load(path.read_bytes()) or {}
        return msgspec.convert(content, dict[str, Bound | None])
    except OSError as error:
        _refuse(path, f"it cannot be read: {error.strerror}", "Name a file of bounds", "--bounds")
    except (yaml.YAMLError, msgspec.ValidationError) as error:
        problem = " ".join(str(error).split())
        remedy = "Write a figure a line, such as `gaps: {max: 5}`"
        _refuse(path, f"it is no mapping of figures to min and max: {problem}", remedy, "--bounds")


def _number(text: str, stated: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if math.isnan(value):
        _refuse(stated, f"{text!r} is no number", _REMEDY)
    return value


def _listed(known: Collection[str]) -> str:
    return f"Choose from {', '.join(known)}"


def _refuse(value: object, problem: str, remedy: str, field: str = "--bound") -> NoReturn:
    raise BadInput(field=field, value=value, problem=problem, remedy=remedy)
