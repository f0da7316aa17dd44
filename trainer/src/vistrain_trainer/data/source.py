"""What evaluation and augmentation need of a data set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from vistrain_trainer.data.coco_file import ImageRecord


class StoredImages(Protocol):
    """Images to look at, and their boxes where they are known."""

    @property
    def images(self) -> Sequence[ImageRecord]:
        """The images in order."""
        ...

    def labels(self, index: int) -> np.ndarray:
        """(n, 5) float32 rows x1, y1, x2, y2, class index, in pixels of the stored image."""
        ...

    def read_image(self, index: int) -> np.ndarray:
        """(H, W, 3) uint8, BGR. Raises BadInput."""
        ...


class ImageSource(Protocol):
    """Images fitted to the base input size, and their boxes, by index.

    Sizes and boxes are known without reading an image.
    """

    def __len__(self) -> int: ...

    def has_boxes(self, index: int) -> bool:
        """Whether the image has any box."""
        ...

    def size(self, index: int) -> tuple[int, int]:
        """(height, width) of the fitted image."""
        ...

    def boxes(self, index: int) -> np.ndarray:
        """(n, 5) float64 rows x1, y1, x2, y2, class in pixels of the fitted image; the caller's."""
        ...

    def image(self, index: int) -> np.ndarray:
        """The fitted (height, width, 3) uint8 BGR image; not to be written to."""
        ...
