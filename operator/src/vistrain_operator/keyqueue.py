"""A queue of keys: each waits at most once, is worked on by one worker at a time, and is never forgotten."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable

from vistrain_operator.objects import Key


class KeyQueue:
    """As client-go's work queue: a key added while it is worked on is worked on once more afterwards."""

    def __init__(self) -> None:
        # A key may stand in both lines, when it was told to go first while it waited already; it is taken
        # from the one that comes to it, and passed over in the other.
        self._first: deque[Key] = deque()
        self._order: deque[Key] = deque()
        self._waiting: dict[Key, bool] = {}
        """Keys that wait, and whether they go first."""
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
        known = self._waiting.get(key)
        if known or (known is not None and not first):
            return
        self._waiting[key] = first
        if key not in self._working:
            self._line_up(key)

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
        while True:
            while not (self._first or self._order):
                self._filled.clear()
                await self._filled.wait()
            key = (self._first or self._order).popleft()
            if key in self._waiting and key not in self._working:
                del self._waiting[key]
                self._working.add(key)
                return key

    def done(self, key: Key) -> None:
        """The key is worked on no more."""
        self._working.discard(key)
        if key in self._waiting:
            self._line_up(key)

    def _line_up(self, key: Key) -> None:
        (self._first if self._waiting[key] else self._order).append(key)
        self._filled.set()
