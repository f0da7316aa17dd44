"""The learning rate, against the formula written out."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vistrain_trainer.engine.schedule import RateCurve


def formula(step, peak, ratio, total, warmup, flat):
    if warmup > 0 and step <= warmup:
        return peak * (step / warmup) ** 2
    if step >= total - flat:
        return peak * ratio
    angle = math.pi * (step - warmup) / (total - warmup - flat)
    return peak * ratio + 0.5 * peak * (1 - ratio) * (1 + math.cos(angle))


@given(
    epochs=st.integers(1, 30),
    per_epoch=st.integers(1, 50),
    warmup=st.integers(0, 5),
    flat=st.integers(0, 8),
    ratio=st.floats(0, 1),
    share=st.floats(0, 1, exclude_max=True),
)
def test_yolox_curve_is_the_formula(epochs, per_epoch, warmup, flat, ratio, share):
    epochs = max(epochs, warmup + flat)
    total, step = epochs * per_epoch, int(share * epochs * per_epoch)
    curve = RateCurve("yolox", 7.5e-5, ratio, total, warmup * per_epoch, flat * per_epoch)
    expected = formula(step, 7.5e-5, ratio, total, warmup * per_epoch, flat * per_epoch)
    assert curve.rate(step) == pytest.approx(expected, rel=1e-12)


def test_recipe_a():
    """30 epochs of 100 steps, 3 of warm-up, 8 without augmentation, from 7.5e-5 to a tenth of it."""
    curve = RateCurve("yolox", 7.5e-5, 0.1, 3000, 300, 800)
    assert curve.rate(0) == 0
    assert curve.rate(150) == pytest.approx(7.5e-5 / 4)
    assert curve.rate(300) == pytest.approx(7.5e-5)
    assert curve.rate(1250) == pytest.approx(7.5e-5 * 0.55)
    assert curve.rate(2199) > 7.5e-6
    assert curve.rate(2200) == curve.rate(2999) == pytest.approx(7.5e-6)


def test_no_warmup_starts_at_the_peak():
    assert RateCurve("yolox", 1e-2, 0.05, 100, 0, 20).rate(0) == pytest.approx(1e-2)


@pytest.mark.parametrize("kind", ["cosine", "linear"])
def test_other_curves_rise_to_the_peak_and_fall_to_the_floor(kind):
    curve = RateCurve(kind, 1e-2, 0.1, 1000, 100, 0)
    rates = [curve.rate(step) for step in range(1000)]
    assert rates[50] == pytest.approx(5e-3)
    assert rates[100] == max(rates) == pytest.approx(1e-2)
    assert rates[550] == pytest.approx(5.5e-3)
    assert all(after < before for before, after in pairwise(rates[100:]))
    assert rates[-1] == pytest.approx(1e-3, rel=0.02)


def test_rate_per_image_is_multiplied_by_the_batch(tiny):
    manifest = tiny.tiny_manifest(schedule__learningRate={"perImage": 9.375e-6}, schedule__batchSize=8)
    assert RateCurve.of(manifest.spec.schedule, 10).peak == pytest.approx(7.5e-5)
