"""A detection data set as its files state it: of COCO or YOLO, before anything is clipped or left out."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from vistrain_trainer.data.coco_file import ImageRecord, StatedBoxes
from vistrain_trainer.data.manifest import DatasetManifest
from vistrain_trainer.data.picture_file import Shape
from vistrain_trainer.data.yolo.data_file import DataFile


@dataclass(frozen=True)
class Findings:
    """What a reader of a split should know."""

    polygons: int = 0
    """YOLO: rows that were polygons, taken as their bounds; COCO: annotations with one beside their box."""
    duplicates: int = 0
    """Boxes that repeat another of the same picture and class."""
    missing_labels: int = 0
    """YOLO: pictures without a label file, taken as background."""
    empty_labels: int = 0
    """YOLO: pictures whose label file has no row."""


@dataclass(frozen=True)
class StatedSplit:
    """One split."""

    name: str
    images: tuple[ImageRecord, ...]
    """COCO: as the file says, by id; YOLO: upright, by path, with ids from 1."""
    paths: tuple[Path, ...]
    """Where the picture of each image is; of COCO empty where the pictures were not found."""
    boxes: StatedBoxes
    findings: Findings
    orientations: np.ndarray
    """(n,) uint8 EXIF orientation that was applied to each image; COCO is taken as stored."""
    scenes: tuple[str, ...] = ()
    """COCO: the scene of each image, where the file says it of all."""

    def numbered(self, index: np.ndarray) -> StatedSplit:
        """The split with other class indices; boxes whose new index is negative are left out.

        Args:
            index: (classes,) the new index of each old one.
        """
        classes = index[self.boxes.classes]
        kept = classes >= 0
        old = self.boxes
        boxes = StatedBoxes(old.image[kept], old.boxes[kept], classes[kept], old.crowd[kept])
        return replace(self, boxes=boxes)

    def shapes(self) -> list[Shape]:
        """The picture of each image as stored."""
        return [
            Shape(*Shape(image.width, image.height, orientation).upright, orientation)
            for image, orientation in zip(self.images, self.orientations.tolist(), strict=True)
        ]

    def per_image(self, of_class: int) -> np.ndarray:
        """(n,) int64 boxes of a class in each image."""
        chosen = self.boxes.image[self.boxes.classes == of_class]
        return np.bincount(chosen, minlength=len(self.images))


@dataclass(frozen=True)
class CocoFile:
    """The annotation file of a split, and the folder of its pictures."""

    path: Path
    pictures: Path | None


@dataclass(frozen=True)
class DetectionSet:
    """All splits of a data set."""

    home: Path
    """Folder that its manifest, and the journal of changes, are in."""
    classes: tuple[str, ...]
    splits: dict[str, StatedSplit]
    source: DataFile | dict[str, CocoFile]
    """What was read: of YOLO, or of COCO by split."""
    manifest: DatasetManifest | None = None
    orphans: tuple[Path, ...] = field(default=())
    """YOLO: label files without a picture."""

    @property
    def format(self) -> str:
        """coco or yolo."""
        return "yolo" if isinstance(self.source, DataFile) else "coco"

    def digest(self) -> str:
        """sha256 over names, sizes and boxes, hexadecimal; the order of files and rows does not count."""
        total = hashlib.sha256(json.dumps(self.classes).encode())
        for name, split in sorted(self.splits.items()):
            total.update(f"{name} {split_digest(split)}\n".encode())
        return total.hexdigest()


def split_digest(split: StatedSplit) -> str:
    """sha256 over a split's images and boxes, hexadecimal; ids and order do not count."""
    names = [(image.file_name, image.width, image.height) for image in split.images]
    order = sorted(range(len(names)), key=names.__getitem__)
    rank = np.empty(len(names), np.int64)
    rank[order] = np.arange(len(names))
    boxes = split.boxes
    rows = np.column_stack([rank[boxes.image], boxes.classes, boxes.crowd, boxes.boxes + 0.0])
    total = hashlib.sha256(json.dumps([names[at] for at in order]).encode())
    total.update(rows[np.lexsort(rows.T[::-1])].tobytes())
    return total.hexdigest()
