"""Writing of a synthetic nuScenes release."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import numpy as np

from vistrain_trainer.data.manifest import (
    Counts,
    DatasetManifest,
    ImageSize,
    Pictures,
    SceneRef,
    Source,
    SplitRecord,
    digest_of,
)
from vistrain_trainer.data.whole_folder import make_whole
from vistrain_trainer.data.world.categories import CATEGORIES
from vistrain_trainer.data.world.logs import LOCATIONS, make_logs, map_file
from vistrain_trainer.data.world.maps import outline, write_mask
from vistrain_trainer.data.world.release_options import ReleaseOptions
from vistrain_trainer.data.world.release_scene import release_scenes
from vistrain_trainer.data.world.scene_tables import SceneTables
from vistrain_trainer.data.world.static_tables import static_rows
from vistrain_trainer.data.world.tables import TABLES, TableFile

__all__ = ["ReleaseOptions", "write_release"]

FPS = 12.0
"""Of the cameras, nominal."""


def write_release(
    options: ReleaseOptions, out: Path, advance: Callable[[float], None] = lambda _: None
) -> DatasetManifest:
    """Write a release to ``out`` and give its manifest; the folder appears only when whole.

    A folder that already holds exactly this release is left as it is.

    Args:
        advance: called with how much of a scene is done now.

    Raises:
        BadInput: the folder holds something else, or cannot be made.
    """
    return make_whole(out, options.command(), lambda folder: _write(options, folder, advance))


@dataclass
class _Split:
    scenes: list[SceneRef] = field(default_factory=list)
    keyframes: int = 0
    sweeps: int = 0
    instances: int = 0
    per_category: Counter[str] = field(default_factory=Counter)

    def add(self, made: SceneTables) -> None:
        self.scenes.append(SceneRef(name=made.name, token=made.token))
        keyframes = sum(shot.keyframe for shot in made.shots)
        self.keyframes += keyframes
        self.sweeps += len(made.shots) - keyframes
        self.instances += made.instances
        self.per_category += made.per_category

    def record(self, cameras: int) -> SplitRecord:
        counts = Counts(
            images=self.keyframes + self.sweeps,
            annotations=self.per_category.total(),
            per_class={name: self.per_category[name] for name in CATEGORIES},
            sequences=len(self.scenes) * cameras,
            tracks=self.instances,
            key_frames=self.keyframes,
            interpolated_frames=self.sweeps,
        )
        return SplitRecord(counts=counts, scenes=tuple(self.scenes))


def _write(options: ReleaseOptions, folder: Path, advance: Callable[[float], None]) -> DatasetManifest:
    names = options.splits()
    split_of = {name: split for split, members in names.items() for name in members}
    logs = make_logs(options.seed, sorted(split_of))
    splits = {split: _Split() for split in names}
    roads: dict[str, list[np.ndarray]] = {location: [] for location in LOCATIONS}
    seconds, steps, gaps = 0.0, 0, 0
    pictures: dict[str, str] = {}
    root = folder / options.version
    for place in (root, folder / "maps"):
        place.mkdir()
    with ExitStack() as stack:
        tables = {name: stack.enter_context(TableFile(root / f"{name}.json")) for name in TABLES}
        for table, rows in static_rows(logs).items():
            tables[table].add(rows)
        for scene in release_scenes(options, logs):
            made = scene.tables
            for table, rows in made.rows.items():
                tables[table].add(rows)
            roads[scene.log.location].append(outline(scene.stage.road))
            splits[split_of[scene.name]].add(made)
            seconds, steps, gaps = seconds + made.seconds, steps + made.steps, gaps + made.gaps
            pictures |= scene.write_pictures(folder, advance)
        files = {f"{options.version}/{name}.json": table.finish() for name, table in tables.items()}
    for location, outlines in roads.items():
        write_mask(folder / map_file(location), outlines)
    of_pictures = digest_of(pictures) if pictures else ""
    of_tables = digest_of(files)
    return DatasetManifest(
        format="nuscenes",
        command=options.command(),
        version=version("vistrain-trainer"),
        source=Source(kind="synthetic", version=options.version, digest=of_tables),
        classes=CATEGORIES,
        splits={name: split.record(len(options.cameras)) for name, split in splits.items()},
        pictures=Pictures(mode="own" if pictures else "none", root=".", digest=of_pictures),
        digest=digest_of({**files, "pictures": of_pictures}) if pictures else of_tables,
        cameras=options.cameras,
        split_lists="official",
        fps=FPS,
        frame_interval=round(seconds / steps, 6) if steps else None,
        sweeps=True,
        image_size=ImageSize(height=options.height, width=options.width),
        seed=options.seed,
        notes=(f"{gaps} of {steps} steps from picture to picture of a camera are over 150 ms",),
        files=files,
    )
