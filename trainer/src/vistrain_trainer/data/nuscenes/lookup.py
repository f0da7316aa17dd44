"""Rows of a table by their token."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from vistrain_trainer.errors import BadInput


class Lookup:
    """Row numbers by token, for one table."""

    def __init__(self, path: Path, tokens: Sequence[str]) -> None:
        """Number the rows in order.

        Raises:
            BadInput: a token comes twice.
        """
        self._path = path
        self._rows = dict(zip(tokens, range(len(tokens)), strict=True))
        if len(self._rows) != len(tokens):
            seen: set[str] = set()
            twice = next(token for token in tokens if token in seen or seen.add(token))  # type: ignore[func-returns-value]
            raise comes_twice(path, twice)

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, token: object) -> bool:
        return token in self._rows

    def rows(self, tokens: Iterable[str], path: Path, holders: Sequence[str], field: str) -> np.ndarray:
        """(n,) int32: the rows that the tokens name.

        Args:
            path: the table that the tokens stand in.
            holders: tokens of the rows that they stand in, for the message.
            field: the column that they stand in.

        Raises:
            BadInput: there is no such row.
        """
        try:
            return np.fromiter(map(self._rows.__getitem__, tokens), np.int32, count=len(holders))
        except KeyError as error:
            missing = error.args[0]
        place = next((at for at, token in enumerate(tokens) if token == missing), 0)
        raise wrong_row(path, holders[place], f"its {field} {missing!r} is not in {self._path.name}")


def wrong_row(path: Path, token: str, problem: str) -> BadInput:
    """The refusal of one row of a table."""
    return BadInput(
        field="--root",
        value=str(path),
        problem=f"the row of token {token}: {problem}",
        remedy="Copy the release's tables again, all of one version",
    )


def require_once(path: Path, tokens: np.ndarray) -> None:
    """Refuse a table in which a token comes twice.

    Args:
        tokens: (n,) bytes.

    Raises:
        BadInput: there is such a token; it is named.
    """
    # Sorting their first 8 bytes is ten times as fast, and tells of nearly all that they differ.
    width = tokens.dtype.itemsize
    starts = np.zeros((len(tokens), 8), np.uint8)
    starts[:, :width] = tokens.view(np.uint8).reshape(len(tokens), width)[:, :8]
    key = starts.view(np.uint64)[:, 0]
    ordered = np.sort(key)
    alike = tokens[np.isin(key, ordered[1:][ordered[1:] == ordered[:-1]])]
    alike.sort()
    twice = alike[1:][alike[1:] == alike[:-1]]
    if len(twice):
        raise comes_twice(path, twice[0].decode())


def comes_twice(path: Path, token: str) -> BadInput:
    """The refusal of a token that two rows bear."""
    return wrong_row(path, token, "the token comes twice in the table")


def token_column(tokens: Sequence[str]) -> np.ndarray:
    """(n,) bytes."""
    return np.array(tokens, dtype=np.bytes_) if tokens else np.zeros(0, "S32")
