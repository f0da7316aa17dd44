"""The sample stream: order, positions, random access."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vistrain_trainer.data.stream import Heights, SampleStream

streams = st.builds(
    SampleStream,
    images=st.integers(1, 40),
    batch_size=st.integers(1, 12),
    seed=st.integers(0, 2**40),
    epochs=st.integers(1, 4),
    no_aug_epochs=st.integers(0, 5),
    height=st.just(64),
    width=st.just(96),
)


@given(streams)
def test_every_batch_is_full_and_positions_count_without_a_gap(stream: SampleStream) -> None:
    keys = [key for step in range(stream.total_steps) for key in stream.keys_for_step(step)]
    assert [key.position for key in keys] == list(range(stream.total_steps * stream.batch_size))


@given(streams)
def test_an_epoch_is_a_permutation_cut_to_whole_batches(stream: SampleStream) -> None:
    for epoch in range(stream.epochs):
        steps = range(epoch * stream.steps_per_epoch, (epoch + 1) * stream.steps_per_epoch)
        uses = Counter(key.index for step in steps for key in stream.keys_for_step(step))
        if stream.images >= stream.batch_size:
            assert set(uses.values()) == {1}
            assert len(uses) == stream.images // stream.batch_size * stream.batch_size
        else:
            # One batch that goes round: every image, none more than once more often than another.
            assert len(uses) == stream.images
            assert max(uses.values()) - min(uses.values()) <= 1


@given(streams)
def test_the_last_epochs_exactly_are_not_augmented(stream: SampleStream) -> None:
    for step in range(stream.total_steps):
        for key in stream.keys_for_step(step):
            assert key.epoch == step // stream.steps_per_epoch
            assert key.augment == (key.epoch < stream.epochs - stream.no_aug_epochs)
            assert (key.height, key.width) == (64, 96)


@given(streams, st.data())
def test_a_step_is_the_same_whatever_was_asked_before(stream: SampleStream, data: st.DataObject) -> None:
    steps = data.draw(st.lists(st.integers(0, stream.total_steps - 1), min_size=1, max_size=6))
    fresh = {step: stream.keys_for_step(step) for step in sorted(set(steps))}
    assert [stream.keys_for_step(step) for step in steps] == [fresh[step] for step in steps]


def test_epochs_and_seeds_have_their_own_order() -> None:
    def order(seed: int, epoch: int) -> list[int]:
        stream = SampleStream(100, 10, seed, 3, 0, 64, 96)
        steps = range(epoch * 10, (epoch + 1) * 10)
        return [key.index for step in steps for key in stream.keys_for_step(step)]

    orders = [order(0, 0), order(0, 1), order(1, 0), order(1, 1)]
    assert len({tuple(one) for one in orders}) == 4


@pytest.mark.parametrize("step", [-1, 6])
def test_a_step_outside_the_training_is_refused(step: int) -> None:
    with pytest.raises(IndexError, match=f"step {step} is outside 0..5"):
        SampleStream(8, 4, 0, 3, 0, 64, 96).keys_for_step(step)


def test_sizes_must_be_positive() -> None:
    with pytest.raises(ValueError, match="images=0"):
        SampleStream(0, 4, 0, 3, 0, 64, 96)


def drawn(seed: int, least: int = 736, most: int = 1056, every: int = 10) -> SampleStream:
    return SampleStream(400, 4, seed, 10, 3, 896, 1600, Heights(least, most, every))


def test_heights_are_multiples_of_32_in_their_range_and_all_come_by() -> None:
    sizes = {drawn(0).size_at(step) for step in range(1000)}
    assert {height for height, _ in sizes} == set(range(736, 1057, 32))


@pytest.mark.parametrize("heights", [(64, 256), (40, 130), (96, 96)])
def test_the_width_follows_by_the_base_sizes_aspect_as_in_yolox(heights: tuple[int, int]) -> None:
    stream = SampleStream(40, 4, 0, 100, 0, 96, 160, Heights(*heights, 1))
    for step in range(stream.total_steps):
        height, width = stream.size_at(step)
        assert heights[0] <= height <= heights[1]
        factor = height // 32
        assert (height, width) == (32 * factor, 32 * int(factor * (160 / 96)))


def test_a_height_lasts_its_steps_and_depends_on_the_seed_alone() -> None:
    stream = drawn(5)
    for first in range(0, 200, 10):
        assert len({stream.size_at(step) for step in range(first, first + 10)}) == 1
    assert [stream.size_at(step) for step in (990, 5, 300)] == [
        drawn(5).size_at(step) for step in (990, 5, 300)
    ]
    other = SampleStream(777, 9, 5, 10, 0, 896, 1600, Heights(736, 1056, 10))
    assert [other.size_at(step) for step in range(0, 500, 10)] == [
        stream.size_at(step) for step in range(0, 500, 10)
    ]
    assert [stream.size_at(step) for step in range(0, 500, 10)] != [
        drawn(6).size_at(step) for step in range(0, 500, 10)
    ]


def test_the_keys_of_a_step_carry_its_size_also_in_the_tail() -> None:
    stream = drawn(1)
    for step in (0, 17, 333, 999):
        assert {(key.height, key.width) for key in stream.keys_for_step(step)} == {stream.size_at(step)}


def test_drawing_heights_changes_no_other_draw() -> None:
    plain = SampleStream(400, 4, 1, 10, 3, 896, 1600)
    for step in (0, 17, 999):
        assert [(key.index, key.position, key.augment) for key in plain.keys_for_step(step)] == [
            (key.index, key.position, key.augment) for key in drawn(1).keys_for_step(step)
        ]
