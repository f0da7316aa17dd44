"""Figures of sequences: keyframes, rates, gaps in time, tracks."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from vistrain_trainer.checking import catalogue
from vistrain_trainer.checking.bounds import Bound
from vistrain_trainer.checking.content import UNKNOWN, Content, Split
from vistrain_trainer.checking.figure import NAMED, Figure

RATE_TOLERANCE = 0.05
"""Share of the nominal rate that the mean rate of a sequence may be off: 0.6 of 12 a second."""
GAP = 1.8
"""Nominal steps above which a step is a gap: 150 ms at 12 frames a second."""
FRAMES_OF_A_KEYFRAME = 6
"""Frames from keyframe to keyframe, nominal: 12 and 2 a second."""
KEY_TOLERANCE = 0.02
STEPS = round(1 / RATE_TOLERANCE)
"""Steps that a sequence has to have for its rate to be told: of fewer, a single one could decide."""


def motion_figures(content: Content) -> Iterator[Figure]:
    """All of them, with the bounds that the nominal rate gives; none where frames have no times."""
    if any((split.frames.timestamp == UNKNOWN).any() for split in content.splits.values()):
        return
    steps = {name: _Steps(split) for name, split in content.splits.items()}
    yield from _key_figures(content)
    yield from _rate_figures(content, steps)
    yield from _gap_figures(content, steps)
    yield _jumps(content)


class _Steps:
    """Steps from frame to frame within a split's sequences, by sequence and time."""

    def __init__(self, split: Split) -> None:
        frames = split.frames
        order = np.lexsort((frames.timestamp, frames.sequence))
        within = np.diff(frames.sequence[order]) == 0
        self.to = order[1:][within]
        """(n,) row of the frame that a step leads to."""
        self.seconds = np.diff(frames.timestamp[order])[within] / 1e6
        sequence = frames.sequence[self.to]
        count = np.bincount(sequence, minlength=len(split.sequences))
        lasted = np.bincount(sequence, self.seconds, minlength=len(split.sequences))
        self.sequence = np.flatnonzero((count >= STEPS) & (lasted > 0))
        """(k,) sequences that are long enough to have a rate."""
        self.rate = count[self.sequence] / lasted[self.sequence]
        """(k,) mean frames per second."""
        self.mean_rate = float(count[self.sequence].sum() / (lasted[self.sequence].sum() or np.inf))
        """Frames per second over all of them; 0 where there is none."""


def _key_figures(content: Content) -> Iterator[Figure]:
    if any((split.frames.keyframe == UNKNOWN).any() for split in content.splits.values()):
        return
    share = {name: float((split.frames.keyframe == 1).mean()) for name, split in content.splits.items()}
    bound = _key_bound(content)
    yield Figure(catalogue.KEY_SHARE, share, bound)
    other = None if bound is None or bound.min is None or bound.max is None else _rest(bound.min, bound.max)
    yield Figure(catalogue.INTERPOLATED_SHARE, {name: 1 - value for name, value in share.items()}, other)


def _key_bound(content: Content) -> Bound | None:
    """About one in six, but for the ends: a sequence of k keyframes has 6 k - 5 frames."""
    manifest = content.manifest
    if manifest.fps is None:
        return None
    if not manifest.sweeps:
        return Bound(min=1.0, max=1.0)
    keys = sum(int((split.frames.keyframe == 1).sum()) for split in content.splits.values())
    ends = sum(len(split.sequences) for split in content.splits.values())
    if keys == 0:
        return Bound(
            min=1 / FRAMES_OF_A_KEYFRAME - KEY_TOLERANCE, max=1 / FRAMES_OF_A_KEYFRAME + KEY_TOLERANCE
        )
    frames = FRAMES_OF_A_KEYFRAME * keys - (FRAMES_OF_A_KEYFRAME - 1) * min(ends, keys)
    return Bound(
        min=round(1 / FRAMES_OF_A_KEYFRAME - KEY_TOLERANCE, 3), max=round(keys / frames + KEY_TOLERANCE, 3)
    )


def _rest(low: float, high: float) -> Bound:
    return Bound(min=round(1 - high, 3), max=round(1 - low, 3))


def _rate_figures(content: Content, steps: dict[str, _Steps]) -> Iterator[Figure]:
    fps = content.manifest.fps
    known = {name: one for name, one in steps.items() if len(one.sequence)}
    if not known:
        return
    bound = None if fps is None else Bound(min=fps * (1 - RATE_TOLERANCE), max=fps * (1 + RATE_TOLERANCE))
    yield Figure(catalogue.FRAME_RATE, {name: one.mean_rate for name, one in known.items()}, bound)
    for kind, sign in ((catalogue.SLOWEST_RATE, 1), (catalogue.FASTEST_RATE, -1)):
        values, places = {}, {}
        for name, one in known.items():
            order = np.argsort(sign * one.rate, kind="stable")
            values[name] = float(one.rate[order[0]])
            beyond = [
                at for at in order.tolist() if fps and sign * (one.rate[at] - fps) < -RATE_TOLERANCE * fps
            ]
            sequences = content.splits[name].sequences
            places[name] = tuple(
                f"{sequences[one.sequence[at]].name}: {one.rate[at]:.2f} Hz" for at in beyond[:NAMED]
            )
        yield Figure(kind, values, bound, {name: found for name, found in places.items() if found})


def _gap_figures(content: Content, steps: dict[str, _Steps]) -> Iterator[Figure]:
    fps = content.manifest.fps
    longest = {name: float(one.seconds.max()) for name, one in steps.items() if len(one.seconds)}
    if fps is not None:
        values, places = {}, {}
        for name, one in steps.items():
            split = content.splits[name]
            wide = np.flatnonzero(one.seconds > round(GAP / fps, 6))
            values[name] = float(len(wide))
            order = wide[np.argsort(-one.seconds[wide], kind="stable")][:NAMED]
            places[name] = tuple(
                f"{split.where(int(one.to[at]))}: {1000 * one.seconds[at]:.1f} ms after the frame before"
                for at in order.tolist()
            )
        yield Figure(catalogue.GAPS, values, places={name: found for name, found in places.items() if found})
    yield Figure(catalogue.LONGEST_GAP, longest)


def _jumps(content: Content) -> Figure:
    """Boxes of a track that do not meet in consecutive frames, as when ids change hands."""
    values = {name: _jump_share(split) for name, split in content.splits.items()}
    return Figure(catalogue.JUMPS, {name: value for name, value in values.items() if value is not None})


def _jump_share(split: Split) -> float | None:
    boxes = split.boxes
    sequence = split.frames.sequence[boxes.frame]
    order = np.lexsort((boxes.frame, boxes.track, sequence))
    same = (np.diff(sequence[order]) == 0) & (np.diff(boxes.track[order]) == 0)
    follow = same & (np.diff(boxes.frame[order]) == 1) & (boxes.track[order[1:]] != UNKNOWN)
    before, after = boxes.box[order[:-1][follow]], boxes.box[order[1:][follow]]
    if not len(before):
        return None
    low = np.maximum(before[:, :2], after[:, :2])
    high = np.minimum(before[:, :2] + before[:, 2:], after[:, :2] + after[:, 2:])
    return float((high <= low).any(axis=1).mean())
