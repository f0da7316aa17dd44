"""The few figures at the top of a report."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median

from vistrain_trainer.reporting.history import History
from vistrain_trainer.reporting.wording import count, duration, number, percent


@dataclass(frozen=True)
class Headline:
    """A figure with its name."""

    name: str
    text: str
    detail: str = ""
    """Where it is from, or what belongs to it."""


def headlines(history: History) -> Iterator[Headline]:
    """Best value, epochs, time, pace, waiting, memory, interruptions: those that are known."""
    primary = history.primary
    best = history.over_epochs(primary).best(history.mode(primary))
    if best is not None:
        yield Headline(f"best {primary}", number(best.value), f"epoch {best.at}")
    done, planned = history.trained_epochs, history.planned_epochs
    yield Headline("epochs", f"{done} of {planned}", count(history.step, "step"))
    seconds = history.training_seconds()
    if seconds is not None:
        detail = f"{duration(seconds / done)} an epoch" if done > 1 else ""
        yield Headline("training", duration(seconds), detail)
    pace, wait = (history.steps.get(name) for name in ("images_per_second", "data_wait_ratio"))
    if pace is not None and pace.values:
        yield Headline("images/s", number(median(pace.values), 3), "median")
    if wait is not None and wait.values:
        yield Headline("waiting for data", percent(median(wait.values)), "median share of time")
    memory = history.steps.get("gpu_memory_bytes")
    if memory is not None and memory.values:
        yield Headline("GPU memory", f"{number(max(memory.values) / 2**30, 3)} GiB", "peak")
    breaks = history.interruptions
    if breaks:
        lost = [one.steps_lost for one in breaks if one.steps_lost is not None]
        detail = f"{count(sum(lost), 'step')} repeated" if lost else ""
        yield Headline("interruptions", str(len(breaks)), detail)
