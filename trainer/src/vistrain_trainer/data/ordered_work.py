"""Work on many items by several processes, with the results in the items' order."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import Any, TypeVar

from vistrain_trainer.data.beside import follow_parent

Item = TypeVar("Item")
Result = TypeVar("Result")

MOST_PROCESSES = 4
"""The process that takes the results is busy with those of so many."""

_works: list[Callable[[Any], Any]] = []
"""Of a process that was forked: what it is to do."""


def each(work: Callable[[Item], Result], items: Iterable[Item], *, processes: int) -> Iterator[Result]:
    """Do the work for each item; what it raises ends all of it.

    Processes are forked, so that `work` may hold large tables, which they share; results are sent back.

    Args:
        processes: 1 works in this one.
    """
    if processes < 2:
        yield from map(work, items)
        return
    context = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(processes, context, initializer=_begin, initargs=(work,)) as pool:
        yield from pool.map(_do, items)


def processes() -> int:
    """How many processes are of use here."""
    if sys.platform != "linux":  # forking is not safe elsewhere
        return 1
    return min(MOST_PROCESSES, len(os.sched_getaffinity(0)))


def _begin(work: Callable[[Any], Any]) -> None:
    _works.append(work)
    follow_parent()


def _do(item: Any) -> Any:
    return _works[-1](item)
