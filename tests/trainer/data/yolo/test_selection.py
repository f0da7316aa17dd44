"""Groups that add up to exactly what was asked for."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vistrain_trainer.data.rebalance.selection import Unreachable, choose

weights = st.lists(st.integers(1, 9), max_size=12)


@given(weights=weights, wanted=st.integers(1, 60), seed=st.integers(0, 5))
def test_the_sum_is_exact_or_the_nearest_possible_ones_are_named(
    weights: list[int], wanted: int, seed: int
) -> None:
    possible = {0}
    for weight in weights:
        possible |= {one + weight for one in possible}
    if wanted in possible:
        chosen = choose(weights, wanted, np.random.default_rng(seed))
        assert sum(weights[at] for at in chosen) == wanted
        assert sorted(set(chosen)) == chosen
        assert choose(weights, wanted, np.random.default_rng(seed)) == chosen
        return
    with pytest.raises(Unreachable) as caught:
        choose(weights, wanted, np.random.default_rng(seed))
    assert caught.value.below == max(one for one in possible if one < wanted)
    assert caught.value.above == min((one for one in possible if one > wanted), default=None)


def test_seeds_choose_otherwise_and_single_ones_equally_often() -> None:
    seen = Counter(at for seed in range(600) for at in choose([1] * 10, 3, np.random.default_rng(seed)))
    assert set(seen) == set(range(10))
    assert all(130 < times < 230 for times in seen.values())  # 180 expected, standard deviation 11


def test_many_large_groups_are_chosen_from() -> None:
    sizes = np.random.default_rng(0).integers(1, 30, 20_000).tolist()
    chosen = choose(sizes, 100_000, np.random.default_rng(1))
    assert sum(sizes[at] for at in chosen) == 100_000
