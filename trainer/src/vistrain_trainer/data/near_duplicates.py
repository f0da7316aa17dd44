"""Near-duplicates among pictures, by perceptual hash."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import numpy as np

from vistrain_trainer.data.progress import Progress, silent
from vistrain_trainer.errors import BadInput

BITS = 64
_DRAFT = (256, 256)
"""A JPEG is decoded no larger than needed: the hash looks at 32×32 pixels."""


def hash_pictures(paths: Sequence[Path], progress: Progress = silent) -> np.ndarray:
    """(n,) uint64 perceptual hashes (imagehash's phash).

    Raises:
        BadInput: a picture is missing or broken.
    """
    hashes = []
    with (
        progress(f"comparing {len(paths)} pictures", len(paths)) as advance,
        ThreadPoolExecutor(os.cpu_count()) as threads,
    ):
        for value in threads.map(_hash, paths):
            hashes.append(value)
            advance(1)
    return np.array(hashes, np.uint64)


def similar_pairs(hashes: np.ndarray, distance: int) -> np.ndarray:
    """(m, 2) int64 pairs of hashes that differ in at most so many bits.

    Two such hashes are equal in at least one of `distance + 1` parts of their bits, so that only hashes with
    an equal part are compared.
    """
    edges = np.linspace(0, BITS, min(distance + 1, BITS) + 1).astype(int)
    found = [np.zeros((0, 2), np.int64)]
    for low, high in pairwise(edges):
        mask = np.uint64((1 << int(high - low)) - 1)
        part = (hashes >> np.uint64(low)) & mask
        order = np.argsort(part, kind="stable")
        starts = np.flatnonzero(np.diff(part[order], prepend=part[order][:1] ^ np.uint64(1)))
        for first, last in pairwise([*starts.tolist(), len(order)]):
            found.extend(_within(hashes, order[first:last], distance))
    pairs = np.sort(np.concatenate(found), axis=1)
    return np.unique(pairs, axis=0)


def connected(count: int, pairs: np.ndarray) -> np.ndarray:
    """(count,) int64 group of each of so many things; what is paired, over others too, is of one group."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    links = coo_array((np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    return np.asarray(connected_components(links, directed=False)[1], np.int64)


def _within(hashes: np.ndarray, places: np.ndarray, distance: int) -> list[np.ndarray]:
    """Pairs among some hashes."""
    found = []
    for at in range(len(places) - 1):
        others = places[at + 1 :]
        near = others[np.bitwise_count(hashes[others] ^ hashes[places[at]]) <= distance]
        if len(near):
            found.append(np.column_stack([np.full(len(near), places[at]), near]))
    return found


def _hash(path: Path) -> int:
    import imagehash
    from PIL import Image

    try:
        with Image.open(path) as picture:
            picture.draft("L", _DRAFT)
            return int(str(imagehash.phash(picture)), 16)
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise BadInput(
            field="pictures",
            value=str(path),
            problem=f"it cannot be compared with others: {getattr(error, 'strerror', None) or error}",
            remedy="Copy it again, or say --keep-together off",
        ) from None
