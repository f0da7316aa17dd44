"""Counts of a split as a manifest states them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vistrain_trainer.data.manifest import Counts
from vistrain_trainer.data.sets.stated import StatedSplit


def counts_of(split: StatedSplit, classes: Sequence[str], known: Counts | None = None) -> Counts:
    """Images, annotations, annotations by class.

    Args:
        known: what a manifest said of the split before: one of keyframes only stays one.
    """
    per_class = np.bincount(split.boxes.classes, minlength=len(classes)).tolist()
    only_key_frames = known is not None and known.interpolated_frames == 0
    return Counts(
        images=len(split.images),
        annotations=len(split.boxes.classes),
        per_class=dict(zip(classes, per_class, strict=True)),
        key_frames=len(split.images) if only_key_frames else None,
        interpolated_frames=0 if only_key_frames else None,
    )
