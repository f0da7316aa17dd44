"""Near-duplicates: found among pictures, and exactly those within the distance."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.yolo_dataset import alike, picture
from vistrain_trainer.data.near_duplicates import connected, hash_pictures, similar_pairs
from vistrain_trainer.data.rebalance.options import NEAR
from vistrain_trainer.errors import BadInput

hashes = st.lists(st.integers(0, 2**64 - 1), max_size=30)
flips = st.lists(st.tuples(st.integers(0, 29), st.sets(st.integers(0, 63), max_size=12)))
"""Which hash is repeated with some of its bits changed."""


@given(base=hashes, flips=flips, distance=st.integers(0, 63))
def test_pairs_are_those_within_the_distance(
    base: list[int], flips: list[tuple[int, set[int]]], distance: int
) -> None:
    values = list(base)
    values += [base[at % len(base)] ^ sum(1 << bit for bit in bits) for at, bits in flips if base]
    found = similar_pairs(np.array(values, np.uint64), distance)
    expected = [
        [a, b]
        for a, b in combinations(range(len(values)), 2)
        if (values[a] ^ values[b]).bit_count() <= distance
    ]
    assert found.tolist() == expected


@settings(deadline=None)  # the first call imports scipy
@given(count=st.integers(1, 12), data=st.data())
def test_groups_reach_over_others(count: int, data: st.DataObject) -> None:
    place = st.integers(0, count - 1)
    pairs = data.draw(st.lists(st.tuples(place, place), max_size=12))
    parts = [{at} for at in range(count)]
    for a, b in pairs:
        joined = next(part for part in parts if a in part) | next(part for part in parts if b in part)
        parts = [part for part in parts if not part & joined] + [joined]
    groups = connected(count, np.array(pairs, np.int64).reshape(-1, 2))
    assert {frozenset(np.flatnonzero(groups == group).tolist()) for group in set(groups.tolist())} == set(
        map(frozenset, parts)
    )


def test_other_light_and_a_slight_crop_are_alike_and_other_pictures_are_not(tmp_path: Path) -> None:
    paths = []
    for seed in range(12):
        for kind, content in enumerate([picture(seed), *alike(picture(seed))]):
            paths.append(tmp_path / f"{seed:02d}-{kind}.{'jpg' if kind == 2 else 'png'}")
            cv2.imwrite(str(paths[-1]), content)
    values = hash_pictures(paths)
    groups = connected(len(paths), similar_pairs(values, NEAR))
    of_seed = [int(path.name[:2]) for path in paths]
    assert [groups[at] == groups[other] for at, other in combinations(range(len(paths)), 2)] == [
        a == b for a, b in combinations(of_seed, 2)
    ]


@pytest.mark.parametrize("content", [b"", b"no picture", None])
def test_a_broken_picture_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "a.png"
    if content is None:
        cv2.imwrite(str(path), picture(1))
        content = path.read_bytes()[:-200]
    path.write_bytes(content)
    with pytest.raises(BadInput, match=r"a\.png: it cannot be compared with others"):
        hash_pictures([path])
