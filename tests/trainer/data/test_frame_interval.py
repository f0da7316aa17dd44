"""Motion learned at one frame interval is not used at another."""

from __future__ import annotations

import pytest

from vistrain_trainer.data.frame_interval import (
    Motion,
    mean_interval,
    notes_on_published,
    require_same_motion,
)
from vistrain_trainer.errors import BadInput

CLASSES = ("car", "truck", "bus")
LEARNED = Motion("runs/a", CLASSES, 1 / 12)
FIELD = "spec.dataset"


@pytest.mark.parametrize("rate", [12, 11.45, 12.5])
def test_the_same_rate_as_real_cameras_keep_it_is_accepted(rate: float) -> None:
    require_same_motion(LEARNED, Motion("data/mot", CLASSES, 1 / rate), FIELD)
    assert notes_on_published(LEARNED, Motion("data/mot", None, 1 / rate), FIELD) == []


@pytest.mark.parametrize("rate", [2, 10, 11.3, 13, 30])
def test_another_rate_is_refused(rate: float) -> None:
    with pytest.raises(BadInput) as refused:
        require_same_motion(LEARNED, Motion("data/mot", CLASSES, 1 / rate), FIELD)
    assert refused.value.field == FIELD
    assert (
        "runs/a knows how things move in 83.3 ms between frames, and data/mot has " in refused.value.problem
    )
    assert "--fps" in refused.value.remedy
    with pytest.raises(BadInput, match="more than 5% apart"):
        notes_on_published(LEARNED, Motion("data/mot", CLASSES, 1 / rate), FIELD)


def test_an_unknown_interval_is_for_published_weights_only() -> None:
    published = Motion("mot17.pth", None, None)
    [note] = notes_on_published(published, Motion("data/mot", CLASSES, 0.5), FIELD)
    assert note.startswith("mot17.pth does not say for which frame interval it was trained")
    assert "500.0 ms" in note
    with pytest.raises(BadInput, match="the frame interval of runs/b is not known"):
        require_same_motion(Motion("runs/b", CLASSES, None), LEARNED, FIELD)
    with pytest.raises(BadInput, match="the frame interval of data/mot is not known"):
        require_same_motion(LEARNED, Motion("data/mot", CLASSES, None), FIELD)


@pytest.mark.parametrize("classes", [("car", "bus", "truck"), ("car", "truck"), None])
def test_other_classes_or_another_order_are_refused(classes: tuple[str, ...] | None) -> None:
    with pytest.raises(
        BadInput, match=r"has other classes, or in another order, than runs/a, which has \[car"
    ):
        require_same_motion(LEARNED, Motion("data/mot", classes, 1 / 12), FIELD)


def test_the_mean_interval_of_sequences_goes_by_their_length() -> None:
    assert mean_interval([0.1, 0.5], [11, 6]) == pytest.approx((10 * 0.1 + 5 * 0.5) / 15)
    assert mean_interval([0.1, 0.5], [11, 1]) == pytest.approx(0.1)
    assert mean_interval([0.1], [1]) is None
    assert mean_interval([], []) is None
