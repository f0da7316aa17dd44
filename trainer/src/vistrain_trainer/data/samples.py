"""Training samples: from a key to an image with labels."""

from __future__ import annotations

from typing import Any

import numpy as np

from vistrain_trainer.data.augmentation import AugmentationSettings, plan_sample, render_sample
from vistrain_trainer.data.fitted import FittedImages
from vistrain_trainer.data.letterbox import padded_labels, to_planes
from vistrain_trainer.data.randomness import Purpose, generator
from vistrain_trainer.data.scratch import Scratch
from vistrain_trainer.data.stream import SampleKey


class TrainingSamples:
    """Map-style dataset whose items are functions of (seed, key), with no global randomness."""

    def __init__(
        self, source: FittedImages[Any], settings: AugmentationSettings, seed: int, max_labels: int = 120
    ) -> None:
        self._source = source
        self._settings = settings
        self._tail_settings = settings.without_mosaic()
        self._seed = seed
        self._scratch = Scratch()
        self._max_labels = max_labels

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(self, key: SampleKey) -> tuple[np.ndarray, np.ndarray, SampleKey]:
        """The sample of a key: (3, H, W) uint8 BGR, (max_labels, 5) float32 cls, cx, cy, w, h, and the key.

        Raises:
            BadInput: an image file is missing, broken or of another size than the annotations say.
        """
        image = np.empty((key.height, key.width, 3), np.uint8)
        return to_planes(image), padded_labels(self.write(key, image), self._max_labels), key

    def write(self, key: SampleKey, out: np.ndarray) -> np.ndarray:
        """Make the sample of a key in ``out``, a (H, W, 3) uint8 array, BGR; give its boxes.

        Returns:
            (n, 5) rows x1, y1, x2, y2, class in input pixels, n at most ``max_labels``.

        Raises:
            BadInput: as for an item.
        """
        random = generator(self._seed, Purpose.SAMPLE, key.position)
        settings = self._settings if key.augment else self._tail_settings
        plan, boxes = plan_sample(
            self._source, key.index, height=key.height, width=key.width, settings=settings, random=random
        )
        render_sample(self._source, plan, out, self._scratch)
        return boxes[: self._max_labels]

    def flush(self) -> None:
        """Let other processes see the images that this one has kept, and see theirs."""
        self._source.flush()
