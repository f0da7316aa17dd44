"""The learning rate as a function of the optimiser step."""

from __future__ import annotations

import math
from dataclasses import dataclass

from vistrain_api.schedule import Curve, Schedule


@dataclass(frozen=True)
class RateCurve:
    """One curve over a run of `total` steps, of which `warmup` at the start and `flat` at the end are apart.

    yolox: quadratic warm-up, cosine from the peak down to its share `ratio`, flat there for the last steps
    (as in YOLOX, Ge et al. 2021, but for the number of flat steps: exactly those of the no-aug epochs).
    cosine, linear: linear warm-up, then down to the share at the last step's end.
    """

    curve: Curve
    peak: float
    ratio: float
    total: int
    warmup: int
    flat: int

    @classmethod
    def of(cls, schedule: Schedule, steps_per_epoch: int) -> RateCurve:
        """The curve that a manifest states."""
        rate = schedule.learning_rate
        return cls(
            curve=rate.curve,
            peak=rate.peak_for(schedule.batch_size),
            ratio=rate.min_ratio,
            total=schedule.epochs * steps_per_epoch,
            warmup=schedule.warmup_epochs * steps_per_epoch,
            flat=schedule.no_aug_epochs * steps_per_epoch if rate.curve == "yolox" else 0,
        )

    def rate(self, step: int) -> float:
        """The rate of the 0-based optimiser step."""
        if self.warmup > 0 and step <= self.warmup:
            share = step / self.warmup
            return self.peak * (share**2 if self.curve == "yolox" else share)
        floor = self.peak * self.ratio
        end = self.total - self.flat
        if step >= end:
            return floor
        done = (step - self.warmup) / (end - self.warmup)
        if self.curve == "linear":
            return self.peak - (self.peak - floor) * done
        return floor + 0.5 * (self.peak - floor) * (1 + math.cos(math.pi * done))
