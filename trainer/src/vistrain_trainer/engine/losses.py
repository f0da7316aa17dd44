"""The loss of a batch as sums, so that micro-batches add up to what the whole batch would give."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass(frozen=True)
class Losses:
    """Sums over a batch or a part of it; all scalars, float32, on the device.

    A mean of the micro-batches' means would be wrong: they have different numbers of foreground anchors.
    """

    total: Tensor
    """What is minimised, differentiable."""
    weight: Tensor
    """What the sums are divided by (foreground anchors, boxes, windows), detached; taken for 1 below 1."""
    parts: Mapping[str, Tensor] = field(default_factory=dict)
    """Addends of the total, detached."""
    ratios: Mapping[str, tuple[Tensor, Tensor]] = field(default_factory=dict)
    """Further figures as numerator and denominator, which is taken for 1 below 1; detached."""

    @property
    def mean(self) -> Tensor:
        """The loss, differentiable."""
        return self.total / self.weight.clamp(min=1)

    def figures(self) -> dict[str, Tensor]:
        """`total`, the parts, and the ratios: scalars, detached."""
        weight = self.weight.clamp(min=1)
        return {
            "total": self.total.detach() / weight,
            **{name: part / weight for name, part in self.parts.items()},
            **{name: over / under.clamp(min=1) for name, (over, under) in self.ratios.items()},
        }


def added(losses: Sequence[Losses]) -> Losses:
    """The sums of several micro-batches."""
    first = losses[0]
    return Losses(
        total=_sum([one.total for one in losses]),
        weight=_sum([one.weight for one in losses]),
        parts={name: _sum([one.parts[name] for one in losses]) for name in first.parts},
        ratios={
            name: (
                _sum([one.ratios[name][0] for one in losses]),
                _sum([one.ratios[name][1] for one in losses]),
            )
            for name in first.ratios
        },
    )


def _sum(values: Sequence[Tensor]) -> Tensor:
    return torch.stack(tuple(values)).sum()
