"""Leader election: one at a time, taken over when it runs out, given back at the end."""

from __future__ import annotations

import asyncio

import pytest

from unit_operator.fake_api import FakeApi
from vistrain_operator import lease as module
from vistrain_operator.api import ApiError
from vistrain_operator.lease import Lease

PATH = "/apis/coordination.k8s.io/v1/namespaces/ns/leases/vistrain"


class Clock:
    """A monotonic clock that only the test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(module.time, "monotonic", found.monotonic)
    return found


def replicas(api: FakeApi, *names: str) -> list[Lease]:
    return [Lease(api, "ns", "vistrain", name) for name in names]


def holder(api: FakeApi) -> str:
    return str(api.objects[PATH]["spec"]["holderIdentity"])


def test_one_of_two_leads(clock: Clock) -> None:
    api = FakeApi()
    a, b = replicas(api, "a", "b")

    async def story() -> None:
        assert await a._try()
        assert not await b._try()
        clock.now += 14
        assert await a._try()  # renewed
        clock.now += 14
        assert not await b._try()
        assert holder(api) == "a"

    asyncio.run(story())


def test_a_lease_that_is_not_renewed_is_taken_over(clock: Clock) -> None:
    api = FakeApi()
    a, b = replicas(api, "a", "b")

    async def story() -> None:
        assert await a._try()
        assert not await b._try()
        clock.now += 15
        assert await b._try()
        assert holder(api) == "b"
        assert api.objects[PATH]["spec"]["leaseTransitions"] == 1
        assert not await a._try()

    asyncio.run(story())


def test_a_lease_that_is_given_back_is_taken_at_once(clock: Clock) -> None:
    api = FakeApi()
    a, b = replicas(api, "a", "b")

    async def story() -> None:
        assert await a._try()
        await a.release()
        assert await b._try()
        await a.release()  # it is not a's any more
        assert holder(api) == "b"

    asyncio.run(story())


def test_of_two_who_take_at_once_one_wins(clock: Clock) -> None:
    api = FakeApi()
    a, b = replicas(api, "a", "b")

    async def story() -> None:
        assert await a._try()
        await a.release()
        stale = await api.find(PATH, "leases")
        assert stale is not None
        assert await a._try()
        with pytest.raises(ApiError):
            await api.replace(PATH, "leases", stale)
        assert not await b._try()

    asyncio.run(story())


def test_a_leader_that_cannot_renew_stops_leading(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    api = FakeApi()
    [a] = replicas(api, "a")

    async def pass_time(seconds: float) -> None:
        clock.now += seconds

    async def story() -> None:
        assert await a._try()
        api.refuse["GET", "leases"] = ApiError(500, "InternalError", "etcd is away")
        monkeypatch.setattr(module.asyncio, "sleep", pass_time)
        begun = clock.now
        await a.hold()
        # It stops before another may take over.
        assert module.DEADLINE <= clock.now - begun < module.DURATION

    asyncio.run(story())


def test_a_leader_that_sees_another_stops_at_once(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    api = FakeApi()
    a, b = replicas(api, "a", "b")

    async def pass_time(seconds: float) -> None:
        clock.now += seconds

    async def story() -> None:
        assert await a._try()
        await a.release()
        assert await b._try()
        monkeypatch.setattr(module.asyncio, "sleep", pass_time)
        begun = clock.now
        await a.hold()
        assert clock.now - begun <= 2 * module.RETRY

    asyncio.run(story())


def test_errors_are_tried_again(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    api = FakeApi()
    [a] = replicas(api, "a")
    api.refuse["GET", "leases"] = ApiError(503, "ServiceUnavailable", "starting")

    async def mend(seconds: float) -> None:
        api.refuse.clear()

    monkeypatch.setattr(module.asyncio, "sleep", mend)
    asyncio.run(a.acquire())
    assert holder(api) == "a"
