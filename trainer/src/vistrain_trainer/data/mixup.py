"""Mixup: the mean of two images, with the boxes of both."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from vistrain_trainer.data.letterbox import fit_ratio, letterbox_into
from vistrain_trainer.data.scratch import Scratch
from vistrain_trainer.data.source import ImageSource


class Partner(NamedTuple):
    """The image that another is mixed with: letterboxed, resized, maybe mirrored, and cut out."""

    image: int
    """Its index."""
    height: int
    """Of the letterboxed image once resized; likewise `width`."""
    width: int
    flip: bool
    left: int
    """Of the cut; likewise `top`."""
    top: int


def plan_mixup(
    source: ImageSource, *, height: int, width: int, scale: tuple[float, float], random: np.random.Generator
) -> tuple[Partner, np.ndarray]:
    """Draw a partner that has boxes for an image of (height, width); give it and its boxes in that image.

    At least one image of the source must have boxes, or the search does not end.
    """
    factor = random.uniform(*scale)
    flip = random.uniform(0, 1) > 0.5
    index = int(random.integers(0, len(source)))
    while not source.has_boxes(index):
        index = int(random.integers(0, len(source)))
    resized_height, resized_width = int(height * factor), int(width * factor)
    top = int(random.integers(0, resized_height - height)) if resized_height > height else 0
    left = int(random.integers(0, resized_width - width)) if resized_width > width else 0

    ratio = fit_ratio(*source.size(index), height, width)
    boxes = source.boxes(index)
    boxes[:, [0, 2]] = (boxes[:, [0, 2]] * ratio * factor).clip(0, resized_width)
    boxes[:, [1, 3]] = (boxes[:, [1, 3]] * ratio * factor).clip(0, resized_height)
    if flip:
        boxes[:, [0, 2]] = resized_width - boxes[:, [2, 0]]
    boxes[:, [0, 2]] = (boxes[:, [0, 2]] - left).clip(0, width)
    boxes[:, [1, 3]] = (boxes[:, [1, 3]] - top).clip(0, height)
    return Partner(index, resized_height, resized_width, bool(flip), left, top), boxes


def mix(source: ImageSource, partner: Partner, image: np.ndarray, scratch: Scratch) -> None:
    """Mix an image half and half with its partner, in place; black where the partner is smaller."""
    height, width = image.shape[:2]
    whole = scratch.image("letterboxed", height, width)
    letterbox_into(source.image(partner.image), whole)
    resized = cv2.resize(
        whole,
        (partner.width, partner.height),
        dst=scratch.image("partner", partner.height, partner.width),
    )
    bottom, right = min(partner.top + height, partner.height), min(partner.left + width, partner.width)
    # The cut of a mirrored image is the mirrored cut from the other side.
    columns = (partner.width - right, partner.width - partner.left) if partner.flip else (partner.left, right)
    cut = resized[partner.top : bottom, columns[0] : columns[1]]
    if partner.flip:
        cut = cv2.flip(cut, 1, dst=scratch.image("mirrored", *cut.shape[:2]))
    rows, columns_count = cut.shape[:2]
    _average(image[:rows, :columns_count], cut, scratch)
    image[rows:] >>= 1
    image[:rows, columns_count:] >>= 1


def _average(image: np.ndarray, other: np.ndarray, scratch: Scratch) -> None:
    """The mean rounded down, in bytes all the way: a + b = 2·(a & b) + (a ^ b)."""
    half = scratch.image("half", *image.shape[:2])
    np.bitwise_xor(image, other, out=half)
    np.right_shift(half, 1, out=half)
    np.bitwise_and(image, other, out=image)
    np.add(image, half, out=image)
