"""One pass over one run: observe, decide, act. Everything else only says when."""

from __future__ import annotations

import asyncio
import random
import time
from collections import defaultdict

import aiohttp
import structlog

from vistrain_operator import metrics
from vistrain_operator.act import Actor, NameTaken
from vistrain_operator.api import ApiError
from vistrain_operator.decide import decide
from vistrain_operator.keyqueue import KeyQueue
from vistrain_operator.objects import Key
from vistrain_operator.observe import Observer
from vistrain_operator.server import Health
from vistrain_operator.store import Store

log = structlog.get_logger("reconcile")

BACKOFF = 0.5  # seconds after the first failure of a pass, doubled with each further one
BACKOFF_MAX = 60.0
# The version that a conflict speaks of is on its way through the watch.
AFTER_CONFLICT = 0.1


class Reconciler:
    """Workers that take keys from the queue and make a pass over each."""

    def __init__(
        self, queue: KeyQueue, store: Store, observer: Observer, actor: Actor, health: Health
    ) -> None:
        self._queue = queue
        self._store = store
        self._observer = observer
        self._actor = actor
        self._health = health
        self._failures: dict[Key, int] = defaultdict(int)

    async def run(self, workers: int, resync: float) -> None:
        """Work until cancelled."""
        self._queue.add_all(self._store.keys())
        async with asyncio.TaskGroup() as group:
            for _ in range(workers):
                group.create_task(self._work())
            group.create_task(self._resync(resync))

    async def _work(self) -> None:
        while True:
            key = await self._queue.get()
            metrics.QUEUE_DEPTH.set(len(self._queue))
            try:
                await self._guarded(key)
            finally:
                self._queue.done(key)
                self._health.reconciled = time.monotonic()

    async def _guarded(self, key: Key) -> None:
        """A pass whose failure is logged and tried again: no error of one run stops the others."""
        namespace, name = key
        try:
            with metrics.RECONCILE_SECONDS.time():
                wake = await self.reconcile(key)
        except ApiError as error:
            if error.conflict:
                self._queue.add_after(key, AFTER_CONFLICT * random.uniform(0.5, 1.5))
                return
            log.warning("pass failed", namespace=namespace, run=name, error=str(error))
            self._later(key)
        except (aiohttp.ClientError, TimeoutError, OSError, NameTaken) as error:
            log.warning(
                "pass failed", namespace=namespace, run=name, error=str(error) or type(error).__name__
            )
            self._later(key)
        except Exception:
            log.exception("pass failed", namespace=namespace, run=name)
            self._later(key)
        else:
            self._failures.pop(key, None)
            if wake is not None:
                self._queue.add_after(key, wake)

    def _later(self, key: Key) -> None:
        self._failures[key] += 1
        delay = min(BACKOFF_MAX, BACKOFF * 2.0 ** min(10, self._failures[key] - 1))
        self._queue.add_after(key, delay * random.uniform(0.5, 1.5))

    async def reconcile(self, key: Key) -> float | None:
        """One pass. Returns the seconds after which another is wanted though nothing happens."""
        observed = await self._observer.observe(key)
        if observed is None:
            self._failures.pop(key, None)
            return None
        decision = decide(observed)
        if not decision.quiet:
            await self._actor.act(observed.run, decision)
        return decision.wake_after

    async def _resync(self, every: float) -> None:
        while True:
            await asyncio.sleep(every * random.uniform(0.9, 1.1))
            self._queue.add_all(self._store.keys())
