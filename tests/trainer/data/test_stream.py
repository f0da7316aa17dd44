"""The sample stream: order, positions, random access."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vistrain_trainer.data.stream import SampleStream

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
