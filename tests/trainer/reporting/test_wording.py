"""Numbers, counts and durations in sentences."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vistrain_trainer.reporting.wording import count, duration, listing, number, percent, sentence, times


@settings(deadline=None)
@given(st.floats(-1e12, 1e12), st.integers(1, 8))
def test_a_number_reads_back_to_its_digits(value, digits):
    assert float(number(value, digits)) == pytest.approx(value, rel=10.0 ** (1 - digits))


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.0, "0"),
        (-0.0, "0"),
        (3, "3"),
        (12345678, "12345678"),
        (0.5, "0.5"),
        (0.09123456, "0.09123"),
        (4.0, "4"),
        (123456.0, "123500"),
        (0.0001, "0.0001"),
        (0.000012345, "1.234e-05"),
        (3.2e9, "3.200e+09"),
        (0.99999, "1"),
    ],
)
def test_numbers(value, shown):
    assert number(value) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0 s"),
        (0.05, "0.05 s"),
        (4.24, "4.2 s"),
        (59.9, "59.9 s"),
        (59.96, "1 min"),
        (60, "1 min"),
        (61, "1 min 1 s"),
        (3599.4, "59 min 59 s"),
        (3599.6, "1 h"),
        (3660, "1 h 1 min"),
        (36000, "10 h"),
        (90061, "25 h 1 min"),
    ],
)
def test_durations(seconds, shown):
    assert duration(seconds) == shown


def test_counts():
    assert [count(amount, "epoch") for amount in (0, 1, 2)] == ["no epochs", "1 epoch", "2 epochs"]
    assert count(2, "loss", "losses") == "2 losses"
    assert [times(amount) for amount in (1, 2, 3)] == ["once", "twice", "3 times"]
    assert [listing(list("abc"[:amount])) for amount in range(4)] == ["", "a", "a and b", "a, b and c"]
    assert percent(0.0432) == "4.32 %"
    assert sentence("it ends") == "It ends."
