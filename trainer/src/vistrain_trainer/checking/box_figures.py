"""Figures of the boxes: where they lie in their pictures, how large they are, how many."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from vistrain_trainer.checking import catalogue
from vistrain_trainer.checking.content import Content, Split
from vistrain_trainer.checking.figure import NAMED, Figure, Kind

ROUNDING = 0.02
"""Pixels that a box may be off because its file has few digits."""
BORDER = 0.5
"""Pixels from the border within which a box touches it."""

Tally = tuple[float, tuple[str, ...]]
"""A value, with places to look it up."""


def box_figures(content: Content) -> Iterator[Figure]:
    """All of them, without bounds."""
    tallies = {name: dict(_tallies(split, content.classes)) for name, split in content.splits.items()}
    for kind in next(iter(tallies.values())):
        yield Figure(
            kind,
            {name: of[kind][0] for name, of in tallies.items()},
            places={name: of[kind][1] for name, of in tallies.items() if of[kind][1]},
        )


def _tallies(split: Split, classes: Sequence[str]) -> Iterator[tuple[Kind, Tally]]:
    boxes, total = split.boxes, max(1, len(split.boxes))
    left_top, extent = boxes.box[:, :2], boxes.box[:, 2:]
    size = split.frames.size[boxes.frame]
    right_bottom = left_top + extent
    least = extent.min(axis=1, initial=np.inf)
    thin = (least > 0) & (least < 1 - ROUNDING)
    outside = _beyond(-left_top, right_bottom - size, ROUNDING)
    border = _beyond(-left_top, right_bottom - size, -BORDER)
    yield catalogue.EMPTY_BOXES, _count(split, least <= 0)
    yield catalogue.THIN_BOXES, _count(split, thin)
    yield catalogue.BOXES_OUTSIDE, _count(split, outside)
    yield catalogue.DUPLICATE_BOXES, _count(split, duplicates(split))
    yield catalogue.BORDER_SHARE, (float(border.sum()) / total, ())
    bare = np.setdiff1d(np.arange(len(split.frames)), boxes.frame)
    share = len(bare) / max(1, len(split.frames))
    yield catalogue.EMPTY_PICTURES, (share, tuple(map(split.where, bare[:NAMED].tolist())))
    yield catalogue.BOXES_PER_PICTURE, (len(boxes) / max(1, len(split.frames)), ())
    absent = np.setdiff1d(np.arange(len(classes)), boxes.label).tolist()
    yield catalogue.ABSENT_CLASSES, (float(len(absent)), tuple(classes[at] for at in absent))


def _beyond(before: np.ndarray, after: np.ndarray, pixels: float) -> np.ndarray:
    """(n,) bool: whether boxes end beyond so many pixels outside any side of their picture."""
    return np.asarray((np.maximum(before, after) > pixels).any(axis=1))


def duplicates(split: Split) -> np.ndarray:
    """(n,) bool: whether a box has the picture, class and corners of one that came before."""
    boxes = split.boxes
    rows = np.column_stack([boxes.frame, boxes.label, boxes.box + 0.0])  # + 0.0: -0.0 is 0.0
    words = np.ascontiguousarray(rows).view(np.uint64)
    factors = np.random.default_rng(0).integers(1, 2**63, words.shape[1], np.uint64) | np.uint64(1)
    with np.errstate(over="ignore"):
        keys = ((words ^ (words >> np.uint64(29))) * factors).sum(axis=1, dtype=np.uint64)
    order = np.argsort(keys, kind="stable")
    # equal rows have equal keys, so they stand together, in their own order
    repeats = (rows[order[1:]] == rows[order[:-1]]).all(axis=1)
    found = np.zeros(len(boxes), bool)
    found[order[1:][repeats]] = True
    return found


def _count(split: Split, chosen: np.ndarray) -> Tally:
    rows = np.flatnonzero(chosen)
    return float(len(rows)), tuple(_place(split, row) for row in rows[:NAMED].tolist())


def _place(split: Split, row: int) -> str:
    box = ", ".join(f"{value:.10g}" for value in split.boxes.box[row])
    track = int(split.boxes.track[row])
    return f"{split.where(int(split.boxes.frame[row]))}: [{box}]" + (f", track {track}" if track >= 0 else "")
