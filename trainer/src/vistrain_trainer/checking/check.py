"""A check from beginning to end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from vistrain_trainer.checking.bounds import NOTHING, Bound, Bounds
from vistrain_trainer.checking.box_figures import box_figures
from vistrain_trainer.checking.catalogue import (
    BOXES_OUTSIDE,
    DUPLICATE_BOXES,
    EMPTY_BOXES,
    KINDS,
    THIN_BOXES,
)
from vistrain_trainer.checking.choice import Pick, choose
from vistrain_trainer.checking.content import Content
from vistrain_trainer.checking.figure import Figure
from vistrain_trainer.checking.file_figures import file_figures
from vistrain_trainer.checking.histograms import histograms
from vistrain_trainer.checking.motion_figures import motion_figures
from vistrain_trainer.checking.pair_figures import pair_figures
from vistrain_trainer.checking.pictures import PathOf, missing_pictures, picture_paths
from vistrain_trainer.checking.result import Checked
from vistrain_trainer.checking.samples import draw_samples
from vistrain_trainer.checking.scene_figures import scene_figures
from vistrain_trainer.checking.tables import left_out, picture_names, read_tables, source_figure
from vistrain_trainer.data.nuscenes.release import Release
from vistrain_trainer.data.progress import Progress, silent
from vistrain_trainer.errors import BadInput

PICTURES, STRIPS = 12, 6
"""Samples when no number is stated: pictures, or strips of consecutive frames."""
FRAMES_OF_A_STRIP = 6
"""From keyframe to keyframe at 12 frames a second."""
_DEFAULTS: dict[str, Bound] = {
    kind.name: NOTHING for kind in (EMPTY_BOXES, THIN_BOXES, BOXES_OUTSIDE, DUPLICATE_BOXES)
}


@dataclass(frozen=True)
class CheckOptions:
    """What is asked."""

    root: Path | None = None
    """Of the release: its tables, and its pictures where the data set has none."""
    scenes: Sequence[str] = ()
    """Names that samples are chosen from; all when empty."""
    cameras: Sequence[str] = ()
    samples: int | None = None
    """How many are shown; some, when it is not stated."""
    bounds: Bounds = field(default_factory=dict)
    """In place of the default ones."""


def check(content: Content, options: CheckOptions, folder: Path, progress: Progress = silent) -> Checked:
    """Compute every figure, and draw samples into a folder.

    Raises:
        BadInput: a file of the data set is faulty, an option names what it has not, or samples are asked for
            of which no picture is there.
        OSError: the folder cannot be written to.
    """
    strips = content.manifest.format == "mot"
    wanted = (STRIPS if strips else PICTURES) if options.samples is None else options.samples
    each = FRAMES_OF_A_STRIP if strips else 1
    choice = choose(content, wanted, options.scenes, options.cameras, each=each)
    release = _release(content, options, wanted, progress)
    unnamed = strips and content.manifest.pictures.mode == "none"
    path_of = picture_paths(content, options.root, picture_names(release) if release and unnamed else None)
    figures = list(_figures(content, release, progress))
    if release is not None or not unnamed:
        figures.append(missing_pictures(content, path_of))
    drawn = draw_samples(content, choice.picks, path_of, folder, progress)
    if options.samples and drawn.shown and all(one.missing == len(one.singles) for one in drawn.shown):
        raise _no_picture(content, choice.picks[0], path_of)
    if drawn.shown:
        figures.append(drawn.other_size)
    order = {kind.name: place for place, kind in enumerate(KINDS)}
    figures.sort(key=lambda figure: order[figure.kind.name])
    return Checked(
        content=content,
        figures=tuple(_bounded(figure, options.bounds) for figure in figures),
        histograms=tuple(histograms(content)),
        choice=choice,
        shown=drawn.shown,
        together=drawn.together,
    )


def _no_picture(content: Content, pick: Pick, path_of: PathOf) -> BadInput:
    first = path_of(content.splits[pick.split], pick.frames[0])
    return BadInput(
        field="--samples",
        value=str(first),
        problem="the picture is not there, nor is any other that was to be shown",
        remedy="Name the release's folder with --root, or say --samples 0",
    )


def _release(content: Content, options: CheckOptions, samples: int, progress: Progress) -> Release | None:
    """The tables: those of the stated root, or else of the manifest's where pictures are to be found by them.

    Raises:
        BadInput: the tables are wrong.
    """
    manifest = content.manifest
    if manifest.source.kind != "nuscenes":
        return None
    if options.root is not None:
        return read_tables(content, options.root, progress)
    stated = Path(manifest.pictures.root)
    unnamed = manifest.format == "mot" and manifest.pictures.mode == "none"
    return read_tables(content, stated, progress) if unnamed and samples and stated.is_dir() else None


def _figures(content: Content, release: Release | None, progress: Progress) -> Iterator[Figure]:
    yield from file_figures(content, progress)
    yield from scene_figures(content)
    yield from box_figures(content)
    if content.manifest.format == "mot":
        yield from motion_figures(content)
    kept, dropped = sum(len(split.boxes) for split in content.splits.values()), content.manifest.dropped
    pairs = list(pair_figures(content, kept, dropped))
    if release is not None:
        yield source_figure(content, release)
        pairs = pairs or list(pair_figures(content, *left_out(content, release, progress)))
    yield from pairs


def _bounded(figure: Figure, stated: Bounds) -> Figure:
    """The stated bound first, then the figure's own, then the default."""
    name = figure.kind.name
    if name in stated:
        return replace(figure, bound=stated[name])
    return figure if figure.bound is not None else replace(figure, bound=_DEFAULTS.get(name))
