"""A detection dataset in the YOLO layout."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from vistrain_trainer.data.coco_file import Annotations, clipped
from vistrain_trainer.data.grouped import Grouped
from vistrain_trainer.data.images import decode
from vistrain_trainer.data.picture_file import turn_picture
from vistrain_trainer.data.progress import Progress, silent
from vistrain_trainer.data.rebalance.journal import require_settled
from vistrain_trainer.data.sets.documents import coco_document
from vistrain_trainer.data.yolo.data_file import read_data_file
from vistrain_trainer.data.yolo.labels import STRICT, Leniency
from vistrain_trainer.data.yolo.reading import common_folder, read_splits
from vistrain_trainer.errors import BadInput


class YoloDetection:
    """Images and boxes of one split; the class index of a box is its place in ``classes``.

    Boxes are clipped to their image, and those without area are dropped and counted. Sizes and pixels are
    those of the upright picture, which is what labels refer to. Heads of the pictures are read at once, the
    pictures when they are asked for.
    """

    def __init__(
        self,
        data: Path,
        split: str,
        classes: Sequence[str] | None = None,
        *,
        leniency: Leniency = STRICT,
        expect_images: int | None = None,
        expect_annotations: int | None = None,
        field: str = "spec.dataset.train",
        progress: Progress = silent,
    ) -> None:
        """Read and check a split.

        Args:
            data: the data.yaml.
            split: train, val or test.
            classes: names in the order of the class index; data.yaml must have exactly these. Its own order
                when none.
            expect_images: the number of pictures that the split must have.
            expect_annotations: the number of rows that its labels must have.
            field: the field of the manifest that names this split, for messages.

        Raises:
            BadInput: data.yaml, a label file or the head of a picture is faulty, or is not what is expected.
        """
        self._field = field
        file = read_data_file(data)
        require_settled(file.path.parent)
        self.classes = file.names if classes is None else tuple(classes)
        if len(self.classes) != len(file.names) or set(self.classes) != set(file.names):
            raise BadInput(
                field="spec.dataset.classes",
                value=list(self.classes),
                problem=f"the names of {file.path} are {list(file.names)}",
                remedy="list exactly these names as classes, in the order that the model is to number them",
            )
        stated = read_splits(file, [split], leniency, progress)[split]
        order = np.array([self.classes.index(name) for name in file.names])
        self._stated = stated.numbered(order)
        self.images = stated.images
        self.findings = stated.findings
        self.category_ids = tuple(range(1, len(self.classes) + 1))
        self.class_index = {category: index for index, category in enumerate(self.category_ids)}
        self._expect("expectImages", expect_images, len(self.images), "images")
        self._expect("expectAnnotations", expect_annotations, len(stated.boxes.image), "annotations")
        found = clipped(self._stated.boxes, self.images)
        self.dropped_boxes = found.dropped
        self.annotation_count = len(found.boxes)
        if self.annotation_count == 0:
            raise BadInput(
                field=field,
                value=f"{file.path}: {split}",
                problem="it has no box to learn or to evaluate",
                remedy="check that the label files are where the layout has them: labels/ for images/",
            )
        self._labels = Grouped(found.image, found.boxes, len(self.images))
        self.digest = self._digest(found)

    def __len__(self) -> int:
        return len(self.images)

    @property
    def folder(self) -> Path:
        """Folder that file names are relative to."""
        return common_folder(self._stated.paths)

    def labels(self, index: int) -> np.ndarray:
        """(n, 5) float32 rows x1, y1, x2, y2, class index, in pixels of the upright image."""
        return self._labels.rows(index)

    def image_path(self, index: int) -> Path:
        """Where the image file is."""
        return self._stated.paths[index]

    def read_image(self, index: int) -> np.ndarray:
        """Read an image, upright: (H, W, 3) uint8, BGR.

        Raises:
            BadInput: the file is missing, broken, or not of the size that it had.
        """
        record, path = self.images[index], self.image_path(index)
        try:
            image = turn_picture(decode(path.read_bytes()), int(self._stated.orientations[index]))
        except OSError as error:
            raise self._bad_image(path, f"it cannot be read: {error.strerror}") from None
        except ValueError as error:
            raise self._bad_image(path, f"it is broken: {error}") from None
        if image.shape[:2] != (record.height, record.width):
            size = f"{image.shape[1]}×{image.shape[0]}"
            raise self._bad_image(path, f"it is {size} pixels, its head says {record.width}×{record.height}")
        return image

    @cached_property
    def raw(self) -> dict[str, Any]:
        """The split as a COCO document, made when first asked for; category ids count from 1."""
        return coco_document(self._stated, self.classes)

    def _expect(self, name: str, expected: int | None, found: int, what: str) -> None:
        if expected is not None and expected != found:
            raise BadInput(
                field=f"{self._field}.{name}",
                value=expected,
                problem=f"there are {found} {what}",
                remedy="give the right data set, or correct the expected number",
            )

    def _bad_image(self, path: Path, problem: str) -> BadInput:
        return BadInput(
            field=self._field,
            value=str(path),
            problem=problem,
            remedy="copy it again, or remove it with its labels",
        )

    def _digest(self, found: Annotations) -> str:
        order = np.lexsort((*found.boxes.T, found.image))
        names = json.dumps([self.classes, self.images], separators=(",", ":"))
        total = hashlib.sha256(names.encode())
        for array in (found.image, found.boxes):
            total.update(array[order].tobytes())
        return total.hexdigest()
