"""Charts as files for papers: PNG with 300 dots per inch, and SVG."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Literal

from vistrain_trainer.reporting.axes import x_axis, y_axis
from vistrain_trainer.reporting.charts import INK, SLOTS, Chart

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DPI = 300
COLORS = ("#1f5fbf", "#c9541c", "#0f7f60", "#a83276", "#806300", "#6246b8", "#08808f", "#704728")
"""Of the slots; the page's light colours."""
_KINDS = {
    "best": ("#0f7f60", "-"),
    "stop": ("#b3261e", "--"),
    "resume": ("#b3261e", ":"),
    "roll-back": ("#b3261e", "-."),
    "micro-batch": ("#6246b8", "-."),
}
"""Colour and style of flags; others are grey and dotted."""
_WORDS = {
    "best": "best",
    "stop": "interrupted",
    "resume": "resumed",
    "roll-back": "rolled back",
    "micro-batch": "micro-batch shrunk",
    "early stop": "stopped early",
}
_SIZE = (6.4, 3.8)
"""Inches."""

Form = Literal["png", "svg"]
FORMS: tuple[Form, ...] = ("png", "svg")


def draw(charts: Sequence[Chart], forms: Sequence[Form] = FORMS) -> Iterator[tuple[str, bytes]]:
    """File name and content of every chart in every form; equal charts give equal bytes."""
    with _settings():
        for chart in charts:
            yield from _saved(chart.key, _figure(chart), forms)


def draw_matrix(
    key: str,
    title: str,
    labels: Sequence[str],
    counts: Sequence[Sequence[int]],
    forms: Sequence[Form] = FORMS,
) -> Iterator[tuple[str, bytes]]:
    """A confusion matrix likewise: a row for what is there, shaded by shares of it."""
    with _settings():
        yield from _saved(key, _matrix(title, labels, counts), forms)


def _settings() -> AbstractContextManager[None]:
    import matplotlib as mpl

    # The bundled font; names of lines and axes are text, not outlines; no salt of this process in the file.
    settings: Any = {
        "font.family": "DejaVu Sans",
        "font.size": 9,
        "text.parse_math": False,
        "svg.fonttype": "none",
        "svg.hashsalt": "vistrain",
    }
    return mpl.rc_context(settings)


def _saved(key: str, figure: Figure, forms: Sequence[Form]) -> Iterator[tuple[str, bytes]]:
    for form in forms:
        content = io.BytesIO()
        metadata = {"Software": None} if form == "png" else {"Date": None, "Creator": None}
        figure.savefig(content, format=form, dpi=DPI, metadata=metadata)
        figure.set_layout_engine("none")  # what is laid out once is in its place
        yield f"{key}.{form}", content.getvalue()


def _matrix(title: str, labels: Sequence[str], counts: Sequence[Sequence[int]]) -> Figure:
    from matplotlib.figure import Figure

    side = max(3.0, 1.2 + 0.55 * len(labels))
    figure = Figure(figsize=(side, side), dpi=DPI, layout="constrained")
    axes = figure.subplots()
    shares = [[count / max(1, sum(row)) for count in row] for row in counts]
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for row, values in enumerate(counts):
        for column, count in enumerate(values):
            color = "white" if shares[row][column] > 0.55 else "#17202c"
            axes.text(column, row, str(count), ha="center", va="center", fontsize=7.5, color=color)
    places = range(len(labels))
    axes.set_xticks(places, labels, rotation=45, ha="right", fontsize=7.5)
    axes.set_yticks(places, labels, fontsize=7.5)
    axes.set_xlabel("detected")
    axes.set_ylabel("there")
    axes.set_title(title, loc="left", fontsize=9)
    for spine in axes.spines.values():
        spine.set_visible(False)
    return figure


def _figure(chart: Chart) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=_SIZE, dpi=DPI, layout="constrained")
    axes = figure.subplots()
    for line in chart.lines:
        few = len(line.x) <= 40 and not line.faint and not line.stepped
        axes.plot(
            line.x,
            line.y,
            color="#17202c" if line.slot == INK else COLORS[line.slot % SLOTS],
            linestyle="--" if line.slot >= SLOTS else "-",
            linewidth=0.7 if line.faint else 1.5,
            alpha=0.4 if line.faint else 1.0,
            marker="o" if few else None,
            markersize=3,
            label=line.label,
        )
    axes.set_title(chart.title, loc="left", fontsize=10, pad=16 if chart.bands else 6)
    axes.set_xlabel(chart.x_label)
    axes.set_ylabel(chart.y_label)
    axes.grid(visible=True, color="#d9dde3", linewidth=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    _scale(axes, chart)
    _flags(axes, chart)
    _bands(axes, chart)
    _legend(figure, axes, chart)
    return figure


def _scale(axes: Axes, chart: Chart) -> None:
    low, high = chart.span
    if low == high:
        low, high = low - 0.5, high + 0.5
    if chart.x_logarithmic:
        across = x_axis(chart)
        axes.set_xscale("log")
        axes.minorticks_off()
        axes.set_xticks([tick.value for tick in across.ticks], [tick.text for tick in across.ticks])
    axes.set_xlim(low, high)
    up = y_axis(chart)
    if up.logarithmic:
        axes.set_yscale("log")
        axes.minorticks_off()
    axes.set_yticks([tick.value for tick in up.ticks], [tick.text for tick in up.ticks])
    axes.set_ylim(up.low, up.high)


def _flags(axes: Axes, chart: Chart) -> None:
    """Vertical lines, one entry of the legend for each kind; the bands name phases and parts."""
    told: set[str] = set()
    for flag in chart.flags:
        color, style = _KINDS.get(flag.kind, ("#5b6675", ":"))
        words = _WORDS.get(flag.kind, "")
        if flag.kind == "best":
            words = flag.text
        label = words if words and words not in told else "_nolegend_"
        told.add(words)
        axes.axvline(flag.x, color=color, linewidth=0.9, linestyle=style, label=label, zorder=1.5)


def _bands(axes: Axes, chart: Chart) -> None:
    kind = "phase" if any(band.kind == "phase" for band in chart.bands) else "part"
    low, high = axes.get_xlim()
    for place, band in enumerate(band for band in chart.bands if band.kind == kind):
        if place % 2:
            axes.axvspan(band.first, band.last, color="#eef1f5", zorder=0, linewidth=0)
        if (band.last - band.first) / (high - low) > 0.09:
            axes.annotate(
                band.text,
                ((band.first + band.last) / 2, 1),
                xycoords=("data", "axes fraction"),
                xytext=(0, 4),
                textcoords="offset points",
                ha="center",
                fontsize=7,
                color="#3d4653",
            )


def _legend(figure: Figure, axes: Axes, chart: Chart) -> None:
    handles, labels = axes.get_legend_handles_labels()
    named = dict(zip(labels, handles, strict=True))
    if len(named) > 1 or (named and chart.lines[-1].label != chart.y_label):
        figure.legend(
            named.values(),
            named.keys(),
            loc="outside lower center",
            ncols=min(4, len(named)),
            fontsize=7.5,
            frameon=False,
        )
