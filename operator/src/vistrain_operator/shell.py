"""Kopf as informer and lifecycle shell: it fills the indices and says which run something happened to.

No finalizers, timers or daemons: kopf writes nothing to the API server here. It runs in the main loop, where
its handlers for SIGTERM and SIGINT belong. When it ends it cancels the rest, and the process ends.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import kopf
from kubernetes.aio.client.configuration import Configuration

from vistrain_api import GROUP, VERSION, protocol
from vistrain_operator import api, objects, preparations, store
from vistrain_operator.objects import RUN_PLURAL, Key, Object
from vistrain_operator.observe import key_of
from vistrain_operator.observed import NodeView
from vistrain_operator.preparations import Group
from vistrain_operator.store import Store


class Enqueue(Protocol):
    """Has a key worked on soon."""

    def __call__(self, key: Key, *, first: bool = False) -> None: ...


def registry(
    watched: Store,
    enqueue: Enqueue,
    config: Configuration,
    *,
    nodes: bool,
    at_end: Callable[[], Awaitable[None]],
) -> kopf.OperatorRegistry:
    """Handlers that index and enqueue, and nothing else."""
    r = kopf.OperatorRegistry()
    _login(r, config)
    _runs(r, watched, enqueue)
    _children(r, watched, enqueue)
    if nodes:
        _nodes(r, watched, enqueue)

    async def connect(runs: Any, jobs: Any, pods: Any, settings: kopf.OperatorSettings, **more: Any) -> None:
        _configure(settings)
        watched.connect(runs, jobs, pods, more["nodes"] if nodes else None, more["preparing"])

    async def end(**_: Any) -> None:
        await at_end()

    kopf.on.startup(registry=r, id="connect")(connect)
    kopf.on.cleanup(registry=r, id="end")(end)

    return r


class _NoProgress(kopf.ProgressStorage):  # type: ignore[misc]
    """Handlers that index and enqueue have no progress to keep."""

    def fetch(self, **_: Any) -> None:
        return None

    def store(self, **_: Any) -> None:
        return None

    def purge(self, **_: Any) -> None:
        return None

    def touch(self, **_: Any) -> None:
        return None

    def clear(self, *, essence: Any) -> Any:
        return essence


class _NoDiff(kopf.DiffBaseStorage):  # type: ignore[misc]
    """Nothing here asks what changed. Kopf's own storages copy every object five times per event for it,
    which was half of the processor time of a burst."""

    def build(self, **_: Any) -> Any:
        return {}

    def fetch(self, **_: Any) -> None:
        return None

    def store(self, **_: Any) -> None:
        return None


def _configure(settings: kopf.OperatorSettings) -> None:
    settings.posting.enabled = False
    settings.peering.standalone = True
    # Neither namespaces nor CRDs are watched: that would need permissions that nothing else needs.
    settings.scanning.disabled = True
    selector = f"{protocol.LABEL_KIND}={objects.RUN_KIND}"
    settings.watching.label_selectors["batch", "jobs"] = selector
    settings.watching.label_selectors["", "pods"] = selector
    settings.watching.chunk_size = 500
    settings.execution.max_workers = 1
    settings.persistence.diffbase_storage = _NoDiff()
    settings.persistence.progress_storage = _NoProgress()
    settings.queueing.idle_timeout = 1.0  # each object seen lately holds a task and a queue for so long
    settings.queueing.exit_timeout = 0.5  # an event that was not handled is seen again by the next leader


def _login(r: kopf.OperatorRegistry, config: Configuration) -> None:
    async def login(**kwargs: Any) -> kopf.ConnectionInfo | None:
        if api.in_cluster() and not (config.cert_file or config.username):
            account = kopf.login_with_service_account(**kwargs)  # reads the token anew when it has expired
            # By address, as every other client in a pod: kopf's default is a name, and DNS may be down.
            return account and dataclasses.replace(account, server=config.host)
        token = str((config.api_key or {}).get("BearerToken", ""))
        scheme, _, rest = token.rpartition(" ")
        return kopf.ConnectionInfo(
            server=config.host,
            ca_path=config.ssl_ca_cert,
            insecure=not config.verify_ssl,
            certificate_path=config.cert_file,
            private_key_path=config.key_file,
            username=config.username or None,
            password=config.password or None,
            scheme=scheme or None,
            token=rest or None,
        )

    kopf.on.login(registry=r, id="login")(login)


def _runs(r: kopf.OperatorRegistry, watched: Store, enqueue: Enqueue) -> None:
    async def runs(body: kopf.Body, **_: Any) -> dict[Key, bytes]:
        run = dict(body)
        return {(objects.namespace(run), objects.name(run)): store.pack(store.trim_run(run))}

    kopf.index(GROUP, VERSION, RUN_PLURAL, id="runs", registry=r)(runs)

    async def preparing(body: kopf.Body, **_: Any) -> dict[Group, Key]:
        run = dict(body)
        group = preparations.group_of_run(run)
        return {} if group is None else {group: (objects.namespace(run), objects.name(run))}

    kopf.index(GROUP, VERSION, RUN_PLURAL, id="preparing", registry=r)(preparing)

    async def on_run(event: kopf.RawEvent, **_: Any) -> None:
        run: Object = dict(event["object"])
        watched.synchronised = True
        watched.saw_run(run, deleted=event["type"] == "DELETED")
        # A run that waits for its first Job goes before those that have one.
        enqueue((objects.namespace(run), objects.name(run)), first="status" not in run)

    kopf.on.event(GROUP, VERSION, RUN_PLURAL, id="run", registry=r)(on_run)


def _children(r: kopf.OperatorRegistry, watched: Store, enqueue: Enqueue) -> None:
    async def jobs(body: kopf.Body, **_: Any) -> dict[store.Place, bytes]:
        job = dict(body)
        return {store.place_of(job): store.pack(store.trim_job(job))}

    kopf.index("batch", "v1", "jobs", id="jobs", registry=r)(jobs)

    async def pods(body: kopf.Body, **_: Any) -> dict[store.Place, bytes]:
        pod = dict(body)
        return {store.place_of(pod): store.pack(store.trim_pod(pod))}

    kopf.index("", "v1", "pods", id="pods", registry=r)(pods)

    async def on_job(event: kopf.RawEvent, **_: Any) -> None:
        job: Object = dict(event["object"])
        watched.synchronised = True
        watched.saw_job(job)
        _enqueue_owners(job, watched, enqueue)

    kopf.on.event("batch", "v1", "jobs", id="job", registry=r)(on_job)

    async def on_pod(event: kopf.RawEvent, **_: Any) -> None:
        pod: Object = dict(event["object"])
        watched.synchronised = True
        watched.saw_pod(pod, deleted=event["type"] == "DELETED")
        _enqueue_owners(pod, watched, enqueue)

    kopf.on.event("", "v1", "pods", id="pod", registry=r)(on_pod)


def _enqueue_owners(child: Object, watched: Store, enqueue: Enqueue) -> None:
    """Of a preparation, which belongs to all runs that ask for it, these too."""
    key, group = key_of(child), preparations.group_of_child(child)
    for owner in {*([] if key is None else [key]), *([] if group is None else watched.group(group))}:
        enqueue(owner)


def _nodes(r: kopf.OperatorRegistry, watched: Store, enqueue: Enqueue) -> None:
    known: dict[str, NodeView] = {}

    async def nodes(body: kopf.Body, **_: Any) -> dict[str, NodeView]:
        view = store.view_node(dict(body))
        return {view.name: view}

    kopf.index("", "v1", "nodes", id="nodes", registry=r)(nodes)

    async def on_node(event: kopf.RawEvent, **_: Any) -> None:
        watched.synchronised = True
        view = store.view_node(dict(event["object"]))
        gone = event["type"] == "DELETED"
        # Nodes report every few seconds; only what decisions rest on wakes the runs.
        if not gone and known.get(view.name) == view:
            return
        if gone:
            known.pop(view.name, None)
        else:
            known[view.name] = view
        for key in watched.keys():  # noqa: SIM118 - a method of the store
            enqueue(key)

    kopf.on.event("", "v1", "nodes", id="node", registry=r)(on_node)
