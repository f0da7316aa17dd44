"""How training images are varied."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from vistrain_api.base import Contract, Rule
from vistrain_api.initialization import Share

Factor = Annotated[float, Field(gt=0, le=10)]


class ScaleRange(Contract):
    """A range of scale factors."""

    min: Factor
    """Smallest factor."""
    max: Factor
    """Largest factor."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule("self.min <= self.max", "min must not exceed max", lambda m: m.min <= m.max, ".min"),
    )


class Mixup(Contract):
    """Blending of two mosaic images."""

    probability: Share = 0.15
    """Share of mosaic images that are blended."""
    scale: ScaleRange = Field(default_factory=lambda: ScaleRange(min=0.85, max=1.15))
    """Scale of the second image."""


class Hsv(Contract):
    """Variation of hue, saturation and value."""

    probability: Share = 0.4
    """Share of images that are varied."""
    gains: Annotated[list[Share], Field(min_length=3, max_length=3)] = Field(
        default_factory=lambda: [0.015, 0.7, 0.4]
    )
    """Largest relative change of hue, saturation and value."""


class SideRange(Contract):
    """A range of input heights in pixels."""

    min: Annotated[int, Field(ge=32, le=4096, multiple_of=32)]
    """Smallest height."""
    max: Annotated[int, Field(ge=32, le=4096, multiple_of=32)]
    """Largest height."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule("self.min <= self.max", "min must not exceed max", lambda m: m.min <= m.max, ".min"),
    )


class Multiscale(Contract):
    """Input sizes that change in training."""

    height: SideRange
    """Range of heights; the width follows by aspect."""
    every_steps: Annotated[int, Field(ge=1, le=10_000)] = 10
    """Optimiser steps between two draws."""


class Augmentation(Contract):
    """How training images are varied. Affine and mixup touch mosaic images only."""

    mosaic: Share = 0.2
    """Share of images put together from four."""
    mixup: Mixup = Field(default_factory=Mixup)
    """Blending of two mosaic images."""
    hsv: Hsv = Field(default_factory=Hsv)
    """Variation of colour."""
    flip: Share = 0.5
    """Share of images mirrored left to right."""
    degrees: Annotated[float, Field(ge=0, le=180)] = 3.0
    """Largest rotation, in degrees."""
    translate: Share = 0.08
    """Largest shift, as a share of the image."""
    shear: Annotated[float, Field(ge=0, le=89)] = 0.5
    """Largest shear, in degrees."""
    scale: ScaleRange = Field(default_factory=lambda: ScaleRange(min=0.85, max=1.15))
    """Scale of mosaic images."""
    multiscale: Multiscale | None = None
    """Input sizes that change in training."""
