"""Random generators that are functions of the seed and a counter."""

from __future__ import annotations

from enum import IntEnum

import numpy as np


class Purpose(IntEnum):
    """What a generator is for: streams of different purposes are independent."""

    ORDER = 1
    SAMPLE = 2
    WORLD = 3
    NOISE = 4
    SIZE = 5
    DETECTIONS = 7
    REBALANCE = 6


def generator(seed: int, purpose: Purpose, *counters: int) -> np.random.Generator:
    """The generator of one purpose at one position: equal arguments give equal draws."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence((seed, int(purpose), *counters))))
