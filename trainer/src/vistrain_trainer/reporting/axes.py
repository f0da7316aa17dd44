"""The axes of a chart: where they begin and end, with round numbers along them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from vistrain_trainer.reporting.charts import Chart
from vistrain_trainer.reporting.wording import number

_NOTHING = 1e-9
"""Share of its values that a curve has to span to be more than flat."""


@dataclass(frozen=True)
class Tick:
    """A place with its number."""

    value: float
    text: str


@dataclass(frozen=True)
class Axis:
    """A line of numbers."""

    low: float
    high: float
    ticks: tuple[Tick, ...]
    logarithmic: bool = False

    def share(self, value: float) -> float:
        """Where a value lies between the ends, 0 at the low one."""
        if self.logarithmic:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)


def x_axis(chart: Chart) -> Axis:
    """The axis below a chart; it begins and ends with the chart."""
    low, high = chart.span
    if low == high:
        low, high = low - 0.5, high + 0.5
    if chart.x_logarithmic:
        return Axis(low, high, _round_places(low, high), logarithmic=True)
    step = _round_step((high - low) / 6)
    if chart.x_label in ("epoch", "step"):
        step = max(1, step)  # there is no epoch 1.5
    return Axis(low, high, _ticks(low, high, step))


def y_axis(chart: Chart) -> Axis:
    """The axis beside a chart; it goes on to the next round numbers."""
    values = [value for line in chart.lines for value in line.y]
    low, high = min(values), max(values)
    if chart.logarithmic:
        return _logarithmic(low, high)
    low = low if chart.y_floor is None else min(low, chart.y_floor)
    high = high if chart.y_ceiling is None else max(high, chart.y_ceiling)
    if high - low <= _NOTHING * max(abs(low), abs(high)):
        margin = abs(low) * 0.1 or 1.0
        low, high = (low if low == chart.y_floor else low - margin), high + margin
    step = _round_step((high - low) / 4)
    low, high = step * math.floor(low / step + 1e-9), step * math.ceil(high / step - 1e-9)
    return Axis(low, high, _ticks(low, high, step))


def _logarithmic(low: float, high: float) -> Axis:
    first, last = math.floor(math.log10(low) + 1e-9), math.ceil(math.log10(high) - 1e-9)
    every = max(1, math.ceil((last - first) / 5))
    ticks = tuple(Tick(10.0**power, _power(power)) for power in range(first, last + 1, every))
    return Axis(10.0**first, 10.0**last, ticks, logarithmic=True)


def _round_places(low: float, high: float) -> tuple[Tick, ...]:
    """1, 2, 5 and powers of ten of them that lie between."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    places = (factor * 10.0**power for power in powers for factor in (1, 2, 5))
    return tuple(
        Tick(place, number(place))
        for place in places
        if low <= place * (1 + 1e-9) and place <= high * (1 + 1e-9)
    )


def _power(power: int) -> str:
    return number(10.0**power) if -3 <= power <= 4 else f"1e{power}"


def _round_step(wanted: float) -> float:
    """1, 2, 2.5 or 5 times a power of ten, not below what is wanted."""
    power = 10.0 ** math.floor(math.log10(wanted))
    return next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= wanted * (1 - 1e-9))


def _ticks(low: float, high: float, step: float) -> tuple[Tick, ...]:
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    places: Sequence[float] = [place * step for place in range(first, last + 1)]
    return tuple(Tick(place, _text(place, _last_place(step))) for place in places)


def _last_place(step: float) -> int:
    """The power of ten of a step's last digit: 5 of 500000, 4 of 250000, -2 of 0.25."""
    exponent = Decimal(f"{step:.2g}").normalize().as_tuple().exponent
    assert isinstance(exponent, int)
    return exponent


def _text(value: float, last: int) -> str:
    """Digits down to the step's last, so that no two ticks read alike; powers of ten where that is long."""
    if last >= -4 and abs(value) < 1e6:
        return f"{value:.{max(0, -last)}f}"
    if value == 0:
        return "0"
    decimals = max(2, math.floor(math.log10(abs(value))) - last)
    mantissa, power = f"{value:.{decimals}e}".split("e")
    return f"{mantissa.rstrip('0').rstrip('.')}e{int(power)}"
