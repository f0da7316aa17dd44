"""The plan of a run: phases in steps, and the rate of each part of the model at each of them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vistrain_trainer.engine.plan import Plan


def formula(step, peak, ratio, total, warmup, flat):
    """The rate as requirements state it, written out."""
    if warmup > 0 and step <= warmup:
        return peak * (step / warmup) ** 2
    if step >= total - flat:
        return peak * ratio
    return peak * ratio + 0.5 * peak * (1 - ratio) * (
        1 + math.cos(math.pi * (step - warmup) / (total - warmup - flat))
    )


def plan_of(tiny, steps_per_epoch=10, **schedule):
    settings = {f"schedule__{name}": value for name, value in schedule.items()}
    return Plan.of(tiny.tiny_manifest(**settings).spec.schedule, steps_per_epoch)


def test_a_run_without_phases_is_one(tiny):
    plan = plan_of(tiny, epochs=5, noAugEpochs=2)
    assert [(p.name, p.first, p.end, p.freeze) for p in plan.phases] == [("", 0, 50, ())]
    assert plan.total == 50
    for step in range(50):
        assert plan.phase_at(step).rate(step, "head") == pytest.approx(
            formula(step, 0.05, 0.05, 50, 10, 20), rel=1e-12
        )


def test_phases_lie_end_to_end_and_the_last_has_the_rest(tiny):
    plan = plan_of(
        tiny, epochs=9, phases=[{"name": "a", "epochs": 2}, {"name": "b", "epochs": 3}, {"name": "c"}]
    )
    assert [(p.name, p.first, p.end) for p in plan.phases] == [("a", 0, 20), ("b", 20, 50), ("c", 50, 90)]
    assert [plan.phase_at(step).name for step in (0, 19, 20, 49, 50, 89, 90)] == list("aabbccc")


def test_phases_without_a_rate_of_their_own_share_the_runs_curve(tiny):
    phases = [{"name": "a", "epochs": 3, "freeze": ["backbone"]}, {"name": "b"}]
    plan = plan_of(tiny, epochs=6, warmupEpochs=1, noAugEpochs=2, phases=phases)
    for step in range(60):
        assert plan.phase_at(step).rate(step, "head") == pytest.approx(
            formula(step, 0.05, 0.05, 60, 10, 20), rel=1e-12
        )


def test_a_phase_with_its_own_rate_has_its_own_curve(tiny):
    phases = [
        {"name": "a", "epochs": 4, "learningRates": {"head": 0.02}},
        {"name": "b", "learningRate": {"peak": 0.01, "minRatio": 0.2}, "warmupEpochs": 2},
    ]
    plan = plan_of(tiny, epochs=10, warmupEpochs=1, noAugEpochs=2, phases=phases)
    first, second = plan.phases
    for step in range(40):  # the run's warm-up is its first phase's; the tail is not in it
        assert first.rate(step, "head") == pytest.approx(formula(step, 0.02, 0.05, 40, 10, 0), rel=1e-12)
        assert first.rate(step, "neck") == pytest.approx(formula(step, 0.05, 0.05, 40, 10, 0), rel=1e-12)
    for step in range(40, 100):
        assert second.rate(step, "head") == pytest.approx(
            formula(step - 40, 0.01, 0.2, 60, 20, 20), rel=1e-12
        )


def test_own_rates_start_at_the_peak_unless_a_warm_up_is_stated(tiny):
    phases = [{"name": "a", "epochs": 2}, {"name": "b", "learningRates": {"head": 0.02}}]
    plan = plan_of(tiny, epochs=8, warmupEpochs=1, noAugEpochs=0, phases=phases)
    assert plan.phases[1].rate(20, "head") == pytest.approx(0.02)


@given(
    lengths=st.lists(st.integers(1, 6), min_size=1, max_size=5),
    tail=st.integers(0, 8),
    own=st.lists(st.booleans(), min_size=5, max_size=5),
    per_epoch=st.integers(1, 7),
)
def test_any_plan_is_without_gaps_and_its_rates_are_finite(tiny, lengths, tail, own, per_epoch):
    phases = [
        {"name": f"p{n}", "epochs": length} | ({"learningRates": {"head": 0.01}} if own[n] else {})
        for n, length in enumerate(lengths)
    ]
    epochs = sum(lengths)
    plan = plan_of(
        tiny, per_epoch, epochs=epochs, warmupEpochs=0, noAugEpochs=min(tail, epochs), phases=phases
    )
    assert plan.phases[0].first == 0
    assert [p.end for p in plan.phases[:-1]] == [p.first for p in plan.phases[1:]]
    assert plan.total == epochs * per_epoch
    for step in range(plan.total):
        phase = plan.phase_at(step)
        assert phase.first <= step < phase.end
        assert 0 < phase.rate(step, "head") <= 0.05
