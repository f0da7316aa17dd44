"""The statistics against numpy, and the classes of stability at their limits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vistrain_api.schedule import Phase
from vistrain_trainer.reporting.gap import Gap, latest_gap
from vistrain_trainer.reporting.history import read_history
from vistrain_trainer.reporting.series import Series, mode_of
from vistrain_trainer.reporting.stability import Spread, spread, stability, stretch_figures, stretches

values = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=50)


def series(numbers, name="AP"):
    return Series(name, tuple(range(1, len(numbers) + 1)), tuple(numbers))


@settings(deadline=None)
@given(values)
def test_mean_and_spread_are_numpy_s(numbers):
    found = spread(series(numbers))
    assert found.count == len(numbers)
    assert found.mean == pytest.approx(np.mean(numbers), abs=1e-9)
    assert found.std == pytest.approx(
        np.sqrt(np.mean(np.square(np.subtract(numbers, np.mean(numbers))))), abs=1e-6
    )
    if len(numbers) > 1 and found.mean != 0:
        assert found.variation == pytest.approx(np.std(numbers) / abs(np.mean(numbers)))


@settings(deadline=None)
@given(values, st.integers(1, 60), st.integers(1, 60))
def test_a_part_of_a_curve_is_a_slice_of_its_values(numbers, first, last):
    part = series(numbers).between(first, last)
    assert list(part.values) == numbers[first - 1 : max(last, first - 1)]


@settings(deadline=None)
@given(values, st.floats(0.5, 1000))
def test_the_coefficient_of_variation_does_not_depend_on_the_unit(numbers, factor):
    one, other = spread(series(numbers)), spread(series([factor * value for value in numbers]))
    if one.variation is not None and 1e-9 < one.variation < 1e6:
        assert other.variation == pytest.approx(one.variation, rel=1e-6)


@settings(deadline=None)
@given(values)
def test_the_best_is_numpy_s_first_largest_and_least(numbers):
    curve = series(numbers)
    assert curve.best("max") == (np.argmax(numbers) + 1, max(numbers))
    assert curve.best("min") == (np.argmin(numbers) + 1, min(numbers))


@pytest.mark.parametrize(
    ("std", "verdict"),
    [
        (0, "very stable"),
        (4.99, "very stable"),
        (5, "stable"),
        (9.99, "stable"),
        (10, "unstable"),
        (99, "unstable"),
    ],
)
@pytest.mark.parametrize("mean", [100.0, -100.0])
def test_classes_at_their_limits(std, verdict, mean):
    assert Spread(10, mean, std).verdict == verdict


@pytest.mark.parametrize("one", [Spread(1, 5.0, 0.0), Spread(2, 0.0, 3.0)])
def test_no_verdict_without_two_values_or_with_a_mean_of_zero(one):
    assert (one.variation, one.verdict) == (None, None)


def test_series_refuse_places_that_do_not_rise():
    with pytest.raises(ValueError, match="do not rise"):
        Series("AP", (1, 1), (0.1, 0.2))
    with pytest.raises(ValueError, match="1 places for 2 values"):
        Series("AP", (1,), (0.1, 0.2))


@pytest.mark.parametrize(
    ("name", "mode"),
    [("AP", "max"), ("AP/car", "max"), ("loss/box", "min"), ("valLoss", "min"), ("test/valLoss", "min")],
)
def test_whether_more_or_less_is_better(name, mode):
    assert mode_of(name) == mode


def rows(losses, metrics):
    return [
        {"epoch": epoch, "step": 4 * epoch, "loss/total": loss, "AP": metric}
        for epoch, (loss, metric) in enumerate(zip(losses, metrics, strict=True), start=1)
    ]


def test_loss_and_primary_metric_with_and_without_the_warm_up(made):
    losses, metrics = [9.0, 8.0, 4.0, 3.9, 4.1, 4.0], [0.1, "", 0.2, "", 0.22, 0.18]
    folder = made(rows(losses, metrics), schedule__epochs=10, schedule__warmupEpochs=2)
    loss, metric = stability(read_history(folder))
    assert (loss.name, loss.overall.count, loss.after_warmup.count) == ("loss/total", 6, 4)
    assert loss.overall.mean == pytest.approx(np.mean(losses))
    assert loss.after_warmup.std == pytest.approx(np.std(losses[2:]))
    assert (loss.overall.verdict, loss.after_warmup.verdict) == ("unstable", "very stable")
    assert (metric.name, metric.overall.count, metric.after_warmup.count) == ("AP", 4, 3)


def test_within_the_warm_up_nothing_is_said_of_after_it(made):
    (loss,) = stability(read_history(made(rows([9.0], [""]), schedule__warmupEpochs=2)))
    assert loss.after_warmup is None
    assert stability(read_history(made(name="empty"))) == ()


def test_a_run_without_phases_is_one_with_its_parts(interrupted):
    history = read_history(interrupted)
    named = [(part.name, part.kind, part.first, part.last) for part in stretches(history)]
    assert named == [
        ("whole run", "run", 1, 3),
        ("warm-up", "part", 1, 1),
        ("main", "part", 2, 2),
        ("no-aug", "part", 3, 3),
    ]
    whole, metric, *_ = stretch_figures(history)
    curve = history.over_epochs("loss/total").values
    assert (whole.name, whole.start.value, whole.end.value) == ("loss/total", curve[0], curve[-1])
    assert whole.delta == curve[-1] - curve[0]
    assert (whole.spread.mean, whole.spread.std) == (
        pytest.approx(np.mean(curve)),
        pytest.approx(np.std(curve)),
    )
    assert metric.name == "AP"


def test_stretches_go_as_far_as_the_run(made):
    folder = made(rows([5, 4, 3], [0.1, 0.2, 0.3]), schedule__epochs=10, schedule__warmupEpochs=1)
    history = read_history(folder)
    assert [(part.name, part.last, part.planned_last) for part in stretches(history)] == [
        ("whole run", 3, 10),
        ("warm-up", 1, 1),
        ("main", 3, 9),
    ]
    assert stretches(read_history(made(name="empty"))) == ()


def test_phases_are_stretches_and_the_last_may_omit_its_epochs(made):
    history = read_history(made(rows([5, 4, 3, 2], [0.1, 0.2, 0.3, 0.4]), schedule__epochs=6))
    phases = [Phase(name="head", epochs=3, freeze=["backbone"]), Phase(name="all")]
    schedule = history.manifest.spec.schedule.model_copy(update={"phases": phases})
    spec = history.manifest.spec.model_copy(update={"schedule": schedule})
    history = replace(history, manifest=history.manifest.model_copy(update={"spec": spec}))
    head, rest, *_ = stretches(history)
    assert (head.name, head.kind, head.first, head.last) == ("head", "phase", 1, 3)
    assert (rest.name, rest.first, rest.last, rest.planned_last) == ("all", 4, 4, 6)


def test_the_gap_is_of_the_last_epoch_that_has_both_losses(made, interrupted):
    losses = [{"epoch": 1, "loss/total": 0.5, "valLoss": 0.7}, {"epoch": 2, "loss/total": 0.4, "valLoss": ""}]
    found = latest_gap(read_history(made(losses)))
    assert (found.epoch, found.difference, found.alert) == (1, pytest.approx(0.2), True)
    assert latest_gap(read_history(made(name="empty"))) is None
    history = read_history(interrupted)
    found = latest_gap(history)
    assert found.validation == history.over_epochs("valLoss").values[-1]
    assert found.training == history.over_epochs("loss/total").values[-1]


@pytest.mark.parametrize(
    ("training", "validation", "alert"),
    [(0.4, 0.49, False), (0.4, 0.51, True), (0.5, 0.1, False), (8.0, 8.7, False), (8.0, 8.9, True)],
)
def test_the_alert_of_the_gap(training, validation, alert):
    assert Gap(1, training, validation).alert is alert
