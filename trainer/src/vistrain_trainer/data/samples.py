"""Training samples: from a key to an image with labels."""

from __future__ import annotations

import numpy as np

from vistrain_trainer.data.augmentation import AugmentationSettings, augmented_sample
from vistrain_trainer.data.coco import CocoDetection
from vistrain_trainer.data.letterbox import fit, padded_labels, to_planes
from vistrain_trainer.data.randomness import Purpose, generator
from vistrain_trainer.data.stream import SampleKey


class TrainingSamples:
    """Map-style dataset whose items are functions of (seed, key), with no global randomness."""

    def __init__(
        self, dataset: CocoDetection, settings: AugmentationSettings, seed: int, max_labels: int = 120
    ) -> None:
        self._source = _FittedImages(dataset)
        self._settings = settings
        self._tail_settings = settings.without_mosaic()
        self._seed = seed
        self._max_labels = max_labels

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(self, key: SampleKey) -> tuple[np.ndarray, np.ndarray, SampleKey]:
        """The sample of a key: (3, H, W) uint8 BGR, (max_labels, 5) float32 cls, cx, cy, w, h, and the key.

        Raises:
            BadInput: an image file is missing, broken or of another size than the annotations say.
        """
        random = generator(self._seed, Purpose.SAMPLE, key.position)
        settings = self._settings if key.augment else self._tail_settings
        image, boxes = augmented_sample(
            self._source, key.index, height=key.height, width=key.width, settings=settings, random=random
        )
        return to_planes(image), padded_labels(boxes, self._max_labels), key


class _FittedImages:
    """Images of a dataset, read from disk and fitted to the input size, with boxes in the same pixels."""

    def __init__(self, dataset: CocoDetection) -> None:
        self._dataset = dataset

    def __len__(self) -> int:
        return len(self._dataset)

    def has_boxes(self, index: int) -> bool:
        return len(self._dataset.labels(index)) > 0

    def fitted(self, index: int, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
        image, ratio = fit(self._dataset.read_image(index), height, width)
        boxes = self._dataset.labels(index).astype(np.float64)
        boxes[:, :4] *= ratio
        return image, boxes
