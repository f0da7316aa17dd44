"""The queue of keys: nothing is worked on twice at a time, nothing is forgotten."""

from __future__ import annotations

import asyncio

from vistrain_operator.keyqueue import KeyQueue

A, B, C = ("ns", "a"), ("ns", "b"), ("ns", "c")


def test_a_key_waits_once_and_those_that_are_first_go_first() -> None:
    async def story() -> None:
        queue = KeyQueue()
        queue.add(A)
        queue.add(B)
        queue.add(A)
        queue.add(C, first=True)
        assert len(queue) == 3
        assert [await queue.get() for _ in range(3)] == [C, A, B]
        assert len(queue) == 0

    asyncio.run(story())


def test_a_key_that_waits_already_may_be_told_to_go_first() -> None:
    async def story() -> None:
        queue = KeyQueue()
        queue.add_all([A, B])
        queue.add(B, first=True)
        queue.add(B, first=True)
        assert len(queue) == 2
        assert [await queue.get() for _ in range(2)] == [B, A]
        queue.done(B)
        queue.add(C)
        assert await queue.get() == C  # B is not given a second time
        assert len(queue) == 0

    asyncio.run(story())


def test_a_key_added_while_it_is_worked_on_is_worked_on_once_more_afterwards() -> None:
    async def story() -> None:
        queue = KeyQueue()
        queue.add(A)
        assert await queue.get() == A
        queue.add(A)
        queue.add(A)
        queue.add(B)
        assert await queue.get() == B  # A is not given to a second worker
        queue.done(A)
        assert await queue.get() == A
        queue.done(A)
        queue.done(B)
        assert len(queue) == 0

    asyncio.run(story())


def test_the_earliest_of_two_delays_counts() -> None:
    async def story() -> None:
        queue = KeyQueue()
        queue.add_after(A, 3600)
        queue.add_after(A, 0)
        queue.add_after(A, 7200)
        assert await queue.get() == A
        queue.add_after(B, 3600)
        queue.add(B)
        assert await queue.get() == B

    asyncio.run(story())


def test_a_worker_that_waits_is_woken() -> None:
    async def story() -> None:
        queue = KeyQueue()
        waiting = asyncio.create_task(queue.get())
        await asyncio.sleep(0)
        assert not waiting.done()
        queue.add_all([A])
        assert await waiting == A

    asyncio.run(story())
