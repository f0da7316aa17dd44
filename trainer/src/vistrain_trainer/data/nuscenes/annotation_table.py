"""The 3D boxes of a release, read into columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np

from vistrain_trainer.data.nuscenes.lookup import Lookup, token_column, wrong_row
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


def read_annotations(path: Path, samples: Sequence[str], instances: Sequence[str]) -> Annotations:
    """Read sample_annotation, sorted by sample; boxes of one sample keep the order of the file.

    Args:
        samples: tokens in the order of the rows that `Annotations.sample` is to name.
        instances: likewise.

    Raises:
        BadInput: a row leads nowhere, is no box, or comes twice; names file and token.
    """
    by_sample = Lookup(path.with_name("sample.json"), samples)
    by_instance = Lookup(path.with_name("instance.json"), instances)
    parts = [_part(path, rows, by_sample, by_instance) for rows in table_rows(path, SampleAnnotation) if rows]
    if not parts:
        parts = [_part(path, [], by_sample, by_instance)]
    sample = np.concatenate([part.sample for part in parts])
    order = np.argsort(sample, kind="stable")
    numbers = np.concatenate([part.numbers for part in parts])[order]
    columns = Annotations(
        token=np.concatenate([part.token for part in parts])[order],
        sample=sample[order],
        instance=np.concatenate([part.instance for part in parts])[order],
        visibility=np.concatenate([part.visibility for part in parts])[order],
        translation=np.ascontiguousarray(numbers[:, :3]),
        size=np.ascontiguousarray(numbers[:, 3:6]),
        rotation=np.ascontiguousarray(numbers[:, 6:]),
        points=np.concatenate([part.points for part in parts])[order],
    )
    _refuse_twice(path, columns, len(instances))
    return columns


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


def _refuse_twice(path: Path, columns: Annotations, instances: int) -> None:
    """An object has one box in a sample: what a box is interpolated from must be one."""
    pairs = columns.sample.astype(np.int64) * max(1, instances) + columns.instance
    order = np.argsort(pairs, kind="stable")
    twice = np.flatnonzero(np.diff(pairs[order]) == 0)
    if len(twice):
        token = columns.token[order[twice[0] + 1]].decode()
        raise wrong_row(path, token, "its instance has another box in the same sample")
