"""Rows of an array by group."""

from __future__ import annotations

import numpy as np


class Grouped:
    """Rows by group, without a Python object for each group (forked workers share the memory)."""

    def __init__(self, group: np.ndarray, rows: np.ndarray, groups: int) -> None:
        order = np.argsort(group, kind="stable")
        self._rows = rows[order]
        self._ends = np.searchsorted(group[order], np.arange(groups + 1))

    def rows(self, index: int) -> np.ndarray:
        """The rows of one group, in the order given."""
        return self._rows[self._ends[index] : self._ends[index + 1]]
