"""Figures and bounds as a person reads them."""

from __future__ import annotations

from vistrain_trainer.checking.bounds import Bound
from vistrain_trainer.checking.figure import Unit
from vistrain_trainer.reporting.wording import duration, number, percent


def value_text(value: float, unit: Unit) -> str:
    """`15.4 %`, `11.9 Hz`, `0.15 s`, `3`."""
    if unit == "share":
        return percent(value)
    if unit == "s":
        return duration(value)
    text = str(int(value)) if value == int(value) and not unit else number(value, 3)
    return f"{text} {unit}".strip()


def bound_text(bound: Bound | None, unit: Unit) -> str:
    """`none`, `13 to 18 %`, `at most 5`; a dash where there is no bound."""
    if bound is None:
        return "–"
    low = None if bound.min is None else value_text(bound.min, unit)
    high = None if bound.max is None else value_text(bound.max, unit)
    if low is None:
        return "none" if bound.max == 0 else f"at most {high}"
    if high is None:
        return f"at least {low}"
    if low == high:
        return low
    same = unit != "s"  # seconds may be told in minutes at one end only
    return f"{low.partition(' ')[0] if same else low} to {high}"
