"""A queue of keys: each waits at most once, is worked on by one worker at a time, and is never forgotten."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable

from vistrain_operator.objects import Key


class KeyQueue:
    """As client-go's work queue: a key added while it is worked on is worked on once more afterwards."""

    def __init__(self) -> None:
        self._first: deque[Key] = deque()
        self._order: deque[Key] = deque()
        self._waiting: set[Key] = set()
        self._working: set[Key] = set()
        self._timers: dict[Key, asyncio.TimerHandle] = {}
        self._filled = asyncio.Event()

    def __len__(self) -> int:
        """Keys that wait."""
        return len(self._waiting)

    def add(self, key: Key, *, first: bool = False) -> None:
        """Have the key worked on soon; `first`: before all that are not."""
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer.cancel()
        if key in self._waiting:
            return
        self._waiting.add(key)
        if key not in self._working:
            (self._first if first else self._order).append(key)
            self._filled.set()

    def add_all(self, keys: Iterable[Key]) -> None:
        """Have all the keys worked on soon."""
        for key in keys:
            self.add(key)

    def add_after(self, key: Key, seconds: float) -> None:
        """Have the key worked on in that many seconds, or earlier if that was asked for before."""
        if key in self._waiting:
            return
        loop = asyncio.get_running_loop()
        earlier = self._timers.get(key)
        if earlier is not None:
            if earlier.when() <= loop.time() + seconds:
                return
            earlier.cancel()
        self._timers[key] = loop.call_later(seconds, self.add, key)

    async def get(self) -> Key:
        """The key that waits longest; `done` must follow."""
        while not (self._first or self._order):
            self._filled.clear()
            await self._filled.wait()
        key = (self._first or self._order).popleft()
        self._waiting.discard(key)
        self._working.add(key)
        return key

    def done(self, key: Key) -> None:
        """The key is worked on no more."""
        self._working.discard(key)
        if key in self._waiting:
            self._order.append(key)
            self._filled.set()
