"""Samples of a data set drawn into files."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vistrain_trainer.checking import catalogue, overlays
from vistrain_trainer.checking.bounds import NOTHING
from vistrain_trainer.checking.choice import Pick
from vistrain_trainer.checking.content import Content, Split
from vistrain_trainer.checking.figure import NAMED, Figure
from vistrain_trainer.checking.pictures import PathOf, read_picture
from vistrain_trainer.checking.result import Shown
from vistrain_trainer.data.progress import Progress, silent
from vistrain_trainer.evaluation.canvas import as_jpeg
from vistrain_trainer.reporting.wording import count

PICTURES, STRIPS, TOGETHER = "pictures", "strips", "all-samples.jpg"
ON_ONE_PAGE = 60
"""Samples that the page of pictures has at most."""


@dataclass(frozen=True)
class Drawn:
    """The samples as files."""

    shown: tuple[Shown, ...]
    together: str
    """File with all of them, or as many as go on a page; empty where there are none."""
    other_size: Figure
    """Pictures that are not of the size that their boxes are for."""


def draw_samples(
    content: Content, picks: Sequence[Pick], path_of: PathOf, folder: Path, progress: Progress = silent
) -> Drawn:
    """Draw each frame by itself, consecutive ones as a strip, and all samples on one page.

    Args:
        folder: that the files are written to.
    """
    shown, cells = [], []
    labels: set[int] = set()
    wrong: dict[str, list[str]] = {name: [] for name in content.splits}
    with progress(f"drawing {len(picks)} samples", len(picks)) as advance:
        for number, pick in enumerate(picks, start=1):
            split = content.splits[pick.split]
            sample = _Sample(split, pick, path_of)
            shown.append(sample.write(folder, number, content.classes))
            wrong[pick.split] += sample.of_other_size()
            if number <= ON_ONE_PAGE:
                cells.append(sample.small())
                labels |= set(sample.labels)
            advance(1)
    if cells:
        page = overlays.mosaic(cells, overlays.columns_of(cells))
        (folder / TOGETHER).write_bytes(as_jpeg(overlays.with_legend(page, sorted(labels), content.classes)))
    figure = Figure(
        catalogue.OTHER_SIZE,
        {name: float(len(found)) for name, found in wrong.items()},
        NOTHING,
        {name: tuple(found[:NAMED]) for name, found in wrong.items() if found},
    )
    return Drawn(tuple(shown), TOGETHER if cells else "", figure)


class _Sample:
    """A picture, or consecutive ones, with their pixels."""

    def __init__(self, split: Split, pick: Pick, path_of: PathOf) -> None:
        self._split, self._pick = split, pick
        turns = split.frames.orientation
        self._images = [read_picture(path_of(split, frame), int(turns[frame])) for frame in pick.frames]
        rows = np.concatenate([split.rows_of(frame) for frame in pick.frames])
        self.labels: list[int] = split.boxes.label[rows].tolist()

    def write(self, folder: Path, number: int, classes: Sequence[str]) -> Shown:
        """Write the files of the sample."""
        split, frames = self._split, self._pick.frames
        sequence = split.sequences[self._pick.sequence].name
        stem = f"{number:03d}-{re.sub(r'[^A-Za-z0-9_.-]', '_', sequence or split.name)}"
        singles = []
        for place, (frame, image) in enumerate(zip(frames, self._images, strict=True), start=1):
            canvas = overlays.draw_frame(split, frame, image)
            canvas = overlays.with_legend(canvas, split.boxes.label[split.rows_of(frame)].tolist(), classes)
            name = f"{stem}.jpg" if len(frames) == 1 else f"{stem}-{place}.jpg"
            singles.append(_write(folder / PICTURES / name, canvas, folder))
        file = singles[0]
        if len(frames) > 1:
            strip = overlays.with_legend(self.small(), self.labels, classes)
            file = _write(folder / STRIPS / f"{stem}.jpg", strip, folder)
        return Shown(
            file=file,
            singles=tuple(singles),
            split=split.name,
            sequence=sequence,
            caption=self._caption(),
            boxes=len(self.labels),
            missing=sum(image is None for image in self._images),
        )

    def small(self) -> np.ndarray:
        """The frames in small, as a text is read."""
        frames = zip(self._pick.frames, self._images, strict=True)
        return overlays.mosaic(
            [overlays.draw_frame(self._split, frame, image, overlays.SMALL) for frame, image in frames]
        )

    def of_other_size(self) -> list[str]:
        """The pictures whose boxes are for another size."""
        wrong = []
        for frame, image in zip(self._pick.frames, self._images, strict=True):
            width, height = self._split.frames.size[frame].tolist()
            if image is not None and image.shape[:2] != (height, width):
                found = f"{image.shape[1]}×{image.shape[0]}"
                wrong.append(f"{self._split.where(frame)}: it is {found}, its boxes are for {width}×{height}")
        return wrong

    def _caption(self) -> str:
        where = self._split.where(self._pick.frames[0])
        after = len(self._pick.frames) - 1
        where += f" and the {count(after, 'frame')} after it" if after else ""
        return f"{where}, {count(len(self.labels), 'box', 'boxes')}"


def _write(path: Path, canvas: np.ndarray, folder: Path) -> str:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(as_jpeg(canvas))
    return path.relative_to(folder).as_posix()
