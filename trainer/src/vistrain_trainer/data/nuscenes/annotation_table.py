"""The 3D boxes of a release, read into columns."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from operator import attrgetter
from pathlib import Path

import numpy as np

from vistrain_trainer.data.nuscenes.columns import Columns
from vistrain_trainer.data.nuscenes.lookup import Lookup, require_once, token_column, wrong_row
from vistrain_trainer.data.nuscenes.records import SampleAnnotation
from vistrain_trainer.data.nuscenes.release import Annotations
from vistrain_trainer.data.nuscenes.table_rows import table_rows

BINS = {"": 0, "1": 1, "2": 2, "3": 3, "4": 4}
"""Visibility by token: bins of 0–40, 40–60, 60–80 and 80–100 %."""


def read_annotations(
    path: Path, samples: Sequence[str], previous: np.ndarray, instances: Sequence[str], optional: bool
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
    columns = Columns()
    columns.add(_chunk(path, [], by_sample, by_instance))
    if path.exists() or not optional:
        for rows in table_rows(path, SampleAnnotation):
            columns.add(_chunk(path, rows, by_sample, by_instance))
    sample = columns.take("sample")
    order = np.argsort(sample, kind="stable")
    sample, instance, token = sample[order], columns.take("instance", order), columns.take("token", order)
    require_once(path, token)
    return Annotations(
        token=token,
        sample=sample,
        instance=instance,
        previous=_previous(path, token, sample, instance, previous),
        **{name: columns.take(name, order) for name in columns.names()},
    )


_texts = attrgetter("token", "sample_token", "instance_token", "visibility_token")
_numbers = attrgetter("translation", "size", "rotation")
_counts = attrgetter("num_lidar_pts", "num_radar_pts")


def _chunk(
    path: Path, rows: list[SampleAnnotation], samples: Lookup, instances: Lookup
) -> dict[str, np.ndarray]:
    tokens, sample_tokens, instance_tokens, bins = zip(*map(_texts, rows), strict=True) if rows else ((),) * 4
    numbers = np.fromiter(
        chain.from_iterable(chain.from_iterable(map(_numbers, rows))), np.float64, count=10 * len(rows)
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
        visibility = np.fromiter(map(BINS.__getitem__, bins), np.int8, count=len(rows))
    except KeyError as error:
        token, bin = tokens[bins.index(error.args[0])], error.args[0]
        raise wrong_row(path, token, f"its visibility_token {bin!r} is none of 1, 2, 3, 4") from None
    counts = np.fromiter(chain.from_iterable(map(_counts, rows)), np.int32, count=2 * len(rows))
    return {
        "token": token_column(tokens),
        "sample": samples.rows(sample_tokens, path, tokens, "sample_token"),
        "instance": instances.rows(instance_tokens, path, tokens, "instance_token"),
        "visibility": visibility,
        "translation": numbers[:, :3],
        "size": numbers[:, 3:6],
        "rotation": numbers[:, 6:],
        "points": counts.reshape(-1, 2).sum(axis=1, dtype=np.int32),
    }


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
