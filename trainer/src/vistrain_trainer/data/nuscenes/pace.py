"""At what rate the pictures of sequences come."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from vistrain_trainer.errors import BadInput

TOLERANCE = 0.05
"""Share by which a mean rate may be off the nominal one: 12 ± 0.6 and 2 ± 0.1 pictures a second."""
WRONG = 0.25
"""Share by which the mean over all sequences may be off; beyond it the stated rate is not the data's."""
GAP = 1.8
"""Nominal intervals from picture to picture above which something is missing: 150 ms at 12 a second."""
_NAMED = 3


@dataclass
class Pace:
    """The steps from picture to picture, gathered sequence by sequence."""

    fps: int
    """Nominal pictures a second."""
    seconds: float = 0.0
    steps: int = 0
    uneven: dict[str, float] = field(default_factory=dict)
    """Mean rate of the sequences that are off the nominal one, by name."""
    absent: list[str] = field(default_factory=list)
    """Sequences without a picture."""
    gaps: list[tuple[str, str, int, float]] = field(default_factory=list)
    """Split, sequence, frame from 1 that comes late, seconds since the one before."""

    def add(self, split: str, sequence: str, timestamp: np.ndarray) -> None:
        """Take up a sequence by the times of its pictures, in microseconds.

        Raises:
            BadInput: a picture is not later than the one before.
        """
        if not len(timestamp):
            self.absent.append(f"{split}/{sequence}")
        between = np.diff(timestamp) / 1e6
        if not len(between):
            return
        if (between <= 0).any():
            raise BadInput(
                field="sample_data.json",
                value=int(timestamp[int(np.argmin(between)) + 1]),
                problem=f"two pictures of {sequence} have this timestamp",
                remedy="correct or leave out one of them",
            )
        self.seconds += float(between.sum())
        self.steps += len(between)
        rate = len(between) / float(between.sum())
        if abs(rate - self.fps) > TOLERANCE * self.fps:
            self.uneven[f"{split}/{sequence}"] = rate
        self.gaps += (
            (split, sequence, int(at) + 2, float(between[at]))
            for at in np.flatnonzero(between > self.longest)
        )

    @property
    def longest(self) -> float:
        """Seconds above which a step is a gap."""
        return round(GAP / self.fps, 6)

    @property
    def interval(self) -> float | None:
        """Mean seconds between pictures; None where no sequence has two."""
        return round(self.seconds / self.steps, 6) if self.steps else None

    def require(self) -> None:
        """Refuse pictures that come at quite another rate than the nominal one.

        Raises:
            BadInput: the mean over all sequences is off.
        """
        interval = self.interval
        if interval is None or abs(1 / interval - self.fps) <= WRONG * self.fps:
            return
        raise BadInput(
            field="--fps",
            value=self.fps,
            problem=f"the pictures come {1 / interval:.2f} times a second",
            remedy="say --fps 2 where the release has keyframes only, or complete its sample_data",
        )

    def notes(self) -> Iterator[str]:
        """What a reader should know."""
        if self.absent:
            yield f"{len(self.absent)} sequences have no picture: " + _some(self.absent)
        if self.uneven:
            yield (
                f"{len(self.uneven)} sequences are off {self.fps} ± {TOLERANCE * self.fps:g} "
                "pictures a second: " + _some(f"{name} has {rate:.2f}" for name, rate in self.uneven.items())
            )
        if self.gaps:
            yield (
                f"{len(self.gaps)} of {self.steps} steps from picture to picture are over "
                f"{1000 * self.longest:.0f} ms; gaps.csv lists them"
            )

    def gap_lines(self) -> bytes:
        """gaps.csv: the frames that come late."""
        lines = [
            "split,sequence,frame,seconds",
            *(f"{s},{name},{at},{gap:.6f}" for s, name, at, gap in self.gaps),
        ]
        return ("\n".join(lines) + "\n").encode()


def _some(texts: Iterable[str]) -> str:
    every = list(texts)
    rest = [f"and {len(every) - _NAMED} more"] if len(every) > _NAMED else []
    return ", ".join(every[:_NAMED] + rest)
