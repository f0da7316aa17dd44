"""Asking trainers for their progress. No answer is not fatal: their last words tell it too."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from datetime import UTC, datetime

import aiohttp
import structlog

from vistrain_api import protocol
from vistrain_operator import objects, words
from vistrain_operator.objects import Key, Object
from vistrain_operator.observe import key_of
from vistrain_operator.observed import Report
from vistrain_operator.store import Store

log = structlog.get_logger("progress")

EVERY = 10.0  # seconds between two polls of a trainer that trains
EVERY_AT_START = 1.0  # until its first step, so that the start is seen when it happens
AT_ONCE = 32
TIMEOUT = aiohttp.ClientTimeout(total=3)
_LIMIT = 64 * 1024  # bytes; a report has about two thousand


class Poller:
    """Keeps the newest report of every pod whose trainer runs."""

    def __init__(self, store: Store, heard: Callable[[Key], None]) -> None:
        self._store = store
        self._heard = heard
        self._reports: dict[str, Report] = {}
        self._due: dict[str, float] = {}
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._busy: set[str] = set()

    def report(self, pod_uid: str) -> Report | None:
        """The newest report of a pod."""
        return self._reports.get(pod_uid)

    async def run(self) -> None:
        """Poll until cancelled."""
        # Pods are asked directly: a proxy of the environment has no way to them.
        async with (
            aiohttp.ClientSession(timeout=TIMEOUT, trust_env=False) as session,
            asyncio.TaskGroup() as group,
        ):
            while True:
                pods = {objects.uid(p): p for p in self._store.all_pods() if _answers(p)}
                self._forget(set(pods))
                now = time.monotonic()
                for uid, pod in pods.items():
                    if uid not in self._busy and now >= self._due.get(uid, 0.0):
                        self._busy.add(uid)
                        group.create_task(self._poll(session, uid, pod))
                await asyncio.sleep(0.5)

    def _forget(self, present: set[str]) -> None:
        for uid in set(self._reports) - present:
            del self._reports[uid]
            self._due.pop(uid, None)

    async def _poll(self, session: aiohttp.ClientSession, uid: str, pod: Object) -> None:
        before = self._reports.get(uid)
        try:
            async with self._slots:
                report = await _ask(session, pod, before)
            self._reports[uid] = report
            told = report.progress
            started = told is not None and told.last_step is not None
            every = EVERY if started else EVERY_AT_START
            self._due[uid] = time.monotonic() + every * random.uniform(0.9, 1.0)
            if before is None or before.progress != told or bool(before.error) != bool(report.error):
                key = key_of(pod)
                if key is not None:
                    self._heard(key)
        finally:
            self._busy.discard(uid)


def _answers(pod: Object) -> bool:
    if objects.errand(pod):
        return False  # it ends soon, and serves nothing
    return bool((pod.get("status") or {}).get("podIP")) and objects.trainer_state(pod, "running") is not None


async def _ask(session: aiohttp.ClientSession, pod: Object, before: Report | None) -> Report:
    address = pod["status"]["podIP"]
    host = f"[{address}]" if ":" in address else address
    url = f"http://{host}:{protocol.PORT}/progress"
    try:
        async with session.get(url) as response:
            response.raise_for_status()
            progress = words.read(await response.content.read(_LIMIT))
    except (aiohttp.ClientError, TimeoutError, ValueError, OSError) as error:
        problem = f"{url}: {error or type(error).__name__}"
        if before is not None and not before.error:
            log.debug("trainer no longer answers", pod=objects.name(pod), error=problem)
        known = before.progress if before is not None else None
        return Report(known, before.heard_at if before is not None else None, problem)
    return Report(progress, datetime.now(UTC))
