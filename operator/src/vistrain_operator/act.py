"""Doing what was decided: events first, then the status, and only then what the status announces.

Killed between any two of its writes, the next pass goes on from there: an event is named after its content,
the status is written against the version it was computed from, a Job is named after run and attempt, and a
deletion names the UID.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

import structlog

from vistrain_api import API_VERSION, protocol
from vistrain_api.status import RunStatus
from vistrain_operator import metrics, objects, timestamps
from vistrain_operator.actions import (
    CreateConfigMap,
    CreateJob,
    Decision,
    DeleteJob,
    DeletePod,
    DeleteRun,
    RecordEvent,
    Write,
)
from vistrain_operator.api import Api, ApiError
from vistrain_operator.objects import RUN_KIND, RUN_PLURAL, Object
from vistrain_operator.store import Store

log = structlog.get_logger("act")


class NameTaken(Exception):
    """An object of the name that is needed belongs to somebody else."""


class Actor:
    """Writes to the API server."""

    def __init__(self, api: Api, store: Store, identity: str) -> None:
        self._api = api
        self._store = store
        self._identity = identity

    async def act(self, run: Object, decision: Decision) -> None:
        """Do it all, in order. Raises ApiError: a conflict where the decision was made on an old version."""
        for event in decision.events:
            await self._record(run, event)
        await self._write_status(run, decision)
        for action in decision.actions:
            await self._do(run, action)

    async def _write_status(self, run: Object, decision: Decision) -> None:
        if decision.status is None:
            return
        namespace, name = objects.namespace(run), objects.name(run)
        body = {
            "apiVersion": API_VERSION,
            "kind": RUN_KIND,
            "metadata": {
                "name": name,
                "namespace": namespace,
                "uid": objects.uid(run),
                "resourceVersion": objects.meta(run)["resourceVersion"],
            },
            "status": dump(decision.status),
        }
        path = f"{_runs(namespace)}/{name}/status"
        written = await self._api.apply(path, f"{RUN_PLURAL}/status", body)
        self._store.wrote_run(written)
        metrics.count(decision)

    async def _do(self, run: Object, action: Write) -> None:
        namespace = objects.namespace(run)
        match action:
            case CreateConfigMap(body):
                await self._create_config_map(body)
            case CreateJob(body, shared):
                await self._create_job(run, body, shared=shared)
            case DeleteJob(name, uid, propagation):
                log.info("delete Job", namespace=namespace, job=name)
                path = f"{_jobs(namespace)}/{name}"
                await self._api.delete(path, "jobs", uid=uid, propagation=propagation)
            case DeletePod(name, uid):
                log.info("delete pod", namespace=namespace, pod=name)
                path = f"/api/v1/namespaces/{namespace}/pods/{name}"
                await self._api.delete(path, "pods", uid=uid, propagation="Background")
            case DeleteRun(uid):
                log.info("delete run", namespace=namespace, run=objects.name(run))
                path = f"{_runs(namespace)}/{objects.name(run)}"
                await self._api.delete(path, RUN_PLURAL, uid=uid, propagation="Background")

    async def _create_config_map(self, body: Object) -> None:
        path = f"/api/v1/namespaces/{objects.namespace(body)}/configmaps"
        try:
            await self._api.create(path, "configmaps", body)
        except ApiError as error:
            if not error.exists:  # its name is its content's digest: one that exists is the same
                raise

    async def _create_job(self, run: Object, body: Object, *, shared: bool) -> None:
        namespace, name = objects.namespace(body), objects.name(body)
        try:
            job = await self._api.create(_jobs(namespace), "jobs", body)
            log.info("created Job", namespace=namespace, job=name)
        except ApiError as error:
            if error.status in {403, 422}:  # a quota on Jobs, an admission policy
                text = f"the API server refuses Job {name}: {error.message}"
                await self._record(run, RecordEvent("Warning", "JobRejected", text))
            if not error.exists:
                raise
            job = await self._api.get(f"{_jobs(namespace)}/{name}", "jobs")
            mark = protocol.LABEL_PREPARATION
            ours = shared and objects.label(job, mark) == objects.label(body, mark)
            if not ours and objects.controller_uid(job) != objects.uid(run):
                text = f"Job {name} exists and belongs to another owner: delete or rename it"
                await self._record(run, RecordEvent("Warning", "NameTaken", text))
                raise NameTaken(text) from error
        self._store.wrote_job(job)

    async def _record(self, run: Object, event: RecordEvent) -> None:
        log.info(
            "event",
            namespace=objects.namespace(run),
            run=objects.name(run),
            reason=event.reason,
            message=event.message,
        )
        body = event_object(run, event, self._identity, datetime.now(UTC))
        try:
            await self._api.create(f"/api/v1/namespaces/{objects.namespace(run)}/events", "events", body)
        except ApiError as error:
            if not error.exists:  # told already
                log.warning("event not recorded", run=objects.name(run), error=str(error))


def dump(status: RunStatus) -> Object:
    """The status as JSON, for server-side apply."""
    value: Object = status.model_dump(mode="json", by_alias=True, exclude_none=True)
    return value


def event_object(run: Object, event: RecordEvent, identity: str, now: datetime) -> Object:
    """A core/v1 Event named after its content, so that the same is told once."""
    told = "\0".join((objects.uid(run), event.type, event.reason, event.message, event.token))
    moment = timestamps.text(now)
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {
            "name": f"{objects.name(run)}.{hashlib.sha256(told.encode()).hexdigest()[:16]}",
            "namespace": objects.namespace(run),
        },
        "involvedObject": {
            "apiVersion": API_VERSION,
            "kind": RUN_KIND,
            "name": objects.name(run),
            "namespace": objects.namespace(run),
            "uid": objects.uid(run),
            "resourceVersion": objects.meta(run).get("resourceVersion", ""),
        },
        "type": event.type,
        "reason": event.reason,
        "message": event.message,
        "source": {"component": "vistrain-operator"},
        "reportingComponent": "vistrain-operator",
        "reportingInstance": identity[:128],
        "firstTimestamp": moment,
        "lastTimestamp": moment,
        "count": 1,
    }


def _runs(namespace: str) -> str:
    return f"/apis/{API_VERSION}/namespaces/{namespace}/{RUN_PLURAL}"


def _jobs(namespace: str) -> str:
    return f"/apis/batch/v1/namespaces/{namespace}/jobs"
