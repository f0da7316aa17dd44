"""When the sensors of a release fire: samples at 2 Hz, cameras at 12 Hz, LiDAR at 20 Hz, radars at 13 Hz.

The LiDAR turns twenty times a second. A camera fires when the beam passes it, at three turns of five, so
that its pictures are 50 or 100 ms apart; every sample is a turn at which all cameras fire. Samples are mostly
ten turns apart, some fewer or more.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vistrain_trainer.data.world.exact import uniform

TURN = 50_000
"""Microseconds of one turn of the LiDAR."""
RADAR_PERIOD = 76_923
"""Microseconds between scans of a radar."""
OFFSETS = {
    "CAM_FRONT_LEFT": -43_100,
    "CAM_FRONT": -35_500,
    "CAM_FRONT_RIGHT": -27_600,
    "CAM_BACK_RIGHT": -20_100,
    "CAM_BACK": -10_400,
    "CAM_BACK_LEFT": -500,
}
"""Microseconds by which a camera fires later than the time that its turn of the LiDAR bears."""
RADARS = (
    "RADAR_FRONT",
    "RADAR_FRONT_LEFT",
    "RADAR_FRONT_RIGHT",
    "RADAR_BACK_LEFT",
    "RADAR_BACK_RIGHT",
)
LIDAR = "LIDAR_TOP"

# Turns to the next sample, the pictures of a camera in that time, and how often it is so.
_STEPS = ((10, 6, 0.78), (9, 6, 0.05), (9, 5, 0.05), (8, 5, 0.05), (7, 4, 0.02), (11, 6, 0.05))
_TAIL = (5, 3)
"""Turns after the last sample, and the pictures of a camera in that time."""


@dataclass(frozen=True)
class Turns:
    """The turns of the LiDAR in a scene."""

    timestamp: np.ndarray
    """(n,) int64, microseconds since 1970."""
    step: np.ndarray
    """(m,) turns from each moment that may be a sample to the next, or to the end of the scene."""
    pictures: np.ndarray
    """(m,) pictures of a camera in each of these steps."""
    sample: np.ndarray
    """(m,) bool: whether there is a sample at each of these moments; the first and the last always are."""

    @property
    def moments(self) -> np.ndarray:
        """(m,) turns that may be samples."""
        return np.asarray(np.cumsum(self.step) - self.step)

    @property
    def sample_times(self) -> np.ndarray:
        """(k,) timestamps of the samples: the LiDAR's."""
        return np.asarray(self.timestamp[self.moments[self.sample]])


@dataclass(frozen=True)
class Firings:
    """What one sensor takes in a scene, by time."""

    channel: str
    timestamp: np.ndarray
    """(n,) int64."""
    sample: np.ndarray
    """(n,) row of the sample that each belongs to: its own, the next one, or after the last the last."""
    keyframe: np.ndarray
    """(n,) bool."""


def make_turns(random: np.random.Generator, start: int, samples: int, dropped: float) -> Turns:
    """The turns of a scene.

    Args:
        start: microseconds since 1970 of the first sample.
        samples: moments that may be samples.
        dropped: share of these, the first and the last apart, that are none; never two in a row.
    """
    draws = np.searchsorted(np.cumsum([share for *_, share in _STEPS]), random.random(samples - 1))
    drawn = [_STEPS[row][:2] for row in draws.clip(max=len(_STEPS) - 1)]
    step, pictures = np.array([*drawn, _TAIL]).T
    sample = np.ones(samples, bool)
    for row in np.flatnonzero(random.random(samples) < dropped):
        if 0 < row < samples - 1 and sample[row - 1]:
            sample[row] = False
    turns = np.arange(int(step.sum()) + 1)
    jitter = uniform(random, -300, 300, len(turns)).astype(np.int64)
    jitter[0] = 0
    return Turns(start + TURN * turns + jitter, step, pictures, sample)


def firings(random: np.random.Generator, turns: Turns, channel: str, dropped: float) -> Firings:
    """What a channel takes.

    Args:
        dropped: share of the sweeps, which are all that is no keyframe, that are lost.
    """
    if channel in OFFSETS:
        timestamp, keys = _camera(random, turns, channel)
    elif channel == LIDAR:
        timestamp, keys = turns.timestamp, turns.moments[turns.sample]
    else:
        timestamp, keys = _radar(random, turns)
    keyframe = np.zeros(len(timestamp), bool)
    keyframe[keys] = True
    sample = np.searchsorted(keys, np.arange(len(timestamp))).clip(max=len(keys) - 1)
    kept = keyframe | (random.random(len(timestamp)) >= dropped)
    return Firings(channel, timestamp[kept], sample[kept], keyframe[kept])


def _camera(random: np.random.Generator, turns: Turns, channel: str) -> tuple[np.ndarray, np.ndarray]:
    first = np.cumsum(turns.pictures) - turns.pictures
    at = np.arange(int(turns.pictures.sum()))
    step = np.repeat(np.arange(len(first)), turns.pictures)
    within = at - first[step]
    # Cameras take their pictures at different turns between the samples, at all of which each takes one.
    lead = (random.random(len(first)) * turns.pictures).astype(np.int64)
    turn = turns.moments[step] + (within * turns.step[step] + lead[step]) // turns.pictures[step]
    offset = OFFSETS[channel] + int(uniform(random, -2000, 2000))
    jitter = uniform(random, -700, 700, len(at)).astype(np.int64)
    return turns.timestamp[turn] + offset + jitter, first[turns.sample]


def _radar(random: np.random.Generator, turns: Turns) -> tuple[np.ndarray, np.ndarray]:
    start, end = int(turns.timestamp[0]), int(turns.timestamp[-1])
    count = (end - start) // RADAR_PERIOD + 1
    phase = int(uniform(random, -RADAR_PERIOD // 2, RADAR_PERIOD // 2))
    jitter = uniform(random, -2000, 2000, count).astype(np.int64)
    timestamp = start + phase + RADAR_PERIOD * np.arange(count) + jitter
    # The scan nearest to a sample is of its keyframes. Samples are at least 0.35 s apart: none is of two.
    after = (
        np.searchsorted(timestamp, turns.sample_times).clip(1, count - 1) if count > 1 else np.zeros(1, int)
    )
    before = np.maximum(after - 1, 0)
    nearer = turns.sample_times - timestamp[before] < timestamp[after] - turns.sample_times
    return timestamp, np.where(nearer, before, after)
