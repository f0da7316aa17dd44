"""What a split turns out to hold."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from vistrain_trainer.data.manifest import Counts


@dataclass
class Tally:
    """Counts of a split as it grows."""

    classes: tuple[str, ...]
    keyframes: int = 0
    between: int = 0
    """Pictures between keyframes."""
    empty: int = 0
    """Pictures without a box."""
    boxes: Counter[int] = field(default_factory=Counter)
    """By index of the class."""
    sequences: int | None = None
    tracks: int | None = None
    dropped: Counter[str] = field(default_factory=Counter)

    def add(
        self, keyframe: np.ndarray, frame: np.ndarray, label: np.ndarray, dropped: dict[str, int]
    ) -> None:
        """Take up pictures and their boxes.

        Args:
            keyframe: (m,) bool, whether each picture is one.
            frame: (n,) place of each box in these.
            label: (n,) its class.
            dropped: boxes left out, by reason.
        """
        key = int(keyframe.sum())
        self.keyframes += key
        self.between += len(keyframe) - key
        self.empty += len(keyframe) - len(np.unique(frame))
        self.boxes.update(dict(enumerate(np.bincount(label, minlength=len(self.classes)).tolist())))
        self.dropped.update(dropped)

    @property
    def images(self) -> int:
        """Pictures."""
        return self.keyframes + self.between

    def counts(self) -> Counts:
        """As a manifest states them."""
        return Counts(
            images=self.images,
            annotations=self.boxes.total(),
            per_class={name: self.boxes[index] for index, name in enumerate(self.classes)},
            sequences=self.sequences,
            tracks=self.tracks,
            key_frames=self.keyframes,
            interpolated_frames=self.between,
        )
