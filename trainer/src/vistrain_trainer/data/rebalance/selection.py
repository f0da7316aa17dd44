"""Choice of groups that together hold an exact number."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


class Unreachable(ValueError):
    """No choice of groups holds exactly that number."""

    def __init__(self, below: int, above: int | None) -> None:
        super().__init__(f"{below} or {above}")
        self.below = below
        """The greatest number below that some choice holds; 0 for none."""
        self.above = above
        """The least number above; none when there is none."""


def choose(weights: Sequence[int], wanted: int, random: np.random.Generator) -> list[int]:
    """Groups whose weights add up to exactly what is wanted, the first that do so in a random order.

    Args:
        weights: of each group, positive.
        random: equal generators give equal choices.

    Returns:
        The indices of the chosen groups, ascending.

    Raises:
        Unreachable: no choice adds up to it.
    """
    order = random.permutation(len(weights)).tolist()
    last: dict[int, int] = {}  # by sum: the group that completed it first, which a choice for it takes
    sums = 1  # bit s is set when s can be reached with the groups so far
    # The least sum above what is wanted exceeds it by no more than one group.
    mask = (1 << (wanted + max(weights, default=0) + 1)) - 1
    for group in order:
        fresh = (sums << weights[group]) & mask & ~sums
        sums |= fresh
        while fresh:
            lowest = fresh & -fresh
            last[lowest.bit_length() - 1] = group
            fresh ^= lowest
        if sums >> wanted & 1:
            break
    if not sums >> wanted & 1:
        above = sums >> wanted
        raise Unreachable(
            below=(sums & ((1 << wanted) - 1)).bit_length() - 1,
            above=wanted + (above & -above).bit_length() - 1 if above else None,
        )
    chosen = []
    while wanted:
        chosen.append(last[wanted])
        wanted -= weights[last[wanted]]
    return sorted(chosen)
