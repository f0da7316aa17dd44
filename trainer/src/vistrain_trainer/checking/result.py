"""What a check found."""

from __future__ import annotations

from dataclasses import dataclass

from vistrain_trainer.checking.choice import Choice
from vistrain_trainer.checking.content import Content
from vistrain_trainer.checking.figure import Figure
from vistrain_trainer.checking.histograms import Histogram


@dataclass(frozen=True)
class Shown:
    """A sample with its boxes."""

    file: str
    """Of the picture that is looked at, relative to the check's folder."""
    singles: tuple[str, ...]
    """Of each frame by itself; of a sample of one frame the same file."""
    split: str
    sequence: str
    caption: str
    boxes: int
    missing: int
    """Frames whose picture is not there."""


@dataclass(frozen=True)
class Checked:
    """A data set, its figures, and what is shown of it."""

    content: Content
    figures: tuple[Figure, ...]
    histograms: tuple[Histogram, ...]
    choice: Choice
    shown: tuple[Shown, ...] = ()
    together: str = ""
    """File with all samples on one page; empty where there is none."""

    @property
    def outside(self) -> tuple[Figure, ...]:
        """The figures that are outside their bounds."""
        return tuple(figure for figure in self.figures if figure.outside)

    @property
    def judged(self) -> int:
        """How many figures have a bound."""
        return sum(figure.verdict != "no bound" for figure in self.figures)

    def figure(self, name: str) -> Figure | None:
        """The figure of a name, where the data set has it."""
        return next((figure for figure in self.figures if figure.kind.name == name), None)
