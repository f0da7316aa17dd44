"""What a run learns from, and how it is read."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from vistrain_api.base import Contract, Rule, Unique, getattr_by_alias, not_supported
from vistrain_api.preparation import NUSCENES_CLASSES, Count, Preparation
from vistrain_api.quantities import Memory
from vistrain_api.volumes import DataVolumeRef, RelativePath

ClassName = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9_. -]*$")]


class DetectionSplit(Contract):
    """One split of a detection data set."""

    annotations: RelativePath
    """Annotation file, relative to the volume's sub-path."""
    images: RelativePath
    """Folder that the file names in the annotations are relative to."""
    expect_images: Count | None = None
    """Number of images the split must have; another number is refused."""
    expect_annotations: Count | None = None
    """Number of annotations the split must have; another number is refused."""


class Loader(Contract):
    """How samples are read."""

    workers: Annotated[int, Field(ge=0, le=128)] = 4
    """Loader processes; 0 reads in the training process."""
    cache: Literal["none", "memory", "disk"] = "none"
    """Where images are kept once decoded and fitted to the input size: in memory, which counts towards
    resources.memory, or on the checkpoint volume, beside the run folders."""
    cache_budget: Memory = "64Gi"
    """Most that the cache may take; images beyond it are read directly."""


def _stated_or_prepared(member: str) -> Rule:
    return Rule(
        cel=f"has(self.{member}) != has(self.prepare)",
        message=f"{member}: state either it or prepare, which makes it",
        holds=lambda m: (getattr_by_alias(m, member) is None) == (m.prepare is not None),
        field_path=f".{member}",
    )


class DetectionDataset(Contract):
    """A detection data set on a volume, mounted read-only."""

    volume: DataVolumeRef
    """Volume that holds the data set."""
    format: Literal["coco", "yolo"] = "coco"
    """Layout of the data set."""
    prepare: Preparation | None = None
    """The volume holds raw data, and the splits are made of it before the run: once for all runs that say the
    same here, of volume and of classes."""
    train: DetectionSplit | None = None
    """What is trained on."""
    validation: DetectionSplit | None = None
    """What the best checkpoint is chosen on."""
    test: DetectionSplit | None = None
    """What the best checkpoint is judged on at the end, once."""
    classes: Annotated[list[ClassName], Field(min_length=1, max_length=1000), *Unique]
    """Class names in order; the order is part of the artifact's identity."""
    loader: Loader = Field(default_factory=Loader)
    """How samples are read."""

    rules: ClassVar[tuple[Rule, ...]] = (
        not_supported("format", allowed="coco"),
        _stated_or_prepared("train"),
        _stated_or_prepared("validation"),
        Rule(
            cel="!has(self.test) || !has(self.prepare)",
            message="test: prepare makes the splits: remove the field",
            holds=lambda m: m.test is None or m.prepare is None,
            field_path=".test",
            reason="FieldValueForbidden",
        ),
        Rule(
            cel=f"!has(self.prepare) || self.classes.all(c, c in {list(NUSCENES_CLASSES)})",
            message=f"classes: nuScenes is prepared with these: {', '.join(NUSCENES_CLASSES)}",
            holds=lambda m: m.prepare is None or set(m.classes) <= set(NUSCENES_CLASSES),
            field_path=".classes",
        ),
    )
