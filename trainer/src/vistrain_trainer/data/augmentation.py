"""Augmentation of training samples, with YOLOX 0.3.0's effects."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from vistrain_trainer.data.colour import jitter_hsv
from vistrain_trainer.data.geometry import mirror, random_affine
from vistrain_trainer.data.letterbox import letterbox
from vistrain_trainer.data.mixup import mixup
from vistrain_trainer.data.mosaic import mosaic

MIN_BOX_SIDE = 1.0
"""Boxes not wider and higher than this many input pixels are dropped."""


@dataclass(frozen=True)
class AugmentationSettings:
    """How samples are augmented. Angles are in degrees, translation is a share of the input size.

    Affine (degrees, translate, shear, scale) and mixup touch mosaic samples only, as in YOLOX: with mosaic
    0.2 and mixup 0.15, 3 % of the samples are mixed.
    """

    mosaic: float = 1.0
    mixup_probability: float = 1.0
    mixup_scale: tuple[float, float] = (0.5, 1.5)
    hsv_probability: float = 1.0
    hsv_gains: tuple[float, float, float] | None = None
    """None: up to 5, 30 and 30 levels are added to hue, saturation and value, each in half of the images, as
    YOLOX 0.3.0 does. Given: each is multiplied by up to 1 ± its gain, as older YOLOX and Ultralytics do."""
    flip: float = 0.5
    degrees: float = 10.0
    translate: float = 0.1
    shear: float = 2.0
    scale: tuple[float, float] = (0.1, 2.0)

    @classmethod
    def none(cls) -> AugmentationSettings:
        """Every augmentation off: a sample is the letterboxed image."""
        return cls(
            mosaic=0,
            mixup_probability=0,
            hsv_probability=0,
            flip=0,
            degrees=0,
            translate=0,
            shear=0,
            scale=(1, 1),
        )

    def without_mosaic(self) -> AugmentationSettings:
        """The settings of the no-aug tail: HSV and flip stay."""
        return replace(self, mosaic=0)


class ImageSource(Protocol):
    """Images at input size and their boxes, by index."""

    def __len__(self) -> int: ...

    def fitted(self, index: int, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
        """The image fitted into (height, width), not padded, and its (n, 5) boxes, which are the caller's."""
        ...

    def has_boxes(self, index: int) -> bool:
        """Whether the image has any box."""
        ...


def augmented_sample(
    source: ImageSource,
    index: int,
    *,
    height: int,
    width: int,
    settings: AugmentationSettings,
    random: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """One sample: a (height, width, 3) uint8 image and its (n, 5) boxes x1, y1, x2, y2, cls.

    The order of the draws is YOLOX's, which a test uses to compare pixel by pixel with it. One difference is
    meant: where no box is left, YOLOX trains on the boxes that it found too small; here the image has none.
    """

    def load(at: int) -> tuple[np.ndarray, np.ndarray]:
        return source.fitted(at, height, width)

    if settings.mosaic > 0 and random.random() < settings.mosaic:
        image, boxes = mosaic(load, index, images=len(source), height=height, width=width, random=random)
        image, boxes = random_affine(
            image,
            boxes,
            height=height,
            width=width,
            degrees=settings.degrees,
            translate=settings.translate,
            shear=settings.shear,
            scale=settings.scale,
            random=random,
        )
        if len(boxes) > 0 and random.random() < settings.mixup_probability:
            image, boxes = mixup(
                image,
                boxes,
                load,
                source.has_boxes,
                images=len(source),
                scale=settings.mixup_scale,
                random=random,
            )
    else:
        image, boxes = load(index)
    if len(boxes) == 0:
        return letterbox(image, height, width)[0], boxes

    untouched = image
    if random.random() < settings.hsv_probability:
        image = jitter_hsv(image, settings.hsv_gains, random)
    if random.random() < settings.flip:
        image, boxes = mirror(image, boxes)
    canvas, ratio = letterbox(image, height, width)
    boxes[:, :4] *= ratio
    kept = boxes[(boxes[:, 2:4] - boxes[:, 0:2]).min(axis=1) > MIN_BOX_SIDE]
    if len(kept) == 0:
        return letterbox(untouched, height, width)[0], kept
    return canvas, kept
