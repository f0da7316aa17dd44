"""Making of a synthetic dataset folder."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from vistrain_trainer.data.digests import sha256_of
from vistrain_trainer.data.manifest import (
    DatasetManifest,
    ImageSize,
    Pictures,
    SceneRef,
    Source,
    SplitRecord,
    digest_of,
)
from vistrain_trainer.data.whole_folder import make_whole
from vistrain_trainer.data.world.cameras import RIG, make_rig
from vistrain_trainer.data.world.catalogue import KINDS
from vistrain_trainer.data.world.coco import CocoSplit, write_scene
from vistrain_trainer.data.world.simulation import make_scene
from vistrain_trainer.engine.files import sync_file
from vistrain_trainer.errors import BadInput

PICTURES = "images"
VALIDATION_SHARE = 0.2
"""Share of the scenes, the last ones, that are for validation."""


@dataclass(frozen=True)
class SyntheticOptions:
    """What to make. Every file is a function of these and of the versions of the libraries."""

    scenes: int
    samples: int
    """Annotated samples in a scene, half a second apart; each gives one picture per camera."""
    cameras: tuple[str, ...]
    height: int
    width: int
    classes: tuple[str, ...]
    seed: int

    def __post_init__(self) -> None:
        _require(self.scenes >= 2, "--scenes", self.scenes, "give at least 2: one to train, one to validate")
        _require(self.samples >= 1, "--samples", self.samples, "give at least 1")
        _require(self.seed >= 0, "--seed", self.seed, "give 0 or more")
        _require(
            min(self.height, self.width) >= 32,
            "--image-size",
            f"{self.height}x{self.width}",
            "give HEIGHTxWIDTH of at least 32x32 pixels",
        )
        _require_known("--cameras", self.cameras, RIG)
        _require_known("--classes", self.classes, KINDS)

    @property
    def pictures(self) -> int:
        """How many pictures they make."""
        return self.scenes * self.samples * len(self.cameras)

    def command(self) -> str:
        """The command that makes the same dataset, but for its folder."""
        return shlex.join(
            [
                "vistrain", "prepare", "synthetic",
                "--scenes", str(self.scenes), "--samples", str(self.samples),
                "--cameras", ",".join(self.cameras), "--image-size", f"{self.height}x{self.width}",
                "--classes", ",".join(self.classes), "--seed", str(self.seed), "--format", "coco",
            ]
        )  # fmt: skip


def make_synthetic(
    options: SyntheticOptions, out: Path, advance: Callable[[], None] = lambda: None
) -> DatasetManifest:
    """Make a dataset in ``out`` and give its manifest; the folder appears only when whole.

    A folder that already holds exactly this dataset is left as it is. Scenes are split, not pictures.

    Args:
        advance: called after each picture.

    Raises:
        BadInput: the folder holds something else, or cannot be made.
    """
    return make_whole(out, options.command(), lambda folder: _write(options, folder, advance))


def _write(options: SyntheticOptions, folder: Path, advance: Callable[[], None]) -> DatasetManifest:
    (folder / "annotations").mkdir()
    cameras = make_rig(options.cameras, options.height, options.width)
    validation = max(1, round(options.scenes * VALIDATION_SHARE))
    splits = {"train": CocoSplit(options.classes), "val": CocoSplit(options.classes)}
    scenes: dict[str, list[SceneRef]] = {"train": [], "val": []}
    pictures: dict[str, str] = {}
    files: dict[str, str] = {}
    for number in range(options.scenes):
        scene = make_scene(options.seed, number, options.samples, options.classes)
        split = "val" if number >= options.scenes - validation else "train"
        scenes[split].append(SceneRef(name=scene.name, token=scene.token))
        for path in write_scene(scene, cameras, options.seed, folder / PICTURES, splits[split]):
            pictures[path.relative_to(folder).as_posix()] = sha256_of(path)
            advance()
    for name, split_document in splits.items():
        path = folder / "annotations" / f"{name}.json"
        split_document.write(path)
        sync_file(path)
        files[path.relative_to(folder).as_posix()] = sha256_of(path)
    of_pictures = digest_of(pictures)
    return DatasetManifest(
        format="coco",
        command=options.command(),
        version=version("vistrain-trainer"),
        source=Source(kind="synthetic"),
        classes=options.classes,
        cameras=options.cameras,
        image_size=ImageSize(height=options.height, width=options.width),
        seed=options.seed,
        splits={
            name: SplitRecord(counts=document.counts(), scenes=tuple(scenes[name]))
            for name, document in splits.items()
        },
        pictures=Pictures(mode="own", root=PICTURES, digest=of_pictures),
        files=files,
        digest=digest_of({**files, PICTURES: of_pictures}),
    )


def _require(holds: bool, name: str, value: object, remedy: str) -> None:
    if not holds:
        raise BadInput(field=name, value=value, problem="is out of bounds", remedy=remedy)


def _require_known(name: str, given: Sequence[str], known: dict[str, Any]) -> None:
    wrong = [value for value in given if value not in known]
    if wrong or not given or len(set(given)) != len(given):
        raise BadInput(
            field=name,
            value=",".join(given),
            problem=f"{wrong[0]!r} is unknown" if wrong else "a name is missing or comes twice",
            remedy=f"choose from {', '.join(known)}",
        )
