"""What to move from one split to another."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import Literal

from vistrain_trainer.data.near_duplicates import BITS
from vistrain_trainer.errors import BadInput

NEAR = 8
"""Bits of 64 in which the hashes of near-duplicates differ at most, unless stated otherwise.

Of rendered driving scenes, those with other light, noise or compression differ in 0 to 2, cropped by 3 % in
up to 8 mostly, those of other places in 12 or more.
"""


@dataclass(frozen=True)
class RebalanceOptions:
    """A rebalancing; equal options do the same to equal data sets."""

    class_name: str
    count: int
    unit: Literal["images", "instances"] = "images"
    """Whether `count` is of images with the class, or of boxes of it."""
    source: str = "train"
    target: str = "val"
    seed: int = 0
    keep_together: int | None = NEAR
    """Pictures whose perceptual hashes differ in no more bits stay in one split; none to not compare them."""

    def __post_init__(self) -> None:
        _require(self.count >= 1, "--count", self.count, "give at least 1")
        _require(self.seed >= 0, "--seed", self.seed, "give 0 or more")
        near = self.keep_together
        _require(
            near is None or 0 <= near < BITS, "--keep-together", near, f"give 0 to {BITS - 1}, or say off"
        )
        if self.source == self.target:
            raise BadInput(
                field="--to", value=self.target, problem="is where samples come from", remedy="Name another"
            )

    def command(self) -> str:
        """The command that does the same, but for the data set."""
        return shlex.join(
            [
                "vistrain", "prepare", "rebalance", "--class", self.class_name, "--count", str(self.count),
                "--unit", self.unit, "--from", self.source, "--to", self.target, "--seed", str(self.seed),
                "--keep-together", "off" if self.keep_together is None else str(self.keep_together),
            ]
        )  # fmt: skip


def _require(holds: bool, name: str, value: object, remedy: str) -> None:
    if not holds:
        raise BadInput(field=name, value=value, problem="is out of bounds", remedy=remedy)
