"""Columns of a table that grow chunk by chunk, held once in memory and not twice."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

import numpy as np


class Columns:
    """Chunks of columns, by name."""

    def __init__(self) -> None:
        self._parts: dict[str, list[np.ndarray]] = defaultdict(list)

    def add(self, chunk: Mapping[str, np.ndarray]) -> None:
        """Append rows; every chunk has the same columns."""
        for name, values in chunk.items():
            self._parts[name].append(values)

    def take(self, name: str, order: np.ndarray | None = None) -> np.ndarray:
        """A whole column, which is then forgotten.

        Args:
            order: rows in the order in which they are wanted.
        """
        whole = np.concatenate(self._parts.pop(name))
        return whole if order is None else np.asarray(whole[order])

    def names(self) -> tuple[str, ...]:
        """Of the columns that are not taken yet."""
        return tuple(self._parts)
