"""The release that a data set was made of: names of its pictures, pairs of annotations and cameras."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from vistrain_trainer.checking import catalogue
from vistrain_trainer.checking.bounds import NOTHING
from vistrain_trainer.checking.content import Content
from vistrain_trainer.checking.figure import ALL, Figure
from vistrain_trainer.data.nuscenes.reader import read_release
from vistrain_trainer.data.nuscenes.release import Release
from vistrain_trainer.data.nuscenes.scene_boxes import BoxSource
from vistrain_trainer.data.progress import Progress, silent


def read_tables(content: Content, root: Path, progress: Progress = silent) -> Release:
    """The tables below a root, as far as the data set is made of them.

    Raises:
        BadInput: there is no release of the data set's version and cameras, or it is faulty.
    """
    manifest = content.manifest
    with progress(f"reading the tables of {root}", 1) as advance:
        release = read_release(
            root, manifest.source.version or None, manifest.cameras, sweeps=manifest.sweeps
        )
        advance(1)
    return release


def source_figure(content: Content, release: Release) -> Figure:
    """Whether the tables are those that the data set was made of."""
    stated = content.manifest.source.digest
    places = {} if release.digest == stated else {ALL: (f"{release.root}: their digest is {release.digest}",)}
    return Figure(catalogue.OTHER_SOURCE, {ALL: float(len(places))}, NOTHING, places)


def picture_names(release: Release) -> Mapping[str, str]:
    """File of the picture, relative to the release's root, by token of the sample_data."""
    frames = release.frames
    names = zip(frames.token.tolist(), frames.file_name.tolist(), strict=True)
    return {token.decode(): name.decode() for token, name in names}


def left_out(content: Content, release: Release, progress: Progress = silent) -> tuple[int, Counter[str]]:
    """Boxes that the data set's scenes have by the tables, and those that are left out, by reason."""
    manifest = content.manifest
    source = BoxSource(
        release,
        manifest.classes,
        sweeps=manifest.sweeps,
        bins=manifest.visibility,
        projection=manifest.projection or "devkit",
    )
    wanted = {scene.token for record in manifest.splits.values() for scene in record.scenes}
    rows = [row for row, scene in enumerate(release.scenes) if scene.token in wanted]
    kept, dropped = 0, Counter[str]()
    with progress(f"projecting the boxes of {len(rows)} scenes", len(rows)) as advance:
        for row in rows:
            boxes = source.boxes(row)
            kept += len(boxes.label)
            dropped.update(boxes.dropped)
            advance(1)
    return kept, dropped
