"""Histograms of boxes: size, shape, distance, visibility."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import numpy as np

from vistrain_trainer.checking.content import Content, Split
from vistrain_trainer.reporting.charts import Chart, Line

_PER_DECADE = 10
_METRES = 5
_BINS_OF_VISIBILITY = (0.0, 0.4, 0.6, 0.8, 1.0)


@dataclass(frozen=True)
class Histogram:
    """Boxes by a quantity."""

    key: str
    title: str
    label: str
    """The quantity with its unit."""
    edges: tuple[float, ...]
    """Ends of the bins, one more than these; a value at an end belongs to the bin that begins there."""
    counts: Mapping[str, tuple[int, ...]]
    """Boxes in each bin, by split."""
    logarithmic: bool = False

    def chart(self) -> Chart:
        """Shares of each split's boxes, as outlines."""
        places = tuple(edge for low, high in pairwise(self.edges) for edge in (low, high))
        lines = []
        for slot, (name, counts) in enumerate(self.counts.items()):
            total = sum(counts)
            if total:
                shares = tuple(100 * count / total for count in counts for _ in "12")
                lines.append(Line(name, places, shares, slot, stepped=True))
        return Chart(
            key=self.key,
            title=self.title,
            x_label=self.label,
            y_label="boxes of the split (%)",
            lines=tuple(lines),
            x_range=(self.edges[0], self.edges[-1]),
            y_floor=0.0,
            x_logarithmic=self.logarithmic,
        )


def histograms(content: Content) -> Iterator[Histogram]:
    """Those whose quantity is known of some box."""
    sizes = (("width", "Width of boxes", "width (px)", 2), ("height", "Height of boxes", "height (px)", 3))
    for key, title, label, column in sizes:
        values = _of(content, partial(_side, column=column))
        top = max((float(found.max()) for found in values.values() if len(found)), default=0.0)
        yield from _made(key, title, label, values, _decades(1.0, max(10.0, top)), logarithmic=True)
    aspect = _of(content, lambda split: split.boxes.box[:, 2] / np.maximum(split.boxes.box[:, 3], 1e-9))
    yield from _made(
        "aspect", "Shape of boxes", "width / height", aspect, _decades(0.05, 20), logarithmic=True
    )
    distance = _of(content, lambda split: split.boxes.distance)
    far = max((float(found.max()) for found in distance.values() if len(found)), default=0.0)
    edges = tuple(float(edge) for edge in range(0, _METRES * (int(far // _METRES) + 2), _METRES))
    yield from _made("distance", "Distance of boxes", "distance (m)", distance, edges)
    seen = _of(content, lambda split: split.boxes.visibility)
    yield from _made("visibility", "Visibility of boxes", "visibility", seen, _BINS_OF_VISIBILITY)


def _side(split: Split, column: int) -> np.ndarray:
    return split.boxes.box[:, column]


def _of(content: Content, quantity: Callable[[Split], np.ndarray]) -> dict[str, np.ndarray]:
    """The known values of each split."""
    values = {name: np.asarray(quantity(split), np.float64) for name, split in content.splits.items()}
    return {name: found[np.isfinite(found)] for name, found in values.items()}


def _made(
    key: str,
    title: str,
    label: str,
    values: Mapping[str, np.ndarray],
    edges: tuple[float, ...],
    *,
    logarithmic: bool = False,
) -> Iterator[Histogram]:
    if not any(len(found) for found in values.values()):
        return
    counts = {}
    for name, found in values.items():
        places = np.searchsorted(edges, found, side="right") - 1
        inside = np.clip(places, 0, len(edges) - 2)  # what lies beyond counts in the last bin
        counts[name] = tuple(np.bincount(inside, minlength=len(edges) - 1).tolist())
    yield Histogram(key, title, label, edges, counts, logarithmic)


def _decades(low: float, high: float) -> tuple[float, ...]:
    first, last = (np.log10(end) * _PER_DECADE for end in (low, high))
    powers = np.arange(np.floor(first + 1e-9), np.ceil(last - 1e-9) + 1) / _PER_DECADE
    return tuple(float(f"{10**power:.6g}") for power in powers)
