"""The images of a data set at the base input size."""

from __future__ import annotations

from typing import Generic, Protocol, TypeVar

import numpy as np

from vistrain_trainer.data.letterbox import fit, fit_ratio, fitted_size
from vistrain_trainer.data.source import StoredImages

Stored = TypeVar("Stored", bound=StoredImages)


class ImageStore(Protocol):
    """Keeps fitted images of one split. What it gives back has the bytes of what it was given."""

    def get(self, index: int) -> np.ndarray | None:
        """The image, not to be written to; None where it is not kept."""
        ...

    def put(self, index: int, image: np.ndarray) -> None:
        """Keep an image that `get` has just not had, if there is room."""
        ...

    def flush(self) -> None:
        """Let other processes see what this one has put, and see what they have."""
        ...


class FittedImages(Generic[Stored]):
    """Images decoded and fitted to the base size, from a store or from their files; an `ImageSource`.

    Every input size is made from the base size, so that a store of base-size images gives the same bytes.
    """

    def __init__(self, dataset: Stored, height: int, width: int) -> None:
        """Images fitted to a base input size in pixels; nothing is read yet."""
        self.dataset = dataset
        self.height, self.width = height, width
        self._store: ImageStore | None = None

    def __len__(self) -> int:
        return len(self.dataset.images)

    def keep_in(self, store: ImageStore) -> None:
        """Use a store from now on."""
        self._store = store

    def lengths(self) -> np.ndarray:
        """(n,) bytes of each image."""
        sizes = (self.size(index) for index in range(len(self)))
        return np.array([height * width * 3 for height, width in sizes], np.int64)

    @property
    def bytes(self) -> int:
        """What all images take."""
        return int(self.lengths().sum())

    def has_boxes(self, index: int) -> bool:
        """Whether the image has any box."""
        return len(self.dataset.labels(index)) > 0

    def size(self, index: int) -> tuple[int, int]:
        """(height, width) of the fitted image."""
        record = self.dataset.images[index]
        return fitted_size(record.height, record.width, self.height, self.width)

    def ratio(self, index: int) -> float:
        """Pixels of the fitted image per pixel of the stored one."""
        record = self.dataset.images[index]
        return fit_ratio(record.height, record.width, self.height, self.width)

    def boxes(self, index: int) -> np.ndarray:
        """(n, 5) float64 rows x1, y1, x2, y2, class in pixels of the fitted image."""
        boxes = self.dataset.labels(index).astype(np.float64)
        boxes[:, :4] *= self.ratio(index)
        return boxes

    def image(self, index: int) -> np.ndarray:
        """The fitted (height, width, 3) uint8 BGR image; not to be written to.

        Raises:
            BadInput: the file is missing, broken, or of another size than the annotations say.
        """
        kept = self._store.get(index) if self._store is not None else None
        if kept is not None:
            return kept
        image = fit(self.dataset.read_image(index), self.height, self.width)
        if self._store is not None:
            self._store.put(index, image)
        image.flags.writeable = False
        return image

    def flush(self) -> None:
        """Let other processes see what this one has kept, and see what they have."""
        if self._store is not None:
            self._store.flush()
