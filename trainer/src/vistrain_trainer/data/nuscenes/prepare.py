"""Making of data sets from a nuScenes release."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import msgspec

from vistrain_trainer.data import manifest as manifests
from vistrain_trainer.data.artifact import Making, alone
from vistrain_trainer.data.manifest import RESERVED, DatasetManifest
from vistrain_trainer.data.nuscenes.coco import write_coco
from vistrain_trainer.data.nuscenes.disjoint import require_disjoint
from vistrain_trainer.data.nuscenes.heading import heading, heading_of
from vistrain_trainer.data.nuscenes.mot import sequence_name, write_mot
from vistrain_trainer.data.nuscenes.options import UNANNOTATED, Layout, PrepareOptions
from vistrain_trainer.data.nuscenes.pace import Pace
from vistrain_trainer.data.nuscenes.pictures import place_pictures, require_pictures
from vistrain_trainer.data.nuscenes.reader import read_release
from vistrain_trainer.data.nuscenes.release import Release
from vistrain_trainer.data.nuscenes.reserved import reserved_pictures
from vistrain_trainer.data.nuscenes.scene_boxes import BoxSource
from vistrain_trainer.data.nuscenes.scene_lists import PresentScenes, present, read_lists
from vistrain_trainer.data.nuscenes.tally import Tally
from vistrain_trainer.data.nuscenes.version_folder import version_folder
from vistrain_trainer.data.nuscenes.yolo import require_splits, write_yolo
from vistrain_trainer.data.ordered_work import processes
from vistrain_trainer.data.progress import Advance, Progress, silent
from vistrain_trainer.data.whole_folder import already_made
from vistrain_trainer.errors import BadInput

MANY = 20_000
"""Pictures from which several processes are worth their start."""
GAPS = "gaps.csv"


def prepare_nuscenes(
    options: PrepareOptions, out: Path, progress: Progress = silent
) -> dict[str, DatasetManifest]:
    """Make a data set for each layout asked for, in a folder of `out` that has its name once it is whole.

    One that is there and is the very same is left as it is; pictures that an interrupted preparation copied
    are not copied again.

    Returns:
        the manifests by layout.

    Raises:
        BadInput: the release or what is asked of it is faulty, or a folder holds something else.
        OSError: the output cannot be written; the file is named.
    """
    out = out.absolute()
    folder = version_folder(options.root, options.version)
    options.require_truth(folder.name)
    lists = read_lists(options.splits, folder.name)
    if "yolo" in options.formats:
        require_splits(lists.scenes)
    sweeps = any(options.between(layout) for layout in options.formats)
    with progress(f"reading the tables of {folder}", 1) as advance:
        release = read_release(options.root, folder.name, options.cameras, sweeps=sweeps)
        advance(1)
    scenes = present(lists, release.scenes, release.version)
    layouts = {layout: _Preparation(options, release, scenes, layout) for layout in options.formats}
    return {layout: each.make(out / layout, progress) for layout, each in layouts.items()}


@dataclass(frozen=True)
class _Preparation:
    """A release in one layout."""

    options: PrepareOptions
    release: Release
    scenes: PresentScenes
    layout: Layout

    def make(self, final: Path, progress: Progress) -> DatasetManifest:
        made = self._made(final)
        if made is not None:
            return made
        with alone(final):
            # Who was at work before may have made it in between.
            return self._made(final) or self._make(final, progress)

    def _make(self, final: Path, progress: Progress) -> DatasetManifest:
        rows = [row for rows in self.scenes.scenes.values() for row in rows]
        pace = self._pace()
        mode = self.options.pictures
        pictures = require_pictures(self.source, rows) if mode != "none" else 0
        making = Making(final)
        try:
            making.begin(msgspec.to_builtins(self.heading))
            with progress(f"writing {self.layout} of {len(rows)} scenes", len(rows)) as advance:
                tallies = self._write(making, advance)
            require_disjoint(making.now, self.layout, tallies, self.release)
            if mode != "none":
                what = "linking" if mode == "link" else "copying"
                with progress(f"{what} {pictures} pictures", pictures) as advance:
                    place_pictures(self.source, self.layout, self.scenes.scenes, making, mode, advance)
            if self.layout == "mot":
                making.write(GAPS, pace.gap_lines())
            if self.scenes.reserved:
                held = [row for split in self.scenes.reserved for row in self.scenes.scenes[split]]
                making.write(RESERVED, reserved_pictures(self.source, sorted(held)))
            manifest = self._manifest(tallies, making.files, pace)
            making.finish(manifest)
        except BaseException:
            if mode == "none":  # else there are pictures that the next try need not copy
                shutil.rmtree(making.now, ignore_errors=True)
            raise
        return manifest

    @cached_property
    def source(self) -> BoxSource:
        """Its boxes."""
        return BoxSource(
            self.release,
            self.options.classes,
            sweeps=self.options.between(self.layout),
            bins=self.options.bins,
            projection=self.options.projection,
        )

    @cached_property
    def heading(self) -> DatasetManifest:
        """Its manifest as far as it is known before it is made."""
        return heading(self.options, self.layout, self.release, self.scenes, self.source)

    def _made(self, final: Path) -> DatasetManifest | None:
        return already_made(final, lambda found: heading_of(found) == self.heading, self._told)

    def _told(self, other: DatasetManifest) -> str:
        same = other.command == self.heading.command
        how = " of other tables, splits or pictures, or by another version" if same else ""
        return f"what `{other.command}` made{how}"

    def _write(self, making: Making, advance: Advance) -> dict[str, Tally]:
        source, splits = self.source, self.scenes.scenes
        count = processes() if len(self.release.frames.token) >= MANY else 1
        if self.layout == "coco":
            title = f"nuScenes {self.release.version}, {', '.join(self.release.cameras)}"
            return write_coco(source, splits, making, title=title, processes=count, advance=advance)
        if self.layout == "yolo":
            return write_yolo(source, splits, making, processes=count, advance=advance)
        fps = self.options.fps
        return write_mot(source, splits, making, fps=fps, processes=count, advance=advance)

    def _pace(self) -> Pace:
        """The rate of the pictures, which MOT states."""
        release = self.release
        pairs = [(split, row) for split, rows in self.scenes.scenes.items() for row in rows]
        pace = Pace(self.options.fps)
        for camera, name in enumerate(release.cameras):
            pictures = 0
            for split, row in pairs:
                times = release.frames.timestamp[self.source.frames(row, camera)]
                pace.add(split, sequence_name(release, row, camera), times)
                pictures += len(times)
            if not pictures:
                raise BadInput(
                    field="--cameras",
                    value=name,
                    problem="the release has no picture of it in the scenes of these splits",
                    remedy="leave it out, or complete sample_data.json",
                )
        if self.layout == "mot":
            pace.require()
        return pace

    def _manifest(self, tallies: dict[str, Tally], files: dict[str, str], pace: Pace) -> DatasetManifest:
        dropped: Counter[str] = Counter()
        for tally in tallies.values():
            dropped.update(tally.dropped)
        records = {
            name: msgspec.structs.replace(record, counts=tallies[name].counts())
            for name, record in self.heading.splits.items()
        }
        return msgspec.structs.replace(
            self.heading,
            splits=records,
            digest=manifests.digest_of(files),
            frame_interval=pace.interval,
            dropped=dict(dropped),
            notes=tuple(self._notes(tallies, pace)),
            files=files,
        )

    def _notes(self, tallies: dict[str, Tally], pace: Pace) -> Iterator[str]:
        yield from self.scenes.notes
        if self.release.version == UNANNOTATED:
            yield f"{UNANNOTATED} comes without annotations"
            return
        images = sum(tally.images for tally in tallies.values())
        empty = sum(tally.empty for tally in tallies.values())
        if empty:
            yield f"{empty} of {images} pictures show none of the classes"
        if self.layout == "mot":
            yield from pace.notes()
