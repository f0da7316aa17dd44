"""Axes with round numbers, thinned curves, places on the page."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as some

from vistrain_trainer.reporting.axes import x_axis, y_axis
from vistrain_trainer.reporting.charts import Band, Chart, Flag, Line, drawn, thinned
from vistrain_trainer.reporting.figures import draw
from vistrain_trainer.reporting.plot import lay_out

VALUES = some.lists(
    some.floats(-1e9, 1e9).filter(lambda value: value == 0 or abs(value) > 1e-9), min_size=1, max_size=50
)


def chart(values, **options) -> Chart:
    line = Line("a", tuple(map(float, range(len(values)))), tuple(values), slot=0)
    return Chart(key="k", title="t", x_label="epoch", y_label="y", lines=(line,), **options)


@given(VALUES)
def test_every_value_lies_between_the_ends_of_its_axis(values):
    one = chart(values)
    for axis, places in ((y_axis(one), values), (x_axis(one), range(len(values)))):
        shares = [axis.share(value) for value in places]
        assert min(shares) >= -1e-6
        assert max(shares) <= 1 + 1e-6
        assert 1 <= len(axis.ticks) <= 12
        texts = [tick.text for tick in axis.ticks]
        assert len(set(texts)) == len(texts)


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ([0.02, 0.91], ["0.00", "0.25", "0.50", "0.75", "1.00"]),
        ([3.0, 11.5], ["2.5", "5.0", "7.5", "10.0", "12.5"]),
        ([0.0, 0.0], ["0.00", "0.25", "0.50", "0.75", "1.00"]),
        ([1e-5, 9e-5], ["0", "2.5e-5", "5e-5", "7.5e-5", "1e-4"]),
        ([4723e5, 4743e5], ["4.72e8", "4.725e8", "4.73e8", "4.735e8", "4.74e8", "4.745e8"]),
    ],
)
def test_numbers_of_an_axis(values, texts):
    one = chart(values, y_floor=0.0 if values[0] < 1 else None)
    assert [tick.text for tick in y_axis(one).ticks] == texts


def test_one_value_that_dwarfs_the_others_makes_an_axis_logarithmic():
    assert chart([1.0, 2.0, 3.0, 40.0]).logarithmic is False
    one = chart([11.0, 12.0, 11.0, 150_000.0])
    assert one.logarithmic is True
    assert [tick.text for tick in y_axis(one).ticks] == ["10", "100", "1000", "10000", "1e5", "1e6"]
    assert chart([-1.0, 12.0, 11.0, 150_000.0]).logarithmic is False


@given(some.lists(some.floats(-1e6, 1e6), min_size=1, max_size=5000))
def test_a_thinned_curve_keeps_its_peaks_and_its_ends(values):
    places = tuple(map(float, range(len(values))))
    x, y = thinned(places, values, limit=100)
    assert len(x) <= 104
    assert list(x) == sorted(set(x))
    assert (x[0], x[-1]) == (places[0], places[-1])
    assert (min(y), max(y)) == (min(values), max(values))
    assert all(values[int(place)] == value for place, value in zip(x, y, strict=True))


def test_what_is_near_shares_a_flag_and_narrow_bands_bear_no_name():
    flags = (
        Flag(10, 1, "stop", "s"),
        Flag(10, 2, "resume", "r"),
        Flag(11, 3, "best", "b"),
        Flag(50, 4, "stop", "x"),
    )
    bands = (Band(0, 2, "part", "warm-up"), Band(2, 100, "part", "main"), Band(0, 100, "phase", "all"))
    plot = lay_out(chart([1.0] * 101, flags=flags, bands=bands))
    assert [(flag.numbers, flag.kind, flag.percent) for flag in plot.flags] == [
        ("1–3", "best", 10.0),
        ("4", "stop", 50.0),
    ]
    assert [[band.text for band in row] for row in plot.bands] == [["all"], ["", "main"]]
    assert plot.bands[1][0].title == "warm-up"


def test_a_line_takes_finite_values_only():
    with pytest.raises(ValueError, match="finite"):
        Line("a", (1.0,), (math.nan,), slot=0)
    with pytest.raises(ValueError, match="as many"):
        Line("a", (1.0, 2.0), (1.0,), slot=0)
    empty = Chart(key="k", title="t", x_label="epoch", y_label="y", lines=(Line("a", (), (), slot=0),))
    assert drawn([None, empty]) == ()


def test_an_axis_of_sizes_is_logarithmic_from_end_to_end():
    line = Line("a", (1.0, 10.0, 10.0, 398.1), (20.0, 20.0, 5.0, 5.0), slot=0, stepped=True)
    one = Chart(
        key="k",
        title="t",
        x_label="width (px)",
        y_label="y",
        lines=(line,),
        x_range=(1.0, 398.1),
        y_floor=0.0,
        x_logarithmic=True,
    )
    assert [tick.text for tick in x_axis(one).ticks] == ["1", "2", "5", "10", "20", "50", "100", "200"]
    plot = lay_out(one)
    assert [tick.percent for tick in plot.x_ticks][:4] == pytest.approx([0, 11.58, 26.88, 38.46], abs=0.01)
    assert plot.lines[0].path == "M0 0L385 0L385 750L1000 750"
    assert plot.lines[0].dots == ""  # corners are no readings
    assert plot.readings["logarithmic"]
    assert plot.readings["lines"][0]["stepped"]
    names = [name for name, content in draw([one]) if content]
    assert names == ["k.png", "k.svg"]
