"""What a detection data set holds, counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from vistrain_trainer.data.coco_file import clip, sizes_of
from vistrain_trainer.data.sets.stated import DetectionSet, StatedSplit
from vistrain_trainer.errors import BadInput

SIDES = (0, 8, 16, 32, 64, 96, 128, 256, 512)
"""Where the bins of box sizes begin: the square root of the area inside the picture, in pixels. The last has
no end; 32 and 96 are COCO's bounds of small and medium."""


class _Record(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    pass


class ClassStatistics(_Record, frozen=True, kw_only=True):
    """A class in a split."""

    instances: int
    images: int
    """With at least one box of it."""
    share: float | None
    """Of the split's boxes; none where there are none."""
    sides: tuple[int, ...]
    """Boxes by size, one count for each of `SIDES`."""


class SplitStatistics(_Record, frozen=True, kw_only=True):
    """A split, or all of them together."""

    images: int
    annotations: int
    images_without_boxes: int
    per_class: dict[str, ClassStatistics]
    polygons: int
    duplicates: int
    crowds: int
    without_area: int
    """Boxes of which nothing lies in their picture, which training drops."""
    missing_labels: int
    empty_labels: int


class Expectation(_Record, frozen=True, kw_only=True):
    """A count that somebody stated."""

    what: str
    """images or annotations."""
    split: str
    expected: int
    found: int

    @property
    def met(self) -> bool:
        """Whether it is so."""
        return self.expected == self.found


class Statistics(_Record, frozen=True, kw_only=True):
    """A data set in numbers."""

    format: str
    classes: tuple[str, ...]
    splits: dict[str, SplitStatistics]
    total: SplitStatistics
    sides: tuple[int, ...] = SIDES
    """Where the bins of sizes begin, in pixels."""
    shared_pictures: int
    """Pictures in more than one split."""
    orphan_labels: tuple[str, ...]
    """Label files without a picture, relative to the data set."""
    expectations: tuple[Expectation, ...] = ()


def statistics(found: DetectionSet) -> Statistics:
    """Count a data set."""
    splits = {name: _split(split, found.classes) for name, split in found.splits.items()}
    places = Counter(path for split in found.splits.values() for path in set(split.paths))
    return Statistics(
        format=found.format,
        classes=found.classes,
        splits=splits,
        total=_total(list(splits.values()), found.classes),
        shared_pictures=sum(count > 1 for count in places.values()),
        orphan_labels=tuple(
            path.relative_to(found.home).as_posix() if path.is_relative_to(found.home) else str(path)
            for path in found.orphans
        ),
    )


def read_expected(text: str, option: str) -> dict[str, int]:
    """`train=305,val=45` by split.

    Raises:
        BadInput: it is written otherwise.
    """
    expected = {}
    for part in text.split(","):
        name, _, count = part.strip().partition("=")
        if not name or not count.isdecimal() or name in expected:
            raise BadInput(
                field=option,
                value=text,
                problem=f"{part!r} is not SPLIT=COUNT, or comes twice",
                remedy="Say it such as train=305,val=45",
            )
        expected[name] = int(count)
    return expected


def check(
    counted: Statistics, images: Mapping[str, int], annotations: Mapping[str, int]
) -> tuple[Expectation, ...]:
    """Expected counts beside those found; a split that is not there has none."""
    wanted = [("images", name, count) for name, count in images.items()]
    wanted += [("annotations", name, count) for name, count in annotations.items()]
    return tuple(
        Expectation(
            what=what,
            split=split,
            expected=count,
            found=getattr(counted.splits[split], what) if split in counted.splits else 0,
        )
        for what, split, count in wanted
    )


def side_names() -> tuple[str, ...]:
    """The bins of sizes as a reader sees them."""
    return (*(f"<{end}" for end in SIDES[1:]), f"{SIDES[-1]}+")


def _split(split: StatedSplit, classes: Sequence[str]) -> SplitStatistics:
    boxes = split.boxes
    corners, has_area = clip(boxes.boxes, sizes_of(split.images)[boxes.image])
    extent = np.maximum(0, corners[:, 2:] - corners[:, :2])
    bins = np.searchsorted(SIDES, np.sqrt(extent.prod(axis=1)), side="right") - 1
    by_class = np.zeros((len(classes), len(SIDES)), np.int64)
    np.add.at(by_class, (boxes.classes, bins), 1)
    total = len(boxes.classes)
    per_class = {}
    for at, name in enumerate(classes):
        instances = int(by_class[at].sum())
        per_class[name] = ClassStatistics(
            instances=instances,
            images=len(np.unique(boxes.image[boxes.classes == at])),
            share=instances / total if total else None,
            sides=tuple(by_class[at].tolist()),
        )
    return SplitStatistics(
        images=len(split.images),
        annotations=total,
        images_without_boxes=len(split.images) - len(np.unique(boxes.image)),
        per_class=per_class,
        polygons=split.findings.polygons,
        duplicates=split.findings.duplicates,
        crowds=int(boxes.crowd.sum()),
        without_area=int((~has_area).sum()),
        missing_labels=split.findings.missing_labels,
        empty_labels=split.findings.empty_labels,
    )


def _total(splits: Sequence[SplitStatistics], classes: Sequence[str]) -> SplitStatistics:
    def added(name: str) -> int:
        return sum(getattr(split, name) for split in splits)

    total = added("annotations")
    per_class = {}
    for name in classes:
        parts = [split.per_class[name] for split in splits]
        instances = sum(part.instances for part in parts)
        per_class[name] = ClassStatistics(
            instances=instances,
            images=sum(part.images for part in parts),
            share=instances / total if total else None,
            sides=tuple(np.sum([part.sides for part in parts], axis=0).tolist()),
        )
    counts = {field: added(field) for field in SplitStatistics.__struct_fields__ if field != "per_class"}
    return SplitStatistics(per_class=per_class, **counts)
