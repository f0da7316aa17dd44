"""A chart laid out for the page: places as shares of its area, lines as paths.

The area is an SVG that stretches with the page; text beside it is HTML, so that it keeps its size on a phone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from vistrain_trainer.reporting.axes import Axis, x_axis, y_axis
from vistrain_trainer.reporting.charts import INK, SLOTS, Band, Chart, Flag, Line

SIDE = 1000
"""Length of both sides of the SVG's own square."""
_NEAR = 0.06
"""Flags that are nearer to each other, as a share of the width, are shown as one."""
_NAMED = 8
"""Per cent of the width that a band has to have for its name."""
_DOTS = 40
"""Lines of at most so many points show each of them."""


@dataclass(frozen=True)
class PlacedTick:
    """A number along an axis."""

    percent: float
    text: str


@dataclass(frozen=True)
class PlacedFlag:
    """A vertical line, with the numbers of the flags it stands for."""

    percent: float
    numbers: str
    kind: str
    text: str


@dataclass(frozen=True)
class PlacedBand:
    """A stretch along the upper edge."""

    left: float
    width: float
    text: str
    """Empty where there is no room for it."""
    title: str


@dataclass(frozen=True)
class PlacedLine:
    """A line as the path of an SVG."""

    label: str
    path: str
    dots: str
    """A path of single points; empty where there are too many."""
    color: int
    """From 1; 0 for ink."""
    dashed: bool
    faint: bool


@dataclass(frozen=True)
class Plot:
    """A chart, ready for a template."""

    chart: Chart
    x_ticks: tuple[PlacedTick, ...]
    y_ticks: tuple[PlacedTick, ...]
    lines: tuple[PlacedLine, ...]
    legend: tuple[PlacedLine, ...]
    flags: tuple[PlacedFlag, ...]
    bands: tuple[tuple[PlacedBand, ...], ...]
    """Rows of bands, phases above parts."""
    logarithmic: bool
    readings: dict[str, Any]
    """What the page's script shows under the pointer."""


def lay_out(chart: Chart) -> Plot:
    """Place everything in a chart that has a line with a point."""
    across, up = x_axis(chart), y_axis(chart)
    lines = tuple(_line(line, across, up) for line in chart.lines)
    named = {line.label: line for line in lines}  # of a faint line and its mean, the mean comes later
    kinds = ("phase", "part")
    rows = (tuple(_band(band, across) for band in chart.bands if band.kind == kind) for kind in kinds)
    return Plot(
        chart=chart,
        x_ticks=tuple(PlacedTick(_percent(across, tick.value), tick.text) for tick in across.ticks),
        y_ticks=tuple(PlacedTick(_percent(up, tick.value), tick.text) for tick in up.ticks),
        lines=lines,
        legend=tuple(named.values()),
        flags=_flags(chart.flags, across),
        bands=tuple(row for row in rows if row),
        logarithmic=up.logarithmic,
        readings={
            "x": [across.low, across.high],
            **({"logarithmic": True} if across.logarithmic else {}),
            "name": chart.x_label,
            "lines": [
                {
                    "label": line.label,
                    "color": _color(line),
                    **({"stepped": True} if line.stepped else {}),
                    "x": [_short(value) for value in line.x],
                    "y": [_short(value) for value in line.y],
                }
                for line in chart.lines
            ],
        },
    )


def _line(line: Line, across: Axis, up: Axis) -> PlacedLine:
    points = [
        (round(SIDE * across.share(x)), round(SIDE * (1 - up.share(y)), 1))
        for x, y in zip(line.x, line.y, strict=True)
    ]
    return PlacedLine(
        label=line.label,
        path="M" + "L".join(f"{x} {y:g}" for x, y in points),
        # a line of no length with round ends is a point that stays round however the area is stretched
        dots="".join(f"M{x} {y:g}h0" for x, y in points)
        if len(points) <= _DOTS and not line.faint and not line.stepped
        else "",
        color=_color(line),
        dashed=line.slot >= SLOTS,
        faint=line.faint,
    )


def _color(line: Line) -> int:
    return 0 if line.slot == INK else line.slot % SLOTS + 1


def _flags(flags: Sequence[Flag], across: Axis) -> tuple[PlacedFlag, ...]:
    groups: list[list[Flag]] = []
    for flag in sorted(flags, key=lambda flag: (flag.x, flag.number)):
        if groups and across.share(flag.x) - across.share(groups[-1][0].x) < _NEAR:
            groups[-1].append(flag)
        else:
            groups.append([flag])
    return tuple(
        PlacedFlag(
            percent=_percent(across, group[0].x),
            numbers=_numbers([flag.number for flag in group]),
            kind=min(group, key=lambda flag: flag.kind != "best").kind.replace(" ", "-"),
            text="; ".join(flag.text for flag in group),
        )
        for group in groups
    )


def _numbers(numbers: Sequence[int]) -> str:
    """`3`, `3,5`, `3–6`."""
    ordered = sorted(numbers)
    if len(ordered) > 2 or (len(ordered) == 2 and ordered[1] == ordered[0] + 1):
        return f"{ordered[0]}–{ordered[-1]}"
    return ",".join(map(str, ordered))


def _band(band: Band, across: Axis) -> PlacedBand:
    left, right = _percent(across, band.first), _percent(across, band.last)
    width = round(right - left, 3)
    return PlacedBand(left, width, band.text if width > _NAMED else "", band.text)


def _percent(axis: Axis, value: float) -> float:
    return round(100 * axis.share(value), 3)


def _short(value: float) -> float:
    """Six significant digits: what a tooltip shows, and a page a third as long."""
    return float(f"{value:.6g}")
