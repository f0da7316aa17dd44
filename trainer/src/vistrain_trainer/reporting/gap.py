"""The gap between the loss in training and on the validation split."""

from __future__ import annotations

from dataclasses import dataclass

from vistrain_trainer.reporting.history import History
from vistrain_trainer.reporting.stability import TOTAL

VALIDATION = "valLoss"
_SHARE = 0.1


@dataclass(frozen=True)
class Gap:
    """Both losses of one epoch."""

    epoch: int
    training: float
    """Mean over the epoch's steps, augmented, of the raw weights."""
    validation: float
    """Of the averaged weights where there is an average, unaugmented."""

    @property
    def difference(self) -> float:
        """Validation less training."""
        return self.validation - self.training

    @property
    def limit(self) -> float:
        """The difference above which there is an alert.

        0.1, or a tenth of the training loss where that is above one: the loss of a detector is a sum of
        several weighted parts, for which a fixed limit would mean nothing.
        """
        return _SHARE * max(1.0, abs(self.training))

    @property
    def alert(self) -> bool:
        """Whether the model does worse on what it has not seen than it may."""
        return self.difference > self.limit


def latest_gap(history: History) -> Gap | None:
    """The gap at the last epoch that has both losses; none without one."""
    training = dict(history.over_epochs(TOTAL).points)
    for epoch, value in reversed(history.over_epochs(VALIDATION).points):
        if epoch in training:
            return Gap(epoch, training[epoch], value)
    return None
