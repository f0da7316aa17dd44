"""Putting together what is decided upon: indices, look-ups, reports."""

from __future__ import annotations

import asyncio
import copy
from datetime import UTC, datetime
from typing import Any, cast

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from unit_operator.fake_api import FakeApi
from unit_operator.model_cluster import IMAGE, Cluster, run_object
from unit_operator.model_operator import Operator
from unit_operator.team import Team
from vistrain_api import protocol
from vistrain_operator import objects, preparations, progress, shell
from vistrain_operator.api import Api
from vistrain_operator.observe import Observer
from vistrain_operator.progress import Poller
from vistrain_operator.server import Health, serve
from vistrain_operator.store import Store, pack, place_of, trim_job, trim_pod, trim_run, view_node

KEY = ("team", "demo")
CLAIM = "/api/v1/namespaces/team/persistentvolumeclaims/"


class Ground:
    """A model cluster as the watches bring it."""

    def __init__(self) -> None:
        self.cluster = Cluster()
        self.api = FakeApi()
        for name in ("data", "checkpoints"):
            self.api.put(CLAIM + name, {"metadata": {"name": name}})
        self.store = Store()
        self.operator = Operator(self.cluster)
        self.runs: list[dict[str, Any]] = []
        """Other runs."""
        self.observer = Observer(cast(Api, self.api), self.store, lambda uid: None, "image:1")

    def trains(self) -> Ground:
        """Its first attempt has a pod that runs, and nothing is left of the pre-flight."""
        while not self.cluster.executed:
            self.operator.settle()
            self.cluster.step()
        self.operator.settle()
        return self

    def watch(self, *, jobs: bool = True, pods: bool = True) -> None:
        assert self.cluster.run is not None
        uid = objects.uid(self.cluster.run)
        found_jobs = {uid: [pack(trim_job(j)) for j in self.cluster.jobs.values()]} if jobs else {}
        found_pods = {uid: [pack(trim_pod(p)) for p in self.cluster.pods.values()]} if pods else {}
        runs = {(objects.namespace(r), objects.name(r)): r for r in (self.cluster.run, *self.runs)}
        packed = {key: [pack(trim_run(run))] for key, run in runs.items()}
        self.store.connect(packed, found_jobs, found_pods, None)

    def observe(self) -> Any:
        found = asyncio.run(self.observer.observe(KEY))
        assert found is not None
        return found


def test_claims_are_looked_up_only_before_an_attempt_and_those_that_exist_only_once() -> None:
    ground = Ground()
    del ground.api.objects[CLAIM + "data"]
    ground.watch()
    assert ground.observe().missing_claims == ("data",)
    assert ground.observe().missing_claims == ("data",)
    assert ground.api.requests.count(("GET", "persistentvolumeclaims")) == 3
    ground.operator.settle()
    ground.watch()
    ground.api.requests.clear()
    assert ground.observe().missing_claims == ()
    assert ("GET", "persistentvolumeclaims") not in ground.api.requests


def test_the_run_that_one_starts_from_is_looked_up_until_it_is_settled() -> None:
    ground = Ground()
    assert ground.cluster.run is not None
    ground.cluster.run["spec"]["initialization"] = {"run": {"name": "earlier"}}
    ground.watch()
    assert ground.observe().source is None
    other = run_object("earlier", checkpoint={"volume": {"claimName": "others"}})
    ground.runs = [other]
    ground.watch()
    seen = ground.observe()
    assert objects.name(seen.source) == "earlier"
    assert seen.missing_claims == ("others",)
    settled = {"volume": {"claimName": "others"}, "path": "a/checkpoints/step-000000001"}
    ground.cluster.run["status"] = {"resolved": {"initialization": settled}}
    ground.runs = []
    ground.watch()
    assert ground.observe().source is None
    assert ground.observe().missing_claims == ("others",)


def test_a_job_that_the_watch_has_not_brought_is_asked_for() -> None:
    ground = Ground().trains()
    [job] = ground.cluster.jobs.values()
    path = f"/apis/batch/v1/namespaces/team/jobs/{objects.name(job)}"
    ground.api.put(path, job)
    ground.watch(jobs=False)
    assert [objects.name(j) for j in ground.observe().jobs] == [objects.name(job)]
    del ground.api.objects[path]
    assert ground.observe().jobs == ()


def test_why_a_job_makes_no_pod_is_looked_up() -> None:
    ground = Ground()
    ground.operator.settle()
    [job] = ground.cluster.jobs.values()
    ground.api.warnings = [
        {"reason": "FailedCreate", "message": "old", "lastTimestamp": "2026-01-01T00:00:01Z"},
        {"reason": "FailedCreate", "message": "exceeded quota", "lastTimestamp": "2026-01-01T00:00:09Z"},
        {"reason": "MissingClusterDNS", "message": "noise", "lastTimestamp": "2026-01-01T00:00:10Z"},
    ]
    ground.watch()
    assert ground.observe().troubles == {objects.uid(job): "exceeded quota"}


def test_another_runs_job_is_not_ours() -> None:
    ground = Ground()
    ground.operator.settle()
    [job] = ground.cluster.jobs.values()
    job["metadata"]["ownerReferences"] = [{"uid": "someone", "controller": True}]
    ground.watch()
    assert ground.observe().jobs == ()


# What runs share


class Shared:
    """Two runs that ask for the same preparation, as the watches bring them."""

    def __init__(self, *names: str) -> None:
        self.team = Team(*names)
        self.team.hang()
        self.team.prepares()
        self.api = FakeApi()
        for name in ("data", "checkpoints"):
            self.api.put(CLAIM + name, {"metadata": {"name": name}})
        self.store = Store()
        self.observer = Observer(cast(Api, self.api), self.store, lambda uid: None, IMAGE)
        self.watch()

    def watch(self, *, jobs: bool = True, departed: bool = False) -> None:
        runs = [c.run for c in self.team.clusters.values() if c.run is not None]
        keys = {preparations.group_of_run(run): [] for run in runs}
        for run in runs:
            keys[preparations.group_of_run(run)].append((objects.namespace(run), objects.name(run)))
        there = {(objects.namespace(r), objects.name(r)): [pack(trim_run(r))] for r in runs}
        commons = self.team.commons
        found_jobs = {place_of(j): [pack(trim_job(j))] for j in commons.jobs.values()} if jobs else {}
        pods = {} if departed else {place_of(p): [pack(trim_pod(p))] for p in commons.pods.values()}
        self.store.connect(there, found_jobs, pods, None, keys)

    def observe(self, name: str) -> Any:
        return asyncio.run(self.observer.observe(("team", name)))


def test_every_run_that_asks_for_it_sees_the_preparations_job_and_pod() -> None:
    ground = Shared("a", "b")
    for name, other in (("a", "b"), ("b", "a")):
        seen = ground.observe(name)
        assert [objects.name(j) for j in seen.jobs] == [objects.name(ground.team.job())]
        [pod] = seen.pods
        assert objects.trainer_state(pod, "running")
        assert seen.sharers == (other,)


def test_runs_that_wait_no_longer_share_nothing() -> None:
    ground = Shared("a", "b")
    for change in (
        lambda run: run["spec"].update(suspend=True),
        lambda run: run["spec"]["pod"].update(image="another:2"),
        lambda run: run["metadata"].update(deletionTimestamp="2026-01-01T00:00:00Z"),
        lambda run: run.update(status={"phase": "Failed"}),
        lambda run: run.update(status={"preparation": {"passedAt": "2026-01-01T00:00:00Z"}}),
    ):
        run = ground.team.clusters["b"].run
        assert run is not None
        before = copy.deepcopy(run)
        run["spec"].setdefault("pod", {})
        change(run)
        ground.watch()
        assert ground.observe("a").sharers == ()
        ground.team.clusters["b"].run = before


def test_a_preparation_that_the_watch_has_not_brought_is_asked_for() -> None:
    ground = Shared("a", "b")
    job = ground.team.job()
    ground.api.put(f"/apis/batch/v1/namespaces/team/jobs/{objects.name(job)}", job)
    ground.watch(jobs=False)
    assert [objects.name(j) for j in ground.observe("b").jobs] == [objects.name(job)]


def test_a_preparations_pod_that_ended_and_is_deleted_is_remembered() -> None:
    ground = Shared("a", "b")
    pod = ground.team.pod()
    assert pod is not None
    ground.team.commons.evict(objects.uid(pod))
    ground.team.commons._kubelets()
    ground.store.saw_pod(pod, deleted=True)
    ground.watch(departed=True)
    [seen] = ground.observe("b").pods
    assert objects.trainer_state(seen, "terminated")["exitCode"] == 75  # type: ignore[index]


def test_why_the_preparation_of_another_run_makes_no_pod_is_looked_up() -> None:
    ground = Shared("a", "b")
    ground.team.commons.pods.clear()
    ground.api.warnings = [{"reason": "FailedCreate", "message": "exceeded quota"}]
    ground.watch()
    assert ground.observe("b").troubles == {objects.uid(ground.team.job()): "exceeded quota"}


def test_claims_are_looked_up_while_another_runs_job_is_under_way() -> None:
    ground = Shared("a", "b")
    del ground.api.objects[CLAIM + "checkpoints"]
    assert ground.observe("a").missing_claims == ()
    assert ground.observe("b").missing_claims == ("checkpoints",)


def test_what_happens_to_a_preparation_reaches_every_run_that_asks_for_it() -> None:
    ground = Shared("a", "b")
    heard: list[Any] = []
    for child in (ground.team.job(), ground.team.pod()):
        assert child is not None
        shell._enqueue_owners(child, ground.store, lambda key, first=False: heard.append(key))
    assert sorted(heard) == [("team", "a"), ("team", "a"), ("team", "b"), ("team", "b")]


def test_a_deleted_pod_that_ended_is_remembered() -> None:
    ground = Ground().trains()
    [pod] = ground.cluster.pods.values()
    ground.cluster.evict(objects.uid(pod))
    ground.cluster._kubelets()
    assert objects.pod_terminal(pod)
    ground.store.saw_pod(pod, deleted=True)
    ground.watch(pods=False)
    [seen] = ground.observe().pods
    assert objects.trainer_state(seen, "terminated")["exitCode"] == 75  # type: ignore[index]


def test_what_a_node_offers() -> None:
    allocatable = {"cpu": "4", "nvidia.com/gpu": "0", "nvidia.com/mig-1g.20gb": "2", "nvidia.com/odd": "x"}
    view = view_node(
        {
            "metadata": {"name": "n", "labels": {"nvidia.com/gpu.product": "NVIDIA-H100"}},
            "status": {"allocatable": allocatable, "conditions": [{"type": "Ready", "status": "True"}]},
        }
    )
    assert view.offered == {"nvidia.com/gpu": 0, "nvidia.com/mig-1g.20gb": 2}
    assert (view.ready, view.product) == ("True", "NVIDIA-H100")


# The poller, against a real HTTP server


@pytest.fixture
def running_pod() -> dict[str, Any]:
    labels = {protocol.LABEL_RUN: "demo", protocol.LABEL_RUN_UID: "u"}
    status = {
        "podIP": "127.0.0.1",
        "containerStatuses": [
            {"name": "trainer", "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}}}
        ],
    }
    return {
        "metadata": {"name": "p", "namespace": "team", "uid": "pod-1", "labels": labels},
        "status": status,
    }


def test_the_poller_hears_a_trainer_and_outlives_its_silence(
    running_pod: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = [
        web.json_response({"attempt": 1, "token": 1, "phase": "Training", "lastStep": 5, "fromTheFuture": 1}),
        web.Response(text="<html>not ours</html>"),
        web.Response(status=500),
    ]

    async def story() -> None:
        async def handler(_: web.Request) -> web.Response:
            return answers[0]

        app = web.Application()
        app.router.add_get("/progress", handler)
        async with TestServer(app) as server:
            monkeypatch.setattr(progress.protocol, "PORT", server.port)
            async with progress.aiohttp.ClientSession() as session:
                first = await progress._ask(session, running_pod, None)
                assert first.progress is not None
                assert first.progress.last_step == 5
                assert first.error == ""
                for _ in range(2):
                    answers.pop(0)
                    later = await progress._ask(session, running_pod, first)
                    assert later.progress == first.progress
                    assert later.heard_at == first.heard_at
                    assert "/progress" in later.error

    asyncio.run(story())


def test_an_errand_is_not_asked_for_progress(running_pod: dict[str, Any]) -> None:
    assert progress._answers(running_pod)
    running_pod["metadata"]["labels"][protocol.LABEL_PREFLIGHT] = "true"
    assert not progress._answers(running_pod)
    del running_pod["metadata"]["labels"][protocol.LABEL_PREFLIGHT]
    running_pod["metadata"]["labels"][protocol.LABEL_PREPARATION] = "0123456789"
    assert not progress._answers(running_pod)


def test_the_poller_tells_of_news_only(running_pod: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[Any] = []

    async def story() -> None:
        store = Store()
        store.connect({}, {}, {"u": [pack(running_pod)]}, None)
        poller = Poller(store, heard.append)
        report = progress.Report(
            progress.words.read('{"attempt": 1, "token": 1, "phase": "Starting"}'), datetime.now(UTC)
        )

        async def ask(*_: Any) -> progress.Report:
            return report

        monkeypatch.setattr(progress, "_ask", ask)
        async with progress.aiohttp.ClientSession() as session:
            for _ in range(3):
                await poller._poll(session, "pod-1", running_pod)
        assert poller.report("pod-1") == report
        poller._forget(set())
        assert poller.report("pod-1") is None

    asyncio.run(story())
    assert heard == [KEY]


# The HTTP server


def test_probes_and_metrics() -> None:
    async def story() -> None:
        health = Health()
        waiting = [0]
        runner = await serve("127.0.0.1", 0, health, lambda: waiting[0])
        host, port = runner.addresses[0][:2]

        async with progress.aiohttp.ClientSession(f"http://{host}:{port}") as session:

            async def ask(path: str) -> tuple[int, str]:
                async with session.get(path) as response:
                    return response.status, await response.text()

            assert (await ask("/readyz"))[0] == 503
            health.ready = True
            assert (await ask("/readyz"))[0] == 200
            assert (await ask("/healthz"))[0] == 200
            health.leading, waiting[0] = True, 3
            health.reconciled -= 1000
            status, text = await ask("/healthz")
            assert status == 500
            assert "3 runs wait" in text
            waiting[0] = 0
            assert (await ask("/healthz"))[0] == 200
            health.beat -= 1000
            assert (await ask("/healthz"))[0] == 500
            status, text = await ask("/metrics")
            assert status == 200
            for name in ("vistrain_leader", "vistrain_queue_depth", "vistrain_reconcile_seconds_bucket"):
                assert name in text
        await runner.cleanup()

    asyncio.run(story())
