"""Augmentation of training samples, with YOLOX 0.3.0's effects.

What is done to a sample is drawn first, from boxes and sizes alone, and then done in one go: so it is known
beforehand which images will be seen, and where the pixels are to end up.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import cv2
import numpy as np

from vistrain_trainer.data.colour import draw_colours, recolour
from vistrain_trainer.data.geometry import affine_matrix, mirror_boxes, warp_boxes
from vistrain_trainer.data.letterbox import fit_ratio, fitted_size, letterbox_into, pad_around
from vistrain_trainer.data.mixup import Partner, mix, plan_mixup
from vistrain_trainer.data.mosaic import Placement, plan_mosaic, warp_mosaic
from vistrain_trainer.data.scratch import Scratch
from vistrain_trainer.data.source import ImageSource

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


class Mosaic(NamedTuple):
    """Four images, the warp of their canvas, and maybe what the result is mixed with."""

    placements: tuple[Placement, ...]
    matrix: np.ndarray
    """(2, 3), from canvas to input pixels."""
    partner: Partner | None


class SamplePlan(NamedTuple):
    """Everything that was drawn for a sample."""

    image: int
    """Its index."""
    mosaic: Mosaic | None
    colours: np.ndarray | None
    """(1, 256, 3) tables of hue, saturation and value; None where the colours stay."""
    flip: bool


def plan_sample(
    source: ImageSource,
    index: int,
    *,
    height: int,
    width: int,
    settings: AugmentationSettings,
    random: np.random.Generator,
) -> tuple[SamplePlan, np.ndarray]:
    """Draw a sample of (height, width): what is to be done, and its (n, 5) boxes x1, y1, x2, y2, cls.

    The order of the draws is YOLOX's, which a test uses to compare pixel by pixel with it. One difference is
    meant: where no box is left, YOLOX trains on the boxes that it found too small; here the image has none.
    """
    mosaic = None
    if settings.mosaic > 0 and random.random() < settings.mosaic:
        mosaic, boxes = _plan_mosaic(source, index, height, width, settings, random)
        size = (height, width)
    else:
        boxes = source.boxes(index)
        size = source.size(index)
    plain = SamplePlan(index, mosaic, None, False)
    if len(boxes) == 0:
        return plain, boxes

    recoloured = random.random() < settings.hsv_probability
    colours = draw_colours(settings.hsv_gains, random) if recoloured else None
    flip = random.random() < settings.flip
    if flip:
        boxes = mirror_boxes(boxes, size[1])
    boxes[:, :4] *= fit_ratio(*size, height, width)
    kept = boxes[(boxes[:, 2:4] - boxes[:, 0:2]).min(axis=1) > MIN_BOX_SIDE]
    if len(kept) == 0:
        return plain, kept
    return SamplePlan(index, mosaic, colours, bool(flip)), kept


def render_sample(source: ImageSource, plan: SamplePlan, out: np.ndarray, scratch: Scratch) -> None:
    """Make the pixels of a planned sample in ``out``, a (height, width, 3) uint8 array."""
    height, width = out.shape[:2]
    if plan.mosaic is not None:
        # A mirrored image is the last copy's result: what comes before goes elsewhere.
        made = scratch.image("made", height, width) if plan.flip else out
        warp_mosaic(source, plan.mosaic.placements, plan.mosaic.matrix, made, scratch)
        if plan.mosaic.partner is not None:
            mix(source, plan.mosaic.partner, made, scratch)
        if plan.colours is not None:
            recolour(made, plan.colours, made, scratch)
        if plan.flip:
            cv2.flip(made, 1, dst=out)
        return
    image = source.image(plan.image)
    size = image.shape[0], image.shape[1]
    if plan.colours is None and not plan.flip:
        letterbox_into(image, out)
        return
    # What is not of the input's size is fitted again only after flip and colour, as in YOLOX.
    again = fitted_size(*size, height, width) != size
    target = scratch.image("target", *size) if again else out[: size[0], : size[1]]
    if plan.colours is not None:
        recoloured = scratch.image("made", *size) if plan.flip else target
        recolour(image, plan.colours, recoloured, scratch)
        image = recoloured
    if plan.flip:
        cv2.flip(image, 1, dst=target)
    if again:
        letterbox_into(target, out)
    else:
        pad_around(out, *size)


def _plan_mosaic(
    source: ImageSource,
    index: int,
    height: int,
    width: int,
    settings: AugmentationSettings,
    random: np.random.Generator,
) -> tuple[Mosaic, np.ndarray]:
    placements, boxes = plan_mosaic(source, index, height=height, width=width, random=random)
    matrix = affine_matrix(
        height,
        width,
        degrees=settings.degrees,
        translate=settings.translate,
        shear=settings.shear,
        scale=settings.scale,
        random=random,
    )
    boxes = warp_boxes(boxes, matrix, height=height, width=width)
    partner = None
    if len(boxes) > 0 and random.random() < settings.mixup_probability:
        partner, added = plan_mixup(
            source, height=height, width=width, scale=settings.mixup_scale, random=random
        )
        boxes = np.concatenate([boxes, added])
    return Mosaic(placements, matrix, partner), boxes
