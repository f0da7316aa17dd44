"""Writing of a synthetic nuScenes release."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import numpy as np

from vistrain_trainer.data.manifest import (
    MANIFEST,
    Counts,
    DatasetManifest,
    ImageSize,
    Pictures,
    SceneRef,
    Source,
    SplitRecord,
    digest_of,
    encode,
    read,
)
from vistrain_trainer.data.world.annotate import annotate
from vistrain_trainer.data.world.calibration import calibrate
from vistrain_trainer.data.world.categories import CATEGORIES
from vistrain_trainer.data.world.logs import LOCATIONS, Log, make_logs, map_file
from vistrain_trainer.data.world.maps import outline, write_mask
from vistrain_trainer.data.world.pictures import write_pictures
from vistrain_trainer.data.world.release_options import ReleaseOptions
from vistrain_trainer.data.world.scene_tables import SceneTables, SceneWriter
from vistrain_trainer.data.world.stage import Draw, make_stage, scene_generator
from vistrain_trainer.data.world.static_tables import static_rows
from vistrain_trainer.data.world.tables import TABLES, TableFile
from vistrain_trainer.data.world.timing import TURN, firings
from vistrain_trainer.errors import BadInput

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
    out = out.absolute()
    made = _already_made(options, out)
    if made is not None:
        return made
    partial = out.with_name(f".{out.name}.partial")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        (partial / options.version).mkdir(parents=True)
        (partial / "maps").mkdir()
        manifest = _write(options, partial, advance)
        partial.replace(out)
    except OSError as error:
        raise BadInput(
            field="--out",
            value=str(out),
            problem=f"the release cannot be written: {error.strerror}",
            remedy="give a folder that can be created, on a volume with room",
        ) from error
    return manifest


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
    with ExitStack() as stack:
        root = folder / options.version
        tables = {name: stack.enter_context(TableFile(root / f"{name}.json")) for name in TABLES}
        for table, rows in static_rows(logs).items():
            tables[table].add(rows)
        for name, log, start in _timetable(options, logs):
            maker = _SceneMaker(options, name, log, start)
            made = maker.tables()
            for table, rows in made.rows.items():
                tables[table].add(rows)
            roads[log.location].append(outline(maker.stage.road))
            splits[split_of[name]].add(made)
            seconds, steps, gaps = seconds + made.seconds, steps + made.steps, gaps + made.gaps
            maker.pictures(folder, made, advance)
        files = {f"{options.version}/{name}.json": table.finish() for name, table in tables.items()}
    for location, outlines in roads.items():
        write_mask(folder / map_file(location), outlines)
    digest = digest_of(files)
    manifest = DatasetManifest(
        format="nuscenes",
        command=options.command(),
        version=version("vistrain-trainer"),
        source=Source(kind="synthetic", version=options.version, digest=digest),
        classes=CATEGORIES,
        splits={name: split.record(len(options.cameras)) for name, split in splits.items()},
        pictures=Pictures(mode="none" if options.pictures == "none" else "own", root="."),
        digest=digest,
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
    with (folder / MANIFEST).open("wb") as file:
        file.write(encode(manifest))
        file.flush()
        os.fsync(file.fileno())
    return manifest


def _timetable(options: ReleaseOptions, logs: list[Log]) -> Iterator[tuple[str, Log, int]]:
    """Name, log and start of each scene; those of a log follow each other with some time between."""
    step = (options.samples + 60) * 20 * TURN
    for log in logs:
        for position, name in enumerate(log.scenes):
            yield name, log, log.start + position * step


class _SceneMaker:
    """One scene: the world, and what is told of it."""

    def __init__(self, options: ReleaseOptions, name: str, log: Log, start: int) -> None:
        self._options, self._name = options, name
        self.stage = make_stage(
            options.seed,
            name,
            start,
            samples=options.samples,
            dropped_samples=options.dropped_keyframes,
            density=options.density / (1 - options.dropped_annotations),
        )
        self._calibrations = calibrate(
            self._random(Draw.CALIBRATION), options.channels, options.height, options.width
        )
        self._log = log

    def tables(self) -> SceneTables:
        """Its rows."""
        options = self._options
        writer = SceneWriter(options.seed, self._name, self._log, self.stage)
        writer.scene("Synthetic drive")
        for calibration in self._calibrations:
            channel = calibration.channel
            random = self._random(Draw.FIRINGS, *channel.encode())
            taken = firings(random, self.stage.turns, channel, options.dropped_sweeps)
            writer.sensor(calibration, taken, options.height, options.width)
        if options.version != "v1.0-test":
            random = self._random(Draw.ANNOTATIONS)
            writer.annotations(annotate(self.stage, random, options.dropped_annotations))
        return writer.made

    def pictures(self, folder: Path, made: SceneTables, advance: Callable[[float], None]) -> None:
        """Render those asked for; tells the share of the scene that each is."""
        options = self._options
        asked = {"none": (), "key": (True,), "all": (True, False)}[options.pictures]
        shots = [shot for shot in made.shots if shot.keyframe in asked]
        size = options.height, options.width
        for _ in write_pictures(folder, self.stage, self._calibrations, shots, seed=options.seed, size=size):
            advance(1 / len(shots))
        if not shots:
            advance(1)

    def _random(self, draw: Draw, *counters: int) -> np.random.Generator:
        return scene_generator(self._options.seed, self._name, draw, *counters)


def _already_made(options: ReleaseOptions, out: Path) -> DatasetManifest | None:
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return None
    held = "something else"
    if (out / MANIFEST).is_file():
        made = read(out / MANIFEST)
        if (made.command, made.version) == (options.command(), version("vistrain-trainer")):
            return made
        held = made.command
    raise BadInput(
        field="--out",
        value=str(out),
        problem=f"the folder holds {held}",
        remedy="give a new folder, or remove this one first",
    )
