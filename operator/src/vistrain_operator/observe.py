"""Putting together what `decide` sees: the watches' indices, and a few look-ups where they do not suffice."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from vistrain_api import protocol
from vistrain_api.status import TERMINAL_PHASES
from vistrain_operator import objects, preparations
from vistrain_operator.api import Api
from vistrain_operator.claims import Claims
from vistrain_operator.decide.conditions import wants_events
from vistrain_operator.objects import Key, Object
from vistrain_operator.observed import Observed, Report
from vistrain_operator.preparations import Wanted
from vistrain_operator.store import Store, trim_job

# Reasons of warnings that say why a Job makes no pod, or why a pod does not start.
_TROUBLES = {"FailedCreate", "FailedMount", "FailedAttachVolume", "FailedMapVolume", "FailedCreatePodSandBox"}


class Observer:
    """Observes one run at a time."""

    def __init__(
        self, api: Api, store: Store, reports: Callable[[str], Report | None], default_image: str
    ) -> None:
        self._api = api
        self._store = store
        self._reports = reports
        self._claims = Claims(api)
        self._default_image = default_image

    async def observe(self, key: Key) -> Observed | None:
        """The run with all that bears on it; none when it is gone."""
        run = self._store.run(key)
        if run is None:
            return None
        now = datetime.now(UTC)
        uid = objects.uid(run)
        jobs = [j for j in self._store.jobs(uid) if objects.controller_uid(j) == uid]
        pods = self._store.pods(uid)
        prepared = preparations.wanted(run, self._default_image)
        if prepared is not None:
            group = (objects.namespace(run), preparations.short(prepared.digest))
            jobs += [j for j in self._store.jobs(group) if objects.name(j) == prepared.job]
            pods += [p for p in self._store.pods(group) if _job_name(p) == prepared.job]
        missing: tuple[str, ...] = ()
        troubles: dict[str, str] = {}
        source: Object | None = None
        if (run.get("status") or {}).get("phase") not in TERMINAL_PHASES and objects.deletion(run) is None:
            jobs += await self._unseen_jobs(run, jobs, pods)
            source = self._source(run)
            if not any(not objects.job_deciding(j) for j in jobs if objects.controller_uid(j) == uid):
                missing = await self._claims.missing(run, source)
            troubles = await self._troubles(run, jobs, pods, now)
        reports = {u: r for p in pods if (r := self._reports(u := objects.uid(p))) is not None}
        return Observed(
            now=now,
            run=run,
            jobs=tuple(jobs),
            pods=tuple(pods),
            sharers=self._sharers(run, prepared),
            nodes=self._store.nodes(),
            missing_claims=missing,
            troubles=troubles,
            source=source,
            reports=reports,
            default_image=self._default_image,
        )

    def _sharers(self, run: Object, prepared: Wanted | None) -> tuple[str, ...]:
        """Other runs that wait for the same preparation."""
        if prepared is None:
            return ()
        group = (objects.namespace(run), preparations.short(prepared.digest))
        others = [self._store.run(key) for key in self._store.group(group) if key[1] != objects.name(run)]
        return tuple(
            sorted(
                objects.name(other)
                for other in others
                if other is not None
                and preparations.waits(other)
                and preparations.wanted(other, self._default_image) == prepared
            )
        )

    def _source(self, run: Object) -> Object | None:
        """The run that this one starts from; none once it is settled which checkpoint that is."""
        wanted = (run["spec"].get("initialization") or {}).get("run")
        resolved = (run.get("status") or {}).get("resolved") or {}
        if not wanted or "initialization" in resolved:
            return None
        return self._store.run((objects.namespace(run), str(wanted.get("name", ""))))

    async def _unseen_jobs(self, run: Object, jobs: list[Object], pods: list[Object]) -> list[Object]:
        """Jobs that should be there and are not in the index: asked for, lest one that the watch has not
        brought yet be taken for deleted, and a second writer be started beside it."""
        seen = {objects.name(j) for j in jobs}
        status = run.get("status") or {}
        expected = {a["job"] for a in status.get("attempts") or [] if not a.get("endedAt")}
        expected |= {_job_name(p) for p in pods if not objects.pod_terminal(p)}
        found = []
        for name in sorted(expected - seen - {""}):
            path = f"/apis/batch/v1/namespaces/{objects.namespace(run)}/jobs/{name}"
            job = await self._api.find(path, "jobs")
            if job is None:
                continue
            if objects.errand(job) == "preparation" or objects.controller_uid(job) == objects.uid(run):
                found.append(trim_job(job))
        return found

    async def _troubles(
        self, run: Object, jobs: list[Object], pods: list[Object], now: datetime
    ) -> dict[str, str]:
        """Warnings about the newest Job that makes no pod, or about its pod that does not start."""
        going_on = [j for j in jobs if not objects.job_deciding(j)]
        job = max(going_on, key=objects.attempt_number, default=None)
        if job is None:
            return {}
        pod = next((p for p in pods if objects.controller_uid(p) == objects.uid(job)), None)
        wanted = wants_events(job, pod, now)
        if wanted is None:
            return {}
        selector = f"involvedObject.uid={wanted},type=Warning"
        path = f"/api/v1/namespaces/{objects.namespace(run)}/events"
        events = (await self._api.get(path, "events", {"fieldSelector": selector})).get("items") or []
        newest = max((e for e in events if e.get("reason") in _TROUBLES), key=_when, default=None)
        return {wanted: str(newest.get("message", ""))} if newest is not None else {}


def _job_name(pod: Object) -> str:
    return objects.label(pod, "batch.kubernetes.io/job-name")


def _when(event: Object) -> str:
    times = (event.get("eventTime"), event.get("lastTimestamp"), objects.meta(event).get("creationTimestamp"))
    return max((str(t) for t in times if t), default="")


def key_of(obj: Object) -> Key | None:
    """The key of the run that a Job or pod belongs to, by its label."""
    run = objects.label(obj, protocol.LABEL_RUN)
    return (objects.namespace(obj), run) if run else None
