"""How raw data becomes a data set."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from vistrain_api.base import Contract, Rule, Unique

Count = Annotated[int, Field(ge=0, le=100_000_000)]
Camera = Literal[
    "CAM_FRONT", "CAM_FRONT_RIGHT", "CAM_BACK_RIGHT", "CAM_BACK", "CAM_BACK_LEFT", "CAM_FRONT_LEFT"
]

NUSCENES_CLASSES = (
    "car",
    "truck",
    "bus",
    "trailer",
    "construction_vehicle",
    "pedestrian",
    "motorcycle",
    "bicycle",
    "traffic_cone",
    "barrier",
)
"""The detection classes that nuScenes' categories are mapped to."""

# A file of scene lists bears one of these suffixes, so that a misspelt name is no file.
SPLITS_FILES = (".json", ".yaml", ".yml")
SPLITS_PATTERN = r"^(official|custom-560-140|[^/.][^/]*(/[^/.][^/]*)*[.](json|ya?ml))$"
VERSION_PATTERN = r"^v1[.]0-[a-z0-9]+(-[a-z0-9]+)*$"


def _front() -> list[Camera]:
    return ["CAM_FRONT"]


class NuScenesPreparation(Contract):
    """A release of nuScenes, and what of it is wanted. Boxes are projected into the pictures."""

    version: Annotated[str, Field(max_length=40, pattern=VERSION_PATTERN)]
    """Folder of tables on the volume, such as v1.0-trainval."""
    cameras: Annotated[list[Camera], Field(min_length=1, max_length=6), *Unique] = Field(
        default_factory=_front
    )
    """Cameras; their order is of no matter."""
    splits: Annotated[str, Field(max_length=512, pattern=SPLITS_PATTERN)] = "official"
    """Which scenes are in which split: official, custom-560-140 (official train cut in two, official val held
    back as test), or a .json or .yaml file on the volume."""
    sweeps: bool = False
    """Whether the pictures between keyframes are taken too, with interpolated boxes."""
    visibility: Annotated[list[Annotated[int, Field(ge=1, le=4)]], Field(max_length=4), *Unique] = Field(
        default_factory=list
    )
    """Visibility bins whose boxes are kept, 1 (least) to 4; all boxes when empty."""
    projection: Literal["devkit", "clipped"] = "devkit"
    """How boxes that reach behind the camera are projected."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="self.version != 'v1.0-test'",
            message="version: v1.0-test has no annotations to learn from: say v1.0-trainval",
            holds=lambda m: m.version != "v1.0-test",
            field_path=".version",
        ),
    )


class PreparedSplit(Contract):
    """What a split must turn out to hold."""

    expect_images: Count | None = None
    """Number of images the split must have; another number is refused."""
    expect_annotations: Count | None = None
    """Number of annotations the split must have; another number is refused."""


class Preparation(Contract):
    """A data set that is made of raw data on the volume. Annotations go to the checkpoint volume, into the
    folder `prepared`; pictures stay where they are."""

    nuscenes: NuScenesPreparation
    """Raw nuScenes."""
    train: PreparedSplit | None = None
    """What training must be on."""
    validation: PreparedSplit | None = None
    """What the best checkpoint must be chosen on."""
    test: PreparedSplit | None = None
    """What the best checkpoint must be judged on."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="!has(self.test) || self.nuscenes.splits != 'official'",
            message="test: the official splits have no test split with annotations: remove the field",
            holds=lambda m: m.test is None or m.nuscenes.splits != "official",
            field_path=".test",
        ),
    )
