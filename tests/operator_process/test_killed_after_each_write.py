"""On a real API server: whichever of its writes the operator is killed after, the run ends right."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Sequence

import pytest

from operator_process.play import (
    PATIENCE,
    Event,
    Stage,
    delete_job,
    evict,
    operator,
    play,
    quiet,
    suspend_and_resume,
)
from support.control_plane import ControlPlane
from support.kubelet import TOTAL, Kubelet
from vistrain_api.protocol import ExitCode
from vistrain_operator.api import Api, configuration

AT_ONCE = 3
"""Stories beside each other: most of each is waiting."""


@contextlib.asynccontextmanager
async def stages(plane: ControlPlane) -> AsyncIterator[tuple[Api, Kubelet]]:
    api = Api(await configuration(str(plane.kubeconfig), None))
    kubelet = Kubelet(api)
    try:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(kubelet.run())
            yield api, kubelet
            task.cancel()
    finally:
        await api.close()


async def check(stage: Stage, classes: Sequence[str], disruptions: int, suspensions: int = 0) -> None:
    """The run has ended as it would have with an operator that nothing disturbs."""
    where, status = stage.namespace, await stage.status()
    assert status["phase"] == "Succeeded", (where, status)
    attempts = status["attempts"]
    assert [a["number"] for a in attempts] == list(range(1, len(classes) + 2)), (where, attempts)
    assert [a.get("class") for a in attempts] == [*classes, None], (where, attempts)
    assert (status.get("disruptions", 0), status.get("failures", 0)) == (disruptions, 0), (where, status)
    assert status.get("stepsLost", 0) == 0, (where, status)

    trainers = stage.kubelet.of(where)
    assert len(trainers) == len(attempts), f"{where}: each attempt has one pod"
    assert stage.kubelet.most_at_once[where] == 1, f"{where}: never two at a time"
    assert sum(t.executed for t in trainers) == TOTAL, f"{where}: no step twice"

    events = await stage.listed("/api/v1/namespaces/{}/events")
    told = Counter((e["reason"], e["message"]) for e in events if e["involvedObject"]["name"] == "demo")
    reasons = {reason for reason, _ in told}
    assert reasons >= {"PreflightPassed", "AttemptStarted", "Succeeded", *classes} - {"Suspended"}, (
        where,
        told,
    )
    assert status["preflight"]["passedAt"]
    jobs = await stage.listed("/apis/batch/v1/namespaces/{}/jobs")
    assert not [j for j in jobs if "vistrain.dev/preflight" in j["metadata"]["labels"]], f"{where}: left over"
    for (reason, _), times in told.items():
        happened = suspensions if reason in {"Suspended", "Unsuspended"} else 1
        assert times <= happened, f"{where}: told {times} times: {told}"


async def test_killed_once_after_each_write(plane, tmp_path):
    """One run for each write of the story."""
    async with stages(plane) as (api, kubelet):

        async def one(name: str, kill_after: int) -> list[str]:
            stage = Stage(plane, api, kubelet, name)
            writes = await play(stage, [evict], tmp_path / name, lambda number: number == kill_after)
            await check(stage, ["Evicted"], 1)
            return writes

        writes = await one("undisturbed", 0)
        assert len(writes) > 8, writes
        slots = asyncio.Semaphore(AT_ONCE)

        async def killed(number: int) -> None:
            async with slots:
                await one(f"killed-after-{number}", number)

        async with asyncio.TaskGroup() as group:
            for number in range(1, len(writes) + 1):
                group.create_task(killed(number))


STORIES: dict[str, tuple[Event, list[Event], list[str], int, int]] = {
    "evicted-and-deleted": (evict, [evict, delete_job], ["Evicted", "Deleted"], 2, 0),
    "suspended-and-evicted": (
        suspend_and_resume,
        [suspend_and_resume, evict],
        ["Suspended", "Evicted"],
        1,
        2,
    ),
}
"""What happens in the pre-flight, what in mid-training, the attempts' classes, their disruptions, and how
often the run is suspended."""


@pytest.mark.parametrize("name", STORIES)
async def test_killed_after_every_write(plane, tmp_path, name):
    """No operator lives longer than to its first write."""
    in_preflight, events, classes, disruptions, suspensions = STORIES[name]
    async with stages(plane) as (api, kubelet):
        stage = Stage(plane, api, kubelet, name)
        writes = await play(stage, events, tmp_path / name, lambda number: True, in_preflight=in_preflight)
        assert len(writes) > 10, writes
        await check(stage, classes, disruptions, suspensions)


RAW = {
    "volume": {"claimName": "driving-world"},
    "prepare": {"nuscenes": {"version": "v1.0-mini"}},
    "classes": ["car", "truck"],
}


async def test_runs_share_a_preparation_though_no_operator_lives_longer_than_to_its_first_write(
    plane, tmp_path
):
    """Evicted on the way, it takes two pods, whichever run made them; then both runs train."""
    async with stages(plane) as (api, kubelet):
        first = Stage(plane, api, kubelet, "sharing", "first", RAW)
        second = Stage(plane, api, kubelet, "sharing", "second", RAW)
        kubelet.held.add("sharing")
        kubelet.allowed["sharing"] = TOTAL
        await first.create()
        await second.apply()
        async with operator(first, tmp_path / "sharing", lambda number: True) as proxy:
            await first.checks()
            [job] = await first.listed("/apis/batch/v1/namespaces/{}/jobs")
            for stage in (first, second):
                record = await stage.until("the preparation", lambda s: bool(s.get("preparation")))
                assert record["preparation"]["job"] == job["metadata"]["name"]
            await evict(first)
            async with asyncio.timeout(PATIENCE):
                while "sharing" not in kubelet.prepared:  # freed before it is stopped, it might finish
                    await asyncio.sleep(0.1)
            kubelet.held.discard("sharing")
            for stage in (first, second):
                await stage.until("the end", lambda s: s.get("phase") in {"Succeeded", "Failed"})
            await quiet(proxy)
        assert kubelet.prepared["sharing"] == [ExitCode.STOPPED, ExitCode.FINISHED]
        for stage in (first, second):
            status = await stage.status()
            assert status["phase"] == "Succeeded", status
            assert (status.get("disruptions", 0), status.get("failures", 0)) == (0, 0), status
            assert status["preparation"]["passedAt"] <= status["preflight"]["passedAt"]
            assert len(kubelet.of("sharing", stage.name)) == status["attempt"] == 1
