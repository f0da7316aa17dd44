"""What a run learns from, and how it is read."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from vistrain_api.base import Contract, Rule, Unique, not_supported
from vistrain_api.quantities import Memory
from vistrain_api.volumes import DataVolumeRef, RelativePath

ClassName = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9_. -]*$")]
Count = Annotated[int, Field(ge=0, le=100_000_000)]


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


class NuScenesPreparation(Contract):
    """How raw nuScenes becomes a data set."""

    version: Annotated[str, Field(min_length=1, max_length=40)]
    """Table folder, such as v1.0-trainval."""
    cameras: Annotated[list[Annotated[str, Field(max_length=32)]], Field(min_length=1, max_length=6)] = Field(
        default_factory=lambda: ["CAM_FRONT"]
    )
    """Cameras, such as CAM_FRONT."""
    splits: Annotated[str, Field(max_length=64)] = "official"
    """Scene lists: official, or custom-560-140."""
    fps: Literal[2, 12] = 2
    """Frames per second."""
    visibility: Annotated[list[Annotated[int, Field(ge=1, le=4)]], Field(max_length=4)] = Field(
        default_factory=list
    )
    """Visibility bins kept; all when empty."""
    projection: Literal["devkit", "clipped"] = "devkit"
    """How boxes that reach behind the camera are projected."""


class Preparation(Contract):
    """A preparation that runs before a slice is asked for."""

    nuscenes: NuScenesPreparation
    """Raw nuScenes."""


class DetectionDataset(Contract):
    """A detection data set on a volume, mounted read-only."""

    volume: DataVolumeRef
    """Volume that holds the data set."""
    format: Literal["coco", "yolo"] = "coco"
    """Layout of the data set."""
    train: DetectionSplit
    """What is trained on."""
    validation: DetectionSplit
    """What the best checkpoint is chosen on."""
    test: DetectionSplit | None = None
    """What the best checkpoint is judged on at the end, once."""
    classes: Annotated[list[ClassName], Field(min_length=1, max_length=1000), *Unique]
    """Class names in order; the order is part of the artifact's identity."""
    loader: Loader = Field(default_factory=Loader)
    """How samples are read."""
    prepare: Preparation | None = None
    """Preparation of raw data before the run."""

    rules: ClassVar[tuple[Rule, ...]] = (
        not_supported("format", allowed="coco"),
        not_supported("prepare"),
    )
