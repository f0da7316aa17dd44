"""Counts of a split as a manifest states them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vistrain_trainer.data.manifest import Counts
from vistrain_trainer.data.sets.stated import StatedSplit


def counts_of(split: StatedSplit, classes: Sequence[str]) -> Counts:
    """Images, annotations, annotations by class."""
    per_class = np.bincount(split.boxes.classes, minlength=len(classes)).tolist()
    return Counts(
        images=len(split.images),
        annotations=len(split.boxes.classes),
        per_class=dict(zip(classes, per_class, strict=True)),
    )
