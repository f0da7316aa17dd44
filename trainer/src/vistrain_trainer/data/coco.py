"""A detection dataset in COCO format."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from vistrain_trainer.data import coco_file
from vistrain_trainer.data.coco_file import ImageRecord
from vistrain_trainer.data.coco_scenes import read_scenes
from vistrain_trainer.data.grouped import Grouped
from vistrain_trainer.data.images import decode
from vistrain_trainer.data.rebalance.journal import require_settled
from vistrain_trainer.data.sets.coco import home_of
from vistrain_trainer.errors import BadInput

__all__ = ["CocoDetection", "ImageRecord"]


class CocoDetection:
    """Images and boxes of one split; the class index of a box is its place in ``classes``.

    Crowd boxes are kept apart: not for training, but in ``raw`` for evaluation. Boxes are clipped to their
    image, and those without area are dropped and counted. The images themselves are opened only when read.
    """

    def __init__(
        self,
        annotations: Path,
        images: Path,
        classes: Sequence[str],
        *,
        expect_images: int | None = None,
        expect_annotations: int | None = None,
        field: str = "spec.dataset.train",
    ) -> None:
        """Read and check an annotation file.

        Args:
            annotations: the COCO JSON file.
            images: the folder that ``file_name`` is relative to.
            classes: names in the order of the class index; the file must have exactly these categories.
            expect_images: the number of images that the file must list.
            expect_annotations: the number of annotations that it must list, whatever they are.
            field: the field of the manifest that names this split, for messages.

        Raises:
            BadInput: the file is missing or faulty, or does not hold what is expected.
        """
        self._path = Path(annotations)
        self._folder = Path(images)
        self._field = field
        self.classes = tuple(classes)
        at = f"{field}.annotations"
        require_settled(home_of(self._path))
        document = coco_file.read_document(self._path, at)
        self.category_ids = coco_file.read_categories(document, self.classes, self._path, at)
        self.class_index = {category: index for index, category in enumerate(self.category_ids)}
        self.images = coco_file.read_images(document, self._path, at)
        self.scenes = read_scenes(document, self.images, self._path, at)
        self._expect("expectImages", expect_images, len(self.images), "images")
        self._expect("expectAnnotations", expect_annotations, len(document["annotations"]), "annotations")
        found = coco_file.read_annotations(document, self.images, self.class_index, self._path, at)
        self.dropped_boxes = found.dropped
        self.annotation_count = int((~found.crowd).sum())
        if self.annotation_count == 0:
            raise BadInput(
                field=at,
                value=str(self._path),
                problem="it has no box to learn or to evaluate",
                remedy="check that the classes and the split were the right ones when the data was prepared",
            )
        self._labels = Grouped(found.image[~found.crowd], found.boxes[~found.crowd], len(self.images))
        self._crowds = Grouped(found.image[found.crowd], found.boxes[found.crowd], len(self.images))
        self.digest = self._digest(found)

    def __len__(self) -> int:
        return len(self.images)

    def labels(self, index: int) -> np.ndarray:
        """(n, 5) float32 rows x1, y1, x2, y2, class index, in pixels of the stored image, without crowds."""
        return self._labels.rows(index)

    def crowds(self, index: int) -> np.ndarray:
        """(n, 5) float32 rows of the crowd boxes, as :meth:`labels`."""
        return self._crowds.rows(index)

    @property
    def annotations(self) -> Path:
        """The annotation file."""
        return self._path

    def image_path(self, index: int) -> Path:
        """Where the image file is."""
        return self._folder / self.images[index].file_name

    def read_image(self, index: int) -> np.ndarray:
        """Read an image: (H, W, 3) uint8, BGR.

        Raises:
            BadInput: the file is missing, broken, or not of the stated size.
        """
        record, path = self.images[index], self.image_path(index)
        try:
            image = decode(path.read_bytes())
        except OSError as error:
            raise self._bad_image(
                path, f"image {record.id} cannot be read: {error.strerror}", "copy it there, or"
            ) from None
        except ValueError as error:
            raise self._bad_image(
                path, f"image {record.id} is broken: {error}", "copy it again, or"
            ) from None
        if image.shape[:2] != (record.height, record.width):
            size = f"{image.shape[1]}×{image.shape[0]}"
            problem = f"image {record.id} is {size} pixels, {self._path} says {record.width}×{record.height}"
            raise self._bad_image(path, problem, "use the images that the boxes were made for, or")
        return image

    def verify_images(self) -> None:
        """Check that every image file exists, listing each folder once.

        Raises:
            BadInput: the first missing files and how many there are.
        """
        if not self._folder.is_dir():
            raise BadInput(
                field=f"{self._field}.images",
                value=str(self._folder),
                problem="the image folder does not exist",
                remedy="give its path inside the dataset volume",
            )
        listed: dict[Path, set[str]] = {}
        missing = []
        for index in range(len(self.images)):
            path = self.image_path(index)
            if path.parent not in listed:
                listed[path.parent] = _names(path.parent)
            if path.name not in listed[path.parent]:
                missing.append(index)
        if missing:
            first = ", ".join(
                f"{self.images[index].file_name} (image {self.images[index].id})" for index in missing[:3]
            )
            raise BadInput(
                field=f"{self._field}.images",
                value=str(self._folder),
                problem=f"{len(missing)} of {len(self.images)} images of {self._path} are not there: {first}",
                remedy="copy them there, or give the folder that the file names are relative to",
            )

    @cached_property
    def raw(self) -> dict[str, Any]:
        """The annotation file as a dictionary, read again when first asked for, with an ``info`` in any case.

        Training does not need it, and a million annotations as dictionaries take a gigabyte.
        """
        document = coco_file.read_document(self._path, f"{self._field}.annotations")
        document.setdefault("info", {})
        return document

    def _expect(self, name: str, expected: int | None, found: int, what: str) -> None:
        if expected is not None and expected != found:
            raise BadInput(
                field=f"{self._field}.{name}",
                value=expected,
                problem=f"{self._path} lists {found} {what}",
                remedy="give the right file, or correct the expected number",
            )

    def _bad_image(self, path: Path, problem: str, remedy: str) -> BadInput:
        return BadInput(
            field=f"{self._field}.images",
            value=str(path),
            problem=problem,
            remedy=f"{remedy} remove it from {self._path}",
        )

    def _digest(self, found: coco_file.Annotations) -> str:
        order = np.lexsort((*found.boxes.T, found.crowd, found.image))
        names = json.dumps([self.classes, self.category_ids, self.images], separators=(",", ":"))
        total = hashlib.sha256(names.encode())
        for array in (found.image, found.boxes, found.crowd):
            total.update(array[order].tobytes())
        return total.hexdigest()


def _names(folder: Path) -> set[str]:
    try:
        return {entry.name for entry in folder.iterdir()}
    except (FileNotFoundError, NotADirectoryError):
        return set()
