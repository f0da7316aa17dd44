"""The charts of a run."""

from __future__ import annotations

from collections.abc import Sequence

from vistrain_trainer.reporting.charts import Band, Chart, Flag, Line, drawn, thinned
from vistrain_trainer.reporting.curves import LOSS, RATE
from vistrain_trainer.reporting.gap import VALIDATION
from vistrain_trainer.reporting.history import History
from vistrain_trainer.reporting.series import Series
from vistrain_trainer.reporting.stability import TOTAL, stretches

NO_LOSSES = ("loss/num_fg",)
"""Columns among the losses that are counts."""
_HEADLINES = ("AP", "AP50", "AP75", "AR100")
_SIZES = ("APsmall", "APmedium", "APlarge")
_GPU = {
    "gpu_memory_bytes": ("GPU memory", "GiB", 2**30),
    "gpu_temperature_celsius": ("GPU temperature", "°C", 1),
    "gpu_power_watts": ("GPU power", "W", 1),
}


def run_charts(history: History) -> tuple[Chart, ...]:
    """Loss, its parts, learning rate, metrics, time and device; without those that have nothing to show."""
    return _Charts(history).all()


class _Charts:
    """Builds charts over the epochs of one run; over its steps while the length of an epoch is unknown."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._per_epoch = history.steps_per_epoch
        self._ends = dict(history.over_epochs("step").points)
        self._flags = tuple(
            Flag(self._place(mark.step), number, mark.kind, mark.text)
            for number, mark in enumerate(history.marks, start=1)
        )
        self._bands = tuple(
            Band(one.first - 1, one.last, "part" if one.kind == "part" else "phase", one.name)
            for one in (stretches(history) if self._per_epoch else ())
            if one.kind != "run"
        )
        # Flags may lie ahead of the last row: the steps after it were lost.
        self._end = max([self._place(history.step), *(flag.x for flag in self._flags)])

    def all(self) -> tuple[Chart, ...]:
        history = self._history
        metrics = set(history.metric_names)
        classes = [name for name in history.metric_names if name.startswith("AP/")]
        parts = [name for name in self._parts() if name not in NO_LOSSES]
        rates = [name for name in history.steps if name.startswith(f"{RATE}/")] or [RATE]
        headlines = [name for name in _HEADLINES if name in metrics]
        if history.primary not in headlines and history.primary in metrics - {VALIDATION}:
            headlines.insert(0, history.primary)
        share = {"y_floor": 0.0}
        return drawn(
            [
                self._loss(),
                self._of_steps("loss-parts", "Parts of the training loss", "loss", parts),
                self._of_steps("foreground", "Foreground anchors per box", "anchors", ["loss/num_fg"]),
                self._of_steps("learning-rate", "Learning rate", "rate", rates, single=True),
                self._of_epochs("metrics", "Metrics on the validation split", "value", headlines, **share),
                self._of_epochs(
                    "metrics-by-size", "AP by size", "AP", [n for n in _SIZES if n in metrics], **share
                ),
                self._of_epochs("metrics-by-class", "AP by class", "AP", classes, **share),
                self._of_epochs(
                    "seconds-per-epoch", "Training time of an epoch", "seconds", ["seconds"], **share
                ),
                self._of_steps(
                    "images-per-second",
                    "Images per second",
                    "images/s",
                    ["images_per_second"],
                    single=True,
                    **share,
                ),
                self._of_steps(
                    "data-wait",
                    "Share of time spent waiting for data",
                    "share",
                    ["data_wait_ratio"],
                    single=True,
                    **share,
                ),
                *(self._of_gpu(name) for name in _GPU),
            ]
        )

    def _loss(self) -> Chart:
        history = self._history
        lines = []
        total, validation = history.over_epochs(TOTAL), history.over_epochs(VALIDATION)
        if TOTAL in history.steps:
            lines.append(
                self._line(history.steps[TOTAL], "training, single steps", 0, steps=True, faint=True)
            )
        if total.values:
            lines.append(self._line(total, "training, mean of the epoch", 0))
        if validation.values:
            lines.append(self._line(validation, "validation", 1))
        return self._chart("loss", "Loss", "loss", lines)

    def _parts(self) -> list[str]:
        """Addends of the loss, of whichever table has them."""
        names = [*self._history.loss_names, *self._history.steps]
        return [name for name in dict.fromkeys(names) if name.startswith(LOSS) and name != TOTAL]

    def _of_steps(
        self,
        key: str,
        title: str,
        y_label: str,
        names: Sequence[str],
        *,
        single: bool = False,
        **options: float,
    ) -> Chart:
        """Means of epochs over single steps, or with `single` the steps alone."""
        lines = []
        for slot, name in enumerate(names):
            means, steps = self._history.over_epochs(name), self._history.steps.get(name, Series(name))
            label = _label(name)
            over_epochs = bool(means.values) and not (single and steps.values)
            if steps.values and not (over_epochs and len(names) > 4):
                # with many lines, single steps would hide the means
                lines.append(self._line(steps, label, slot, steps=True, faint=over_epochs))
            if over_epochs:
                lines.append(self._line(means, label, slot))
        return self._chart(key, title, y_label, lines, **options)

    def _of_epochs(self, key: str, title: str, y_label: str, names: Sequence[str], **options: float) -> Chart:
        lines = [
            self._line(self._history.over_epochs(name), _label(name), slot) for slot, name in enumerate(names)
        ]
        return self._chart(key, title, y_label, lines, **options)

    def _of_gpu(self, name: str) -> Chart:
        title, unit, divisor = _GPU[name]
        series = self._history.steps.get(name, Series(name))
        scaled = Series(name, series.at, tuple(value / divisor for value in series.values))
        return self._chart(
            name.replace("_", "-"), title, unit, [self._line(scaled, title, 0, steps=True)], y_floor=0.0
        )

    def _chart(self, key: str, title: str, y_label: str, lines: Sequence[Line], **options: float) -> Chart:
        return Chart(
            key=key,
            title=title,
            x_label="step" if self._per_epoch is None else "epoch",
            y_label=y_label,
            lines=tuple(line for line in lines if line.x),
            flags=self._flags,
            bands=self._bands,
            x_range=(0.0, self._end),
            y_floor=options.get("y_floor"),
        )

    def _line(
        self, series: Series, label: str, slot: int, *, steps: bool = False, faint: bool = False
    ) -> Line:
        places = [self._place(at) if steps else self._epoch(at) for at in series.at]
        return Line(label, *thinned(places, series.values), slot=slot, faint=faint)

    def _place(self, step: int) -> float:
        return float(step) if self._per_epoch is None else step / self._per_epoch

    def _epoch(self, epoch: int) -> float:
        """The end of an epoch on the axis."""
        return float(epoch) if self._per_epoch is not None else self._ends.get(epoch, float(epoch))


def _label(name: str) -> str:
    """What a column is called in a legend."""
    known = {
        "images_per_second": "images/s",
        "data_wait_ratio": "waiting for data",
        "seconds": "seconds",
        RATE: "learning rate",
        "loss/num_fg": "anchors per box",
    }
    if name in known:
        return known[name]
    return name.partition("/")[2] or name
