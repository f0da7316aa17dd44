"""Rebalancing of any data set: no image is lost, counts add up, an undo is as if nothing had been."""

from __future__ import annotations

from itertools import chain
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.drainage import LAYOUTS, Members, contents, write_drainage
from support.trees import snapshot
from vistrain_trainer.data.rebalance import run
from vistrain_trainer.data.rebalance.options import RebalanceOptions
from vistrain_trainer.errors import BadInput

members = st.lists(st.lists(st.integers(0, 3), max_size=3), min_size=1, max_size=3)
groups = st.lists(members, min_size=1, max_size=6)


def possible(groups: list[Members], unit: str) -> set[int]:
    """The numbers that whole groups hold."""
    sums = {0}
    for group in groups:
        counts = [picture.count(3) for picture in group]
        weight = sum(counts) if unit == "instances" else sum(count > 0 for count in counts)
        sums |= {one + weight for one in sums}
    return sums


@settings(max_examples=40, deadline=None)
@given(
    train=groups,
    val=groups,
    layout=st.sampled_from(LAYOUTS),
    unit=st.sampled_from(["images", "instances"]),
    count=st.integers(1, 8),
    seed=st.integers(0, 3),
)
def test_no_image_is_lost_counts_add_up_and_an_undo_is_identity(
    tmp_path_factory: pytest.TempPathFactory,
    train: list[Members],
    val: list[Members],
    layout: str,
    unit: str,
    count: int,
    seed: int,
) -> None:
    folder: Path = tmp_path_factory.mktemp("any") / "data"
    train = [*train, [[0]]]  # something is left in any case
    data = write_drainage(folder, layout, {"train": train, "val": val})
    before, tree = contents(data), snapshot(folder)
    options = RebalanceOptions("vegetation", count, unit, seed=seed)  # type: ignore[arg-type]
    if count not in possible(train, unit):
        with pytest.raises(BadInput, match="--count"):
            run.rebalance(data, options)
        assert snapshot(folder) == tree
        return
    change = run.rebalance(data, options)
    after = contents(data)
    assert {**after["train"], **after["val"]} == {**before["train"], **before["val"]}
    assert not after["train"].keys() & after["val"].keys()
    assert len(after["val"]) == len(before["val"]) + len(change.moved)
    gone = before["train"].keys() - after["train"].keys()
    kinds = [[kind for kind, _ in before["train"][name]].count("vegetation") for name in gone]
    assert (sum(kinds) if unit == "instances" else sum(kind > 0 for kind in kinds)) == count
    rows = [kind for kind, _ in chain(*after["train"].values(), *after["val"].values())]
    for kind in change.before["train"].per_class:
        for state in (change.before, change.after):
            boxes = sum(state[name].per_class[kind].instances for name in ("train", "val"))
            assert boxes == rows.count(kind)
    run.undo(data)
    assert snapshot(folder) == tree
