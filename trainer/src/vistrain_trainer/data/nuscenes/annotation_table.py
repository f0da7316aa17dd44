"""The 3D boxes of a release, read into columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np

from vistrain_trainer.data.nuscenes.lookup import Lookup, require_once, token_column, wrong_row
from vistrain_trainer.data.nuscenes.records import SampleAnnotation
from vistrain_trainer.data.nuscenes.release import Annotations
from vistrain_trainer.data.nuscenes.table_rows import table_rows

BINS = {"": 0, "1": 1, "2": 2, "3": 3, "4": 4}
"""Visibility by token: bins of 0–40, 40–60, 60–80 and 80–100 %."""


@dataclass
class _Part:
    """A chunk's columns."""

    token: np.ndarray
    sample: np.ndarray
    instance: np.ndarray
    visibility: np.ndarray
    numbers: np.ndarray
    """(n, 10): translation, size, rotation."""
    points: np.ndarray


def read_annotations(
    path: Path, samples: Sequence[str], previous: np.ndarray, instances: Sequence[str], *, optional: bool
) -> Annotations:
    """Read sample_annotation, sorted by sample; boxes of one sample keep the order of the file.

    Args:
        samples: tokens in the order of the rows that `Annotations.sample` is to name.
        previous: (n,) the sample before each in its scene; -1 for the first.
        instances: tokens in the order of the rows that `Annotations.instance` is to name.
        optional: whether the table may be missing.

    Raises:
        BadInput: a row leads nowhere, is no box, or comes twice; names file and token.
    """
    by_sample = Lookup(path.with_name("sample.json"), samples)
    by_instance = Lookup(path.with_name("instance.json"), instances)
    chunks = iter(()) if optional and not path.exists() else table_rows(path, SampleAnnotation)
    parts = [_part(path, [], by_sample, by_instance)]
    parts += [_part(path, rows, by_sample, by_instance) for rows in chunks]
    sample = np.concatenate([part.sample for part in parts])
    order = np.argsort(sample, kind="stable")
    sample, instance = sample[order], np.concatenate([part.instance for part in parts])[order]
    token = np.concatenate([part.token for part in parts])[order]
    numbers = np.concatenate([part.numbers for part in parts])[order]
    require_once(path, token)
    return Annotations(
        token=token,
        sample=sample,
        instance=instance,
        previous=_previous(path, token, sample, instance, previous),
        visibility=np.concatenate([part.visibility for part in parts])[order],
        translation=np.ascontiguousarray(numbers[:, :3]),
        size=np.ascontiguousarray(numbers[:, 3:6]),
        rotation=np.ascontiguousarray(numbers[:, 6:]),
        points=np.concatenate([part.points for part in parts])[order],
    )


def _part(path: Path, rows: list[SampleAnnotation], samples: Lookup, instances: Lookup) -> _Part:
    tokens = [row.token for row in rows]
    numbers = np.fromiter(
        chain.from_iterable(chain.from_iterable((row.translation, row.size, row.rotation) for row in rows)),
        np.float64,
        count=10 * len(rows),
    ).reshape(-1, 10)
    flat = (numbers[:, 3:6] <= 0).any(axis=1)
    if flat.any():
        row = rows[int(flat.argmax())]
        raise wrong_row(path, row.token, f"its size {list(row.size)} has a side that is not above 0 m")
    unturned = (numbers[:, 6:] == 0).all(axis=1)
    if unturned.any():
        row = rows[int(unturned.argmax())]
        raise wrong_row(path, row.token, f"its rotation {list(row.rotation)} is no rotation")
    try:
        visibility = [BINS[row.visibility_token] for row in rows]
    except KeyError:
        row = next(row for row in rows if row.visibility_token not in BINS)
        raise wrong_row(
            path, row.token, f"its visibility_token {row.visibility_token!r} is none of 1, 2, 3, 4"
        ) from None
    return _Part(
        token=token_column(tokens),
        sample=samples.rows((row.sample_token for row in rows), path, tokens, "sample_token"),
        instance=instances.rows((row.instance_token for row in rows), path, tokens, "instance_token"),
        visibility=np.array(visibility, np.int8),
        numbers=numbers,
        points=np.array([row.num_lidar_pts + row.num_radar_pts for row in rows], np.int32),
    )


def _previous(
    path: Path, token: np.ndarray, sample: np.ndarray, instance: np.ndarray, sample_before: np.ndarray
) -> np.ndarray:
    """(n,) int32: the same object's box in the sample before, or -1.

    Raises:
        BadInput: an object has two boxes in a sample, so that there is no saying which moves where.
    """
    order = np.lexsort((sample, instance))
    sample, instance = sample[order], instance[order]
    same = instance[1:] == instance[:-1]
    twice = np.flatnonzero(same & (sample[1:] == sample[:-1]))
    if len(twice):
        later = token[order[twice[0] + 1]].decode()
        raise wrong_row(path, later, "its instance has another box in the same sample")
    before = np.full(len(order), -1, np.int32)
    moved = np.flatnonzero(same & (sample[:-1] == sample_before[sample[1:]]))
    before[order[moved + 1]] = order[moved]
    return before
