"""What a nuScenes release is to be prepared as."""

from __future__ import annotations

import shlex
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vistrain_trainer.data.classes import PRESETS, require_classes
from vistrain_trainer.errors import BadInput

Layout = Literal["coco", "yolo", "mot"]
LAYOUTS: tuple[Layout, ...] = ("coco", "yolo", "mot")
PROJECTIONS = ("devkit", "clipped")
PICTURES = ("none", "link", "copy")
RATES = (2, 12)
BINS = (1, 2, 3, 4)
UNANNOTATED = "v1.0-test"


@dataclass(frozen=True)
class PrepareOptions:
    """What to make."""

    root: Path
    """Folder that holds v1.0-…, samples and sweeps."""
    version: str | None = None
    """Such as v1.0-trainval; None for the only one that there is."""
    cameras: tuple[str, ...] = ("CAM_FRONT",)
    """In the order in which a scene's pictures are listed; all when empty."""
    classes: tuple[str, ...] = PRESETS["nuscenes-tracking"]
    """Ordered."""
    splits: str = "official"
    """official, custom-560-140, or a JSON or YAML file of scene lists."""
    formats: tuple[Layout, ...] = ("coco",)
    fps: Literal[2, 12] = 12
    """Of MOT: 2 takes keyframes, 12 every picture."""
    sweeps: bool = False
    """Whether COCO and YOLO take the pictures between keyframes too."""
    visibility: tuple[int, ...] = ()
    """Bins, 1 to 4, whose boxes are kept; all boxes when empty."""
    projection: Literal["devkit", "clipped"] = "devkit"
    pictures: Literal["none", "link", "copy"] = "none"

    def __post_init__(self) -> None:
        _require_known("--format", self.formats, LAYOUTS)
        _require_known("--fps", (self.fps,), RATES)
        _require_known("--projection", (self.projection,), PROJECTIONS)
        _require_known("--pictures", (self.pictures,), PICTURES)
        if self.visibility:
            _require_known("--visibility", self.visibility, BINS)
        require_classes(self.classes, "--classes")
        if "yolo" in self.formats and self.pictures == "none":
            raise BadInput(
                field="--pictures",
                value="none",
                problem="YOLO looks for labels where the pictures are, and would find none",
                remedy="say --pictures link, which takes no room, or copy",
            )

    def require_truth(self, version: str) -> None:
        """Refuse layouts of which boxes are a part where there are none.

        Raises:
            BadInput: the version has no annotations.
        """
        if version == UNANNOTATED and self.formats != ("coco",):
            raise BadInput(
                field="--format",
                value=",".join(self.formats),
                problem=f"{version} has no annotations: there is nothing to learn or to be judged by",
                remedy="prepare v1.0-trainval or v1.0-mini; of this one coco alone, for its pictures",
            )

    @property
    def bins(self) -> tuple[int, ...]:
        """Visibility bins that are kept, ascending; empty when all boxes are."""
        return () if set(self.visibility) == set(BINS) else tuple(sorted(self.visibility))

    def between(self, layout: Layout) -> bool:
        """Whether a layout takes pictures between keyframes."""
        return self.fps == max(RATES) if layout == "mot" else self.sweeps

    def command(self, layout: Layout, version: str, cameras: tuple[str, ...]) -> str:
        """The command that makes the same data set in one layout, but for folders.

        Args:
            version: which the release is of.
            cameras: that were taken.
        """
        words = [
            "vistrain", "prepare", "nuscenes", "--version", version, "--cameras", ",".join(cameras),
            "--classes", ",".join(self.classes), "--splits", Path(self.splits).name, "--format", layout,
        ]  # fmt: skip
        if layout == "mot":
            words += ["--fps", str(self.fps)]
        elif self.sweeps:
            words += ["--sweeps"]
        if self.bins:
            words += ["--visibility", ",".join(map(str, self.bins))]
        return shlex.join([*words, "--projection", self.projection, "--pictures", self.pictures])


def _require_known(name: str, given: Collection[object], known: Collection[object]) -> None:
    if set(given) <= set(known) and 0 < len(set(given)) == len(given):
        return
    raise BadInput(
        field=name,
        value=",".join(map(str, given)),
        problem="is unknown, empty or names something twice",
        remedy=f"choose from {', '.join(map(str, known))}",
    )
