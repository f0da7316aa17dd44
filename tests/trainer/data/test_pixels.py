"""What saves time in making pixels changes none of them."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vistrain_trainer.data.augmentation import AugmentationSettings, plan_sample, render_sample
from vistrain_trainer.data.colour import draw_colours, recolour
from vistrain_trainer.data.geometry import affine_matrix
from vistrain_trainer.data.letterbox import PAD, fit, letterbox
from vistrain_trainer.data.mixup import mix, plan_mixup
from vistrain_trainer.data.mosaic import plan_mosaic, warp_mosaic
from vistrain_trainer.data.scratch import Scratch

HEIGHT, WIDTH = 64, 96


class Noise:
    """A source of noise at several sizes that tells which images were read."""

    def __init__(self) -> None:
        random = np.random.default_rng(0)
        sizes = [(64, 96), (64, 71), (41, 96), (63, 96), (64, 95)]
        self._images = [random.integers(0, 256, (*size, 3), np.uint8) for size in sizes]
        self.read: list[int] = []

    def __len__(self) -> int:
        return len(self._images)

    def has_boxes(self, index: int) -> bool:
        return True

    def size(self, index: int) -> tuple[int, int]:
        return self._images[index].shape[0], self._images[index].shape[1]

    def boxes(self, index: int) -> np.ndarray:
        return np.array([[1.0, 2.0, 60.0, 40.0, index]])

    def image(self, index: int) -> np.ndarray:
        self.read.append(index)
        image = self._images[index].view()
        image.flags.writeable = False
        return image


@pytest.fixture(scope="module")
def scratch() -> Scratch:
    """One for all tests, so that what one leaves behind is in the way of the next."""
    return Scratch()


ranges = st.tuples(st.floats(0.05, 1.0), st.floats(1.0, 3.0))


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    degrees=st.sampled_from([0.0, 5.0, 180.0]),
    translate=st.floats(0, 2),
    shear=st.sampled_from([0.0, 2.0, 60.0]),
    scale=ranges,
)
def test_a_warp_of_what_it_shows_is_that_of_the_whole_canvas(
    scratch: Scratch, seed: int, degrees: float, translate: float, shear: float, scale: tuple[float, float]
) -> None:
    random, source = np.random.default_rng(seed), Noise()
    placements, _ = plan_mosaic(source, 0, height=HEIGHT, width=WIDTH, random=random)
    matrix = affine_matrix(
        HEIGHT, WIDTH, degrees=degrees, translate=translate, shear=shear, scale=scale, random=random
    )
    found = np.empty((HEIGHT, WIDTH, 3), np.uint8)
    warp_mosaic(source, placements, matrix, found, scratch)

    canvas = np.full((2 * HEIGHT, 2 * WIDTH, 3), PAD, np.uint8)
    for piece in placements:
        image = fit(source.image(piece.image), HEIGHT, WIDTH)
        top, left = max(piece.top, 0), max(piece.left, 0)
        shown = image[top - piece.top : 2 * HEIGHT - piece.top, left - piece.left : 2 * WIDTH - piece.left]
        canvas[top : top + shown.shape[0], left : left + shown.shape[1]] = shown
    whole = cv2.warpAffine(canvas, matrix, dsize=(WIDTH, HEIGHT), borderValue=(PAD,) * 3)
    np.testing.assert_array_equal(found, whole)


def test_an_image_that_is_not_shown_is_not_read(scratch: Scratch) -> None:
    """Without scaling the warp shows the canvas's upper left quarter; the last image is mostly outside it."""
    read = 0
    identity = np.array([[1.0, 0, 0], [0, 1.0, 0]])
    for seed in range(200):
        source = Noise()
        placements, _ = plan_mosaic(source, 0, height=HEIGHT, width=WIDTH, random=np.random.default_rng(seed))
        warp_mosaic(source, placements, identity, np.empty((HEIGHT, WIDTH, 3), np.uint8), scratch)
        read += len(source.read)
    assert 1.8 < read / 200 < 2.6  # of four


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 2**32), scale=ranges)
def test_mixing_in_place_is_the_mean_with_the_partners_cut(
    scratch: Scratch, seed: int, scale: tuple[float, float]
) -> None:
    source = Noise()
    partner, _ = plan_mixup(
        source, height=HEIGHT, width=WIDTH, scale=scale, random=np.random.default_rng(seed)
    )
    image = np.random.default_rng(seed).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    found = image.copy()
    mix(source, partner, found, scratch)

    canvas = cv2.resize(
        letterbox(source.image(partner.image), HEIGHT, WIDTH)[0], (partner.width, partner.height)
    )
    if partner.flip:
        canvas = canvas[:, ::-1]
    padded = np.zeros((max(partner.height, HEIGHT), max(partner.width, WIDTH), 3), np.uint8)
    padded[: partner.height, : partner.width] = canvas
    cut = padded[partner.top : partner.top + HEIGHT, partner.left : partner.left + WIDTH]
    np.testing.assert_array_equal(found, (image.astype(np.uint16) + cut) // 2)


@pytest.mark.parametrize("gains", [None, (0.015, 0.7, 0.4)])
@pytest.mark.parametrize("size", [(64, 96), (41, 95)])
def test_recolouring_in_place_is_that_of_a_copy(
    scratch: Scratch, gains: tuple[float, float, float] | None, size: tuple[int, int]
) -> None:
    image = np.random.default_rng(1).integers(0, 256, (*size, 3), np.uint8)
    for seed in range(20):
        tables = draw_colours(gains, np.random.default_rng(seed))
        expected = cv2.cvtColor(cv2.LUT(cv2.cvtColor(image, cv2.COLOR_BGR2HSV), tables), cv2.COLOR_HSV2BGR)
        frame = np.zeros((80, 120, 3), np.uint8)
        recolour(image, tables, frame[: size[0], : size[1]], scratch)
        np.testing.assert_array_equal(frame[: size[0], : size[1]], expected)
        assert not frame[size[0] :].any()
        assert not frame[:, size[1] :].any()
        again = image.copy()
        recolour(again, tables, again, scratch)
        np.testing.assert_array_equal(again, expected)


@settings(max_examples=100, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    size=st.sampled_from([(64, 96), (32, 32), (96, 160), (128, 192)]),
    mosaic=st.sampled_from([0.0, 1.0]),
)
def test_every_pixel_is_written_and_a_place_in_a_batch_is_as_good_as_any(
    scratch: Scratch, seed: int, size: tuple[int, int], mosaic: float
) -> None:
    source = Noise()
    plan, boxes = plan_sample(
        source,
        seed % 5,
        height=size[0],
        width=size[1],
        settings=AugmentationSettings(mosaic=mosaic, mixup_probability=0.5, scale=(0.3, 1.5)),
        random=np.random.default_rng(seed),
    )
    batch = np.zeros((3, *size, 3), np.uint8)
    render_sample(source, plan, batch[1], scratch)
    assert not batch[[0, 2]].any()
    alone = np.full((*size, 3), 255, np.uint8)
    render_sample(source, plan, alone, Scratch())
    np.testing.assert_array_equal(batch[1], alone)
    assert (boxes[:, :4] >= 0).all()
    assert (boxes[:, [0, 2]] <= size[1]).all()
    assert (boxes[:, [1, 3]] <= size[0]).all()
