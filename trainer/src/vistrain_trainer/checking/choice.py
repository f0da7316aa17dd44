"""Which pictures are looked at: as many of each camera and scene as can be, seeded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import pairwise

import numpy as np

from vistrain_trainer.checking.content import CameraSequence, Content
from vistrain_trainer.errors import BadInput

SEED = 0
"""Of the choice: the same data and options give the same pictures."""

Key = tuple[str, int]
"""A split, and the place of a sequence in it."""


@dataclass(frozen=True)
class Pick:
    """A picture, or consecutive ones, to look at."""

    split: str
    sequence: int
    """Place in the split's sequences."""
    frames: tuple[int, ...]
    """Rows of the split's frames, by time."""


@dataclass(frozen=True)
class Choice:
    """What is looked at, and what it is chosen from."""

    picks: tuple[Pick, ...]
    """By split, scene, camera, time."""
    scenes: int
    cameras: int
    sequences: int
    """Scenes × cameras, less those that the data set lacks."""
    of_scenes: int
    """Of the whole data set; 0 where it does not tell scenes."""
    of_cameras: int
    of_sequences: int


def choose(
    content: Content, samples: int, scenes: Sequence[str], cameras: Sequence[str], *, each: int = 1
) -> Choice:
    """Choose samples, evenly over sequences, which are scenes × cameras.

    Args:
        samples: how many; fewer when there are not so many.
        scenes: names of the scenes to choose from; all when empty.
        cameras: channels to choose from; all when empty.
        each: consecutive frames of a sample.

    Raises:
        BadInput: a scene or camera is not in the data set, or none of those scenes has that camera.
    """
    everything = [
        (split.name, place, one)
        for split in content.splits.values()
        for place, one in enumerate(split.sequences)
    ]
    _require("--scene", scenes, {one.scene for _, _, one in everything})
    _require("--camera", cameras, {one.camera for _, _, one in everything})
    wanted = [
        (name, place)
        for name, place, one in everything
        if (not scenes or one.scene in scenes) and (not cameras or one.camera in cameras)
    ]
    if not wanted:
        raise BadInput(
            field="--scene",
            value=",".join(scenes),
            problem=f"there is no sequence of it with {','.join(cameras)}",
            remedy="Name other scenes or cameras",
        )
    of = {key: content.splits[key[0]].sequences[key[1]] for key in wanted}
    parts = _shared_out(of, samples)
    splits = list(content.splits)
    picks = [
        Pick(name, place, frames)
        for name, place in sorted(
            parts, key=lambda key: (splits.index(key[0]), of[key].scene, of[key].camera)
        )
        for frames in _frames(content, (name, place), parts[name, place], each)
    ]
    return Choice(
        picks=tuple(picks),
        scenes=len({one.token or one.scene for one in of.values()}),
        cameras=len({one.camera for one in of.values()}),
        sequences=len(wanted),
        of_scenes=len({one.token or one.scene for _, _, one in everything} - {""}),
        of_cameras=len({one.camera for _, _, one in everything}),
        of_sequences=len(everything),
    )


def _shared_out(of: Mapping[Key, CameraSequence], samples: int) -> dict[Key, int]:
    """How many samples each sequence gives: as even as can be, then as even over cameras, splits, scenes."""
    keys = list(of)
    base, left = divmod(samples, len(keys))
    given = dict.fromkeys(keys, base)
    unused = [keys[at] for at in np.random.default_rng(SEED).permutation(len(keys))]
    taken: Counter[tuple[str, ...]] = Counter()
    for _ in range(left):
        best = min(unused, key=lambda key: tuple(taken[kind] for kind in _kinds(key, of[key])))
        taken.update(_kinds(best, of[best]))
        given[best] += 1
        unused.remove(best)
    return {key: number for key, number in given.items() if number}


def _kinds(key: Key, one: CameraSequence) -> tuple[tuple[str, ...], ...]:
    """What a sequence is one of, the most important first."""
    return ("camera", one.camera), ("split", key[0]), ("scene", key[0], one.scene)


def _frames(content: Content, key: Key, samples: int, each: int) -> list[tuple[int, ...]]:
    """Samples of a sequence: one from each of as many equal parts of it."""
    split = content.splits[key[0]]
    rows = split.frames_of(key[1])
    starts = max(1, len(rows) - each + 1)
    samples = min(samples, starts)
    random = np.random.default_rng([SEED, key[1], len(rows)])
    edges = np.linspace(0, starts, samples + 1).astype(int).tolist()
    chosen = [int(random.integers(low, high)) for low, high in pairwise(edges)]
    return [tuple(rows[start : start + each].tolist()) for start in chosen]


def _require(option: str, stated: Sequence[str], known: set[str]) -> None:
    for name in stated:
        if name not in known:
            listed = sorted(known - {""})
            close = get_close_matches(name, listed, 1)
            several = f"{listed[0]} to {listed[-1]} ({len(listed)})" if len(listed) > 8 else ", ".join(listed)
            problem = "the data set has no such one" if listed else "the data set does not tell them"
            remedy = f"Did you mean {close[0]}?" if close else f"Choose from {several}"
            raise BadInput(
                field=option,
                value=name,
                problem=problem,
                remedy=remedy if listed else "Leave the option out",
            )
