"""Whether a tracker may be used on data of some frame interval and order of classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vistrain_trainer.data.manifest import DatasetManifest
from vistrain_trainer.errors import BadInput

TOLERANCE = 0.05
"""Share by which two intervals may differ: what the mean rate of real sequences varies by."""


@dataclass(frozen=True)
class Motion:
    """What motion was learned from, or is asked to be predicted in."""

    source: str
    """A file or run, for messages."""
    classes: tuple[str, ...] | None
    """In order; None where it is not known."""
    frame_interval: float | None
    """Mean seconds between frames; None where it is not known."""

    @classmethod
    def of_manifest(cls, manifest: DatasetManifest, source: str) -> Motion:
        """Of a prepared data set."""
        return cls(source, manifest.classes, manifest.frame_interval)


def require_same_motion(learned: Motion, data: Motion, field: str) -> None:
    """Refuse data of other motion than a run goes on from, starts from, or tracks with.

    Args:
        learned: of the checkpoint.
        data: of the data set.
        field: of the manifest that names the data, for messages.

    Raises:
        BadInput: intervals or classes differ, or are not known.
    """
    if learned.classes is None or data.classes is None or learned.classes != data.classes:
        raise BadInput(
            field=field,
            value=_classes(data.classes),
            problem=f"{data.source} has other classes, or in another order, than {learned.source}, which has "
            f"{_classes(learned.classes)}",
            remedy="Prepare the data with the classes in that order, or train from published weights",
        )
    _require_same_interval(learned, data, field)


def notes_on_published(weights: Motion, data: Motion, field: str) -> list[str]:
    """What is to be said when a run starts from published weights, whose interval is often not known.

    Raises:
        BadInput: it is known, and another.
    """
    if weights.frame_interval is None:
        return [
            f"{weights.source} does not say for which frame interval it was trained; the data have "
            f"{_interval(data.frame_interval)}, and what differs is to be learned"
        ]
    _require_same_interval(weights, data, field)
    return []


def mean_interval(intervals: Sequence[float], frames: Sequence[int]) -> float | None:
    """Mean seconds between frames over several sequences; None where none has two frames.

    Args:
        intervals: mean of each sequence.
        frames: number of each.
    """
    gaps = [max(0, number - 1) for number in frames]
    total = sum(interval * number for interval, number in zip(intervals, gaps, strict=True))
    return total / sum(gaps) if sum(gaps) else None


def _require_same_interval(learned: Motion, data: Motion, field: str) -> None:
    known, given = learned.frame_interval, data.frame_interval
    if known is not None and given is not None and abs(given - known) <= TOLERANCE * known:
        return
    raise BadInput(
        field=field,
        value=_interval(given),
        problem=f"{learned.source} knows how things move in {_interval(known)}, and {data.source} has "
        f"{_interval(given)}: more than {TOLERANCE:.0%} apart"
        if known is not None and given is not None
        else f"the frame interval of {data.source if given is None else learned.source} is not known",
        remedy="Prepare the data at the same rate (`vistrain prepare nuscenes --fps`), or train from "
        "published weights",
    )


def _interval(seconds: float | None) -> str:
    return "an unknown frame interval" if seconds is None else f"{1000 * seconds:.1f} ms between frames"


def _classes(classes: tuple[str, ...] | None) -> str:
    return "unknown ones" if classes is None else f"[{', '.join(classes)}]"
