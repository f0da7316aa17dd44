"""Numbers, counts, durations as a sentence has them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def number(value: float, digits: int = 4) -> str:
    """A number to so many significant digits, without needless zeros; powers of ten only where it must."""
    if isinstance(value, int):
        return str(value)
    rounded = float(f"{value:.{digits - 1}e}")
    if rounded != 0 and not 1e-4 <= abs(rounded) < 1e7:
        return f"{rounded:.{digits - 1}e}"
    return "0" if rounded == 0 else np.format_float_positional(rounded, trim="-")


def percent(share: float) -> str:
    """A share in percent."""
    return f"{number(100 * share, 3)} %"


def count(amount: int, singular: str, plural: str = "") -> str:
    """`no epochs`, `1 epoch`, `2 epochs`."""
    word = singular if amount == 1 else plural or f"{singular}s"
    return f"{amount or 'no'} {word}"


def times(amount: int) -> str:
    """`once`, `twice`, `3 times`."""
    return {1: "once", 2: "twice"}.get(amount, f"{amount} times")


def duration(seconds: float) -> str:
    """`2 h 5 min`, `3 min 20 s`, `4.2 s`: the two largest units."""
    if seconds < 59.95:
        return f"{number(seconds, 2 if seconds < 10 else 3)} s"
    whole = round(seconds)
    if whole < 3600:
        large, small, units = whole // 60, whole % 60, ("min", "s")
    else:
        minutes = round(seconds / 60)
        large, small, units = minutes // 60, minutes % 60, ("h", "min")
    return f"{large} {units[0]}" + (f" {small} {units[1]}" if small else "")


def listing(items: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    if len(items) < 2:
        return "".join(items)
    return f"{', '.join(items[:-1])} and {items[-1]}"


def sentence(text: str) -> str:
    """Text that begins with a capital and ends with a full stop."""
    return f"{text[:1].upper()}{text[1:]}."
