"""The operator as a process: what runs, in which order it starts, and how it ends."""

from __future__ import annotations

import asyncio
import contextlib
import gc

import aiohttp
import kopf
import structlog
from kubernetes.aio.client.configuration import Configuration

from vistrain_api import API_VERSION
from vistrain_operator import metrics, shell
from vistrain_operator.act import Actor
from vistrain_operator.api import Api, ApiError, configuration
from vistrain_operator.keyqueue import KeyQueue
from vistrain_operator.lease import Lease
from vistrain_operator.objects import RUN_PLURAL
from vistrain_operator.observe import Observer
from vistrain_operator.progress import Poller
from vistrain_operator.reconcile import Reconciler
from vistrain_operator.server import Health, serve
from vistrain_operator.settings import Settings
from vistrain_operator.store import Store

log = structlog.get_logger("main")
RETRY = 2.0


async def run(settings: Settings) -> int:
    """Run until SIGTERM (0) or until something ends that must not (1)."""
    # What the imports made stays for good; set apart, it no longer delays full collections of the rest,
    # which a burst would else let grow by a fifth.
    gc.collect()
    gc.freeze()
    config = await configuration(settings.kubeconfig, settings.context)
    operator = Operator(settings, config)
    runner = await serve(settings.address, settings.port, operator.health, operator.queue.__len__)
    try:
        return await operator.run()
    finally:
        await operator.close()
        await runner.cleanup()


class Operator:
    """The parts of the operator, put together."""

    def __init__(self, settings: Settings, config: Configuration) -> None:
        self.settings = settings
        self.config = config
        self.health = Health()
        self.queue = KeyQueue()
        self.store = Store()
        self.api = Api(config)
        self.lease = Lease(self.api, settings.lease_namespace, settings.lease_name, settings.identity)
        self.poller = Poller(self.store, self.queue.add)
        observer = Observer(self.api, self.store, self.poller.report, settings.image)
        actor = Actor(self.api, self.store, settings.identity)
        self.reconciler = Reconciler(self.queue, self.store, observer, actor, self.health)
        self._leading: asyncio.Task[None] | None = None
        self._stop = asyncio.Event()
        metrics.REGISTRY.register(metrics.RunCollector(self.store.runs))

    async def run(self) -> int:
        """Watch and, while leading, act. Returns the exit code."""
        nodes = await _await_api(self.api)
        registry = shell.registry(
            self.store, self.queue.add, self.config, nodes=nodes, at_end=self.stop_acting
        )
        # Made before kopf starts, so that kopf does not take these tasks for its own.
        self._leading = asyncio.create_task(self._lead(), name="lead")
        others = [
            asyncio.create_task(self.health.run(), name="heartbeat"),
            asyncio.create_task(self._synchronise(), name="synchronise"),
        ]
        watch = asyncio.create_task(_kopf(registry, self.settings, self._stop), name="kopf")
        try:
            return await _until_one_ends(watch, [self._leading, others[0]], self._stop)
        finally:
            await _cancel([watch, self._leading, *others])

    async def stop_acting(self) -> None:
        """End all passes and give the lease back; what was half done is done by the next leader."""
        self._stop.set()  # kopf waits some seconds for whoever waits for it
        if self._leading is not None:
            await _cancel([self._leading])
        if self.settings.leader_election and self.health.leading:
            self.health.leading = False
            await self.lease.release()

    async def close(self) -> None:
        """Stop what still acts, and close the connections."""
        await self.stop_acting()
        await self.api.close()

    async def _lead(self) -> None:
        if self.settings.leader_election:
            await self.lease.acquire()
        self.health.leading = True
        metrics.LEADER.set(1)
        parts = [self.poller.run(), self.reconciler.run(self.settings.workers, self.settings.resync)]
        if self.settings.leader_election:
            parts.append(self._hold())
        tasks = [asyncio.create_task(part) for part in parts]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            await _cancel(tasks)

    async def _hold(self) -> None:
        await self.lease.hold()
        # It is another's now: nothing may be written any more, nor be given back.
        self.health.leading = False
        metrics.LEADER.set(0)

    async def _synchronise(self) -> None:
        """Note when the watches have brought everything. Handlers only run then, so the first event tells;
        where there is nothing at all to watch, there is nothing to wait for."""
        spaces = [f"namespaces/{n}/" for n in self.settings.namespaces] or [""]
        paths = [f"/apis/{API_VERSION}/{space}{RUN_PLURAL}" for space in spaces]
        while not self.store.synchronised:
            with contextlib.suppress(ApiError, aiohttp.ClientError, OSError, TimeoutError):
                lists = [await self.api.get(path, RUN_PLURAL, {"limit": "1"}) for path in paths]
                if not any(found.get("items") for found in lists):
                    break
            await asyncio.sleep(0.2)
        self.health.ready = True
        log.info("ready", runs=len(self.store.keys()))


async def _cancel(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _kopf(registry: kopf.OperatorRegistry, settings: Settings, stop: asyncio.Event) -> None:
    await kopf.operator(
        registry=registry,
        clusterwide=not settings.namespaces,
        namespaces=settings.namespaces,
        standalone=True,
        stop_flag=stop,
    )


async def _until_one_ends(
    watch: asyncio.Task[None], ours: list[asyncio.Task[None]], stop: asyncio.Event
) -> int:
    """The exit code: 0 when kopf ended on a signal, 1 when anything else ended."""
    done, _ = await asyncio.wait({watch, *ours}, return_when=asyncio.FIRST_COMPLETED)
    if not watch.done() and all(task.cancelled() for task in done):
        await asyncio.wait({watch}, timeout=10)  # kopf ends on a signal, and has ended the rest
        done = {watch} if watch.done() else done
    if watch in done and watch.exception() is None:
        return 0
    for task in done:
        error = None if task.cancelled() else task.exception()
        log.error("ended", task=task.get_name(), error=repr(error) if error else "")
    stop.set()
    await asyncio.wait({watch}, timeout=3)
    return 1


async def _await_api(api: Api) -> bool:
    """Wait for the API server and the CRD. Says whether nodes may be read."""
    told = ""
    while True:
        try:
            found = await api.get(f"/apis/{API_VERSION}", "discovery")
            if any(r.get("name") == RUN_PLURAL for r in found.get("resources") or []):
                break
            problem = f"the API server does not serve {RUN_PLURAL} yet: install the CRDs"
        except ApiError as error:
            problem = f"the API server does not serve {API_VERSION} yet: install the CRDs ({error})"
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            problem = f"the API server does not answer: {error or type(error).__name__}"
        if problem != told:
            log.warning("waiting", problem=problem)
            told = problem
        await asyncio.sleep(RETRY)
    try:
        await api.get("/api/v1/nodes", "nodes", {"limit": "1"})
    except ApiError as error:
        if error.status != 403:
            raise
        log.warning("nodes may not be read: SliceAvailable is Unknown, lost nodes are told by their pods")
        return False
    return True
