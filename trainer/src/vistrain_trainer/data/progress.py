"""How long work says how far it is."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

Advance = Callable[[int], None]
"""Told how many more are done."""
Progress = Callable[[str, int], AbstractContextManager[Advance]]
"""Begins a piece of work: what is done, and how many there are to do."""


@contextlib.contextmanager
def silent(_what: str, _total: int) -> Iterator[Advance]:
    """Says nothing."""
    yield lambda _done: None
