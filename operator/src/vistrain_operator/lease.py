"""Leader election by a Lease: one of the replicas acts, the others stand by.

Ours rather than `kubernetes.aio.leaderelection`: that one ends on any error that is not an HTTP answer (a
refused connection while the API server restarts), measures with the wall clock, writes local time as UTC and
never gives the lease back, so that every upgrade would wait for it to run out.
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import Protocol

import aiohttp
import structlog

from vistrain_operator import objects, timestamps
from vistrain_operator.api import ApiError
from vistrain_operator.objects import Object

log = structlog.get_logger("lease")

DURATION = 15.0  # seconds a lease holds without renewal
DEADLINE = 10.0  # seconds after which a leader that could not renew stops being one
RETRY = 2.0


class LeaseApi(Protocol):
    """The part of the API that a lease needs."""

    async def find(self, path: str, resource: str) -> Object | None: ...
    async def create(self, path: str, resource: str, body: Object) -> Object: ...
    async def replace(self, path: str, resource: str, body: Object) -> Object: ...


class Lease:
    """A Lease that this process tries to hold."""

    def __init__(self, api: LeaseApi, namespace: str, name: str, identity: str) -> None:
        self._api = api
        self._collection = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
        self._namespace, self._name = namespace, name
        self.identity = identity
        # Another's lease runs out by our clock from when we saw it change: clocks of machines differ.
        self._seen: tuple[object, ...] = ()
        self._seen_at = 0.0

    async def acquire(self) -> None:
        """Wait until the lease is ours."""
        while True:
            if await self._try():
                break
            await asyncio.sleep(RETRY)
        log.info("leading", lease=self._name, identity=self.identity)

    async def hold(self) -> None:
        """Renew the lease; returns when it is lost."""
        renewed = time.monotonic()
        while time.monotonic() < renewed + DEADLINE:
            await asyncio.sleep(RETRY)
            asked = time.monotonic()
            try:
                if await asyncio.wait_for(self._try(), DEADLINE / 2):
                    renewed = asked
                elif self._seen and self._seen[0] != self.identity:
                    break
            except TimeoutError:
                log.warning("the lease was not renewed in time", lease=self._name)
        log.error("lease lost", lease=self._name, identity=self.identity)

    async def release(self) -> None:
        """Give the lease back, so that a standby need not wait for it to run out."""
        try:
            lease = await self._api.find(f"{self._collection}/{self._name}", "leases")
            if lease is not None and lease["spec"].get("holderIdentity") == self.identity:
                lease["spec"] |= {"holderIdentity": "", "leaseDurationSeconds": 1}
                await self._api.replace(f"{self._collection}/{self._name}", "leases", lease)
        except (ApiError, aiohttp.ClientError, OSError) as error:
            log.warning("lease not given back", error=str(error))

    async def _try(self) -> bool:
        """Take or renew the lease once. Errors count as failure: the next try is soon."""
        try:
            return await self._take()
        except (ApiError, aiohttp.ClientError, OSError, TimeoutError) as error:
            taken_first = isinstance(error, ApiError) and (error.conflict or error.exists)
            if not taken_first:
                log.warning("lease not reached", error=str(error) or type(error).__name__)
            return False

    async def _take(self) -> bool:
        path = f"{self._collection}/{self._name}"
        lease = await self._api.find(path, "leases")
        if lease is None:
            spec = self._spec(0, acquired=True, old={})
            meta = {"name": self._name, "namespace": self._namespace}
            body = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": meta, "spec": spec}
            await self._api.create(self._collection, "leases", body)
            return True
        spec = lease.get("spec") or {}
        holder = spec.get("holderIdentity") or ""
        sight = (holder, spec.get("renewTime"), objects.meta(lease).get("resourceVersion"))
        if sight != self._seen:
            self._seen, self._seen_at = sight, time.monotonic()
        mine = holder == self.identity
        holds = float(spec.get("leaseDurationSeconds") or DURATION)
        if holder and not mine and time.monotonic() < self._seen_at + holds:
            return False
        changes = int(spec.get("leaseTransitions") or 0) + (0 if mine else 1)
        lease["spec"] = self._spec(changes, acquired=not mine, old=spec)
        # The version in `metadata` makes two who try at once exclude each other.
        await self._api.replace(path, "leases", lease)
        return True

    def _spec(self, transitions: int, *, acquired: bool, old: Object) -> Object:
        now = timestamps.precise(datetime.now(UTC))
        return {
            "holderIdentity": self.identity,
            "leaseDurationSeconds": int(DURATION),
            "acquireTime": now if acquired else old.get("acquireTime", now),
            "renewTime": now,
            "leaseTransitions": transitions,
        }
