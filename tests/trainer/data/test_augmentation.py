"""Augmentation: equal to YOLOX's where the draws are equal, exact in geometry, nothing when off."""

from __future__ import annotations

import random as python_random
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from support.coco_dataset import CLASSES
from vistrain_trainer.data.augmentation import AugmentationSettings, plan_sample, render_sample
from vistrain_trainer.data.coco import CocoDetection
from vistrain_trainer.data.fitted import FittedImages
from vistrain_trainer.data.letterbox import fit, fit_ratio, letterbox, padded_labels, to_planes
from vistrain_trainer.data.randomness import Purpose, generator
from vistrain_trainer.data.samples import TrainingSamples
from vistrain_trainer.data.scratch import Scratch
from vistrain_trainer.data.source import ImageSource
from vistrain_trainer.data.stream import SampleKey

HEIGHT, WIDTH = 96, 160
EVERYTHING = AugmentationSettings(mosaic=0.8, mixup_probability=0.6, hsv_probability=0.7, scale=(0.5, 1.5))
RECIPES = {
    "everything": EVERYTHING,
    "never mosaic": replace(EVERYTHING, mosaic=0.0),
    "small scales": replace(EVERYTHING, scale=(0.1, 0.6), mixup_scale=(0.2, 0.7)),
    "large scales": replace(EVERYTHING, scale=(1.2, 2.0), mixup_scale=(1.1, 1.9), degrees=45.0, shear=20.0),
    "A": AugmentationSettings(0.2, 0.15, (0.85, 1.15), 0.4, None, 0.5, 3.0, 0.08, 0.5, (0.85, 1.15)),
    "off": AugmentationSettings.none(),
}


def key(position: int, *, augment: bool = True, images: int = 12) -> SampleKey:
    return SampleKey(position % images, position, 0, augment, HEIGHT, WIDTH)


@pytest.fixture(scope="module")
def dataset(dataset_folder: Path) -> CocoDetection:
    return CocoDetection(dataset_folder / "annotations" / "train.json", dataset_folder / "images", CLASSES)


@pytest.fixture(scope="module")
def images(dataset: CocoDetection) -> FittedImages:
    return FittedImages(dataset, HEIGHT, WIDTH)


def augmented_sample(
    source: ImageSource, index: int, settings: AugmentationSettings, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    plan, boxes = plan_sample(source, index, height=HEIGHT, width=WIDTH, settings=settings, random=random)
    image = np.empty((HEIGHT, WIDTH, 3), np.uint8)
    render_sample(source, plan, image, Scratch())
    return image, boxes


@pytest.fixture
def upstream(
    dataset_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[np.ndarray, np.ndarray]]:
    """YOLOX's own sample of a key, drawing from our generator where it draws from the global ones."""
    import_module("vistrain_trainer.detectors.yolox_package")  # makes yolox importable without thop
    from yolox.data import COCODataset, MosaicDetection, TrainTransform, data_augment
    from yolox.data.datasets import mosaicdetection

    def sample(settings: AugmentationSettings, at: SampleKey, seed: int) -> tuple[np.ndarray, np.ndarray]:
        source = generator(seed, Purpose.SAMPLE, at.position)
        draws = SimpleNamespace(
            random=source.random,
            uniform=source.uniform,
            randint=lambda low, high: int(source.integers(low, high + 1)),
        )
        monkeypatch.setattr(data_augment, "random", draws)
        monkeypatch.setattr(mosaicdetection, "random", draws)
        monkeypatch.setattr(np.random, "uniform", source.uniform)
        monkeypatch.setattr(np.random, "randint", source.integers)
        images = COCODataset(str(dataset_folder), "train.json", name="images", img_size=(at.height, at.width))
        wrapped = MosaicDetection(
            images,
            img_size=(at.height, at.width),
            mosaic=settings.mosaic > 0,
            preproc=TrainTransform(
                max_labels=120, flip_prob=settings.flip, hsv_prob=settings.hsv_probability
            ),
            degrees=float(settings.degrees),
            translate=float(settings.translate),
            mosaic_scale=settings.scale,
            mixup_scale=settings.mixup_scale,
            shear=float(settings.shear),
            mosaic_prob=settings.mosaic,
            mixup_prob=settings.mixup_probability,
        )
        image, labels, *_ = wrapped[at.index]
        return image, labels

    return sample


@pytest.mark.parametrize("recipe", RECIPES)
def test_samples_equal_yoloxs_pixel_by_pixel(
    images: FittedImages, upstream: Callable[..., tuple[np.ndarray, np.ndarray]], recipe: str
) -> None:
    settings, boxes = RECIPES[recipe], 0
    samples = TrainingSamples(images, settings, seed=11)
    for position in range(60):
        image, labels, _ = samples[key(position)]
        expected_image, expected_labels = upstream(settings, key(position), 11)
        np.testing.assert_array_equal(image, expected_image)
        if labels.any():
            np.testing.assert_allclose(labels, expected_labels, atol=1e-4)
        else:  # YOLOX trains on boxes that it found too small, where no other is left
            assert (expected_labels[:, 3:].min(axis=1) <= 1).all()
        boxes += int((labels[:, 3] > 0).sum())
    assert boxes > 60


@pytest.mark.parametrize("augment", [True, False])
def test_a_sample_is_a_function_of_seed_and_key_alone(images: FittedImages, augment: bool) -> None:
    def samples(seed: int) -> list[tuple[np.ndarray, np.ndarray, SampleKey]]:
        made = TrainingSamples(images, EVERYTHING, seed)
        return [made[key(position, augment=augment)] for position in (7, 3, 7)]

    first = samples(0)
    np.random.seed(99)
    python_random.seed(99)
    for (image, labels, _), (again, again_labels, _) in zip(first, samples(0), strict=True):
        np.testing.assert_array_equal(image, again)
        np.testing.assert_array_equal(labels, again_labels)
    np.testing.assert_array_equal(first[0][0], first[2][0])
    assert not np.array_equal(first[0][0], samples(1)[0][0])


def test_global_generators_are_neither_read_nor_moved(images: FittedImages) -> None:
    before, python_before = np.random.get_state(), python_random.getstate()
    samples = TrainingSamples(images, EVERYTHING, 0)
    for position in range(12):
        samples[key(position)]
    after = np.random.get_state()
    assert before[2:] == after[2:]
    np.testing.assert_array_equal(before[1], after[1])
    assert python_random.getstate() == python_before


def test_one_image_at_two_positions_gives_two_samples(images: FittedImages) -> None:
    samples = TrainingSamples(images, EVERYTHING, 0)
    assert not np.array_equal(samples[key(0)][0], samples[key(12)][0])


def test_with_everything_off_a_sample_is_the_letterboxed_image(
    dataset: CocoDetection, images: FittedImages
) -> None:
    samples = TrainingSamples(images, AugmentationSettings.none(), 0)
    for index in range(12):
        image, labels, _ = samples[key(index)]
        # Cut to whole pixels, a fitted side may fall short of the input's: it is fitted again, as in YOLOX.
        picture = dataset.read_image(index)
        resized, ratio = fit(picture, HEIGHT, WIDTH), fit_ratio(*picture.shape[:2], HEIGHT, WIDTH)
        canvas, again = letterbox(resized, HEIGHT, WIDTH)
        np.testing.assert_array_equal(image, to_planes(canvas))
        boxes = dataset.labels(index) * np.array([ratio * again] * 4 + [1])
        np.testing.assert_allclose(labels, padded_labels(boxes, 120), atol=1e-4)


@pytest.mark.parametrize(
    ("height", "width", "size"), [(90, 160, (90, 160)), (180, 160, (96, 85)), (30, 80, (60, 160))]
)
def test_a_letterbox_is_padded_at_the_right_and_below(height: int, width: int, size: tuple[int, int]) -> None:
    canvas, ratio = letterbox(np.full((height, width, 3), 7, np.uint8), HEIGHT, WIDTH)
    assert (canvas[: size[0], : size[1]] == 7).all()
    assert (canvas[size[0] :] == 114).all()
    assert (canvas[:, size[1] :] == 114).all()
    assert (int(height * ratio), int(width * ratio)) == size


def test_the_tail_keeps_flip_and_colour_and_closes_the_rest(images: FittedImages) -> None:
    settings = replace(EVERYTHING, mosaic=1.0, mixup_probability=1.0, hsv_probability=0.0, flip=1.0)
    tail = TrainingSamples(images, settings, 0)
    flipped = TrainingSamples(images, replace(AugmentationSettings.none(), flip=1.0), 0)
    for position in range(12):
        np.testing.assert_array_equal(tail[key(position, augment=False)][0], flipped[key(position)][0])
        np.testing.assert_array_equal(tail[key(position, augment=False)][1], flipped[key(position)][1])
    coloured = TrainingSamples(images, replace(settings, hsv_probability=1.0), 0)
    assert any(
        not np.array_equal(coloured[key(position, augment=False)][0], flipped[key(position)][0])
        for position in range(12)
    )


class Painted:
    """A source whose image 0 has one box painted white, and whose others are black without boxes."""

    BOX = (52.0, 30.0, 98.0, 62.0, 1.0)

    def __init__(self) -> None:
        self.uses = 0

    def __len__(self) -> int:
        return 5

    def has_boxes(self, index: int) -> bool:
        return index == 0

    def size(self, index: int) -> tuple[int, int]:
        return HEIGHT, WIDTH

    def boxes(self, index: int) -> np.ndarray:
        if index == 0:
            self.uses += 1
        return np.array([self.BOX] if index == 0 else np.zeros((0, 5)))

    def image(self, index: int) -> np.ndarray:
        image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
        if index == 0:
            left, top, right, bottom = (int(value) for value in self.BOX[:4])
            image[top:bottom, left:right] = 255
        return image


def painted_extent(image: np.ndarray, threshold: int) -> list[float]:
    rows, columns = np.nonzero(image[..., 0] > threshold)
    return [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]


def alone(settings: AugmentationSettings, tolerance: float) -> int:
    """Compare label with paint wherever the painted image was used once; gives how often."""
    compared = 0
    for position in range(200):
        source, random = Painted(), generator(3, Purpose.SAMPLE, position)
        image, boxes = augmented_sample(source, 0, settings, random)
        if source.uses > 1 or len(boxes) == 0 or (boxes[0, 2:4] - boxes[0, 0:2]).min() < 6:
            continue
        # The hull of a turned box that is cut by the edge is wider than what is left of its paint.
        at_edge = (boxes[0, 0:2] < 1).any() or (boxes[0, 2:4] > np.array([WIDTH, HEIGHT]) - 1).any()
        if settings.degrees == 0 or not at_edge:
            np.testing.assert_allclose(boxes[0, :4], painted_extent(image, 128), atol=tolerance)
            assert boxes[0, 4] == 1
            compared += 1
    return compared


@pytest.mark.parametrize(
    ("settings", "tolerance"),
    [
        (replace(AugmentationSettings.none(), flip=0.5), 0),
        (replace(AugmentationSettings.none(), mosaic=1.0, flip=0.5), 1),
        (replace(AugmentationSettings.none(), mosaic=1.0, scale=(0.4, 1.3), translate=0.1, flip=0.5), 1.5),
        (replace(AugmentationSettings.none(), mosaic=1.0, degrees=30, shear=10, scale=(0.5, 0.8)), 3),
    ],
)
def test_a_label_lies_where_its_object_is_painted(settings: AugmentationSettings, tolerance: float) -> None:
    assert alone(settings, tolerance) > 20


def test_mixup_puts_the_label_where_the_partner_is_painted() -> None:
    from vistrain_trainer.data.mixup import mix, plan_mixup

    compared = 0
    for position in range(80):
        mixed = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
        partner, boxes = plan_mixup(
            Painted(),
            height=HEIGHT,
            width=WIDTH,
            scale=(0.5, 1.6),
            random=generator(1, Purpose.SAMPLE, position),
        )
        mix(Painted(), partner, mixed, Scratch())
        assert len(boxes) == 1
        if (boxes[0, 2:4] - boxes[0, 0:2]).min() > 4:
            np.testing.assert_allclose(boxes[0, :4], painted_extent(mixed, 63), atol=1.5)
            assert mixed.max() == 127
            compared += 1
    assert compared > 40


def test_an_image_without_boxes_is_only_letterboxed() -> None:
    for position in range(20):
        random = generator(0, Purpose.SAMPLE, position)
        image, boxes = augmented_sample(Painted(), 2, replace(EVERYTHING, mosaic=0), random)
        assert boxes.shape == (0, 5)
        assert not image.any()


def test_gains_multiply_and_a_gain_of_nought_changes_nothing() -> None:
    from vistrain_trainer.data.colour import draw_colours, recolour

    def jittered(gains: tuple[float, float, float], seed: int) -> np.ndarray:
        out = np.empty_like(grey)
        recolour(grey, draw_colours(gains, np.random.default_rng(seed)), out, Scratch())
        return out

    grey = np.full((4, 4, 3), 100, np.uint8)
    values = {int(jittered((0.0, 0.0, 0.4), at)[0, 0, 0]) for at in range(300)}
    assert min(values) in (60, 61)
    assert max(values) in (139, 140)
    assert len(values) > 60
    np.testing.assert_array_equal(jittered((0.0, 0.0, 0.0), 0), grey)


def test_more_boxes_than_rows_are_cut_off() -> None:
    boxes = np.tile(np.array([[0, 0, 4, 6, 2]], np.float32), (7, 1))
    rows = padded_labels(boxes, 5)
    assert rows.shape == (5, 5)
    np.testing.assert_array_equal(rows[4], [2, 2, 3, 4, 6])
