"""The fence: of all starts, only the newest writes."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from vistrain_trainer.engine.fence import Fence
from vistrain_trainer.errors import Fenced


def test_tokens_rise_with_every_start(tmp_path):
    tokens = [Fence.take(tmp_path, attempt).token for attempt in (1, 1, 2, 5)]
    assert [(token.attempt, token.sequence) for token in tokens] == [(1, 1), (1, 2), (2, 3), (5, 4)]


def test_without_a_cluster_each_start_is_the_next_attempt(tmp_path):
    assert [Fence.take(tmp_path, None).token.attempt for _ in range(3)] == [1, 2, 3]


def test_an_older_attempt_may_not_start(tmp_path):
    Fence.take(tmp_path, 3)
    with pytest.raises(Fenced, match="attempt 3 owns"):
        Fence.take(tmp_path, 2)


def test_an_older_start_is_fenced_off(tmp_path):
    older = Fence.take(tmp_path, 1)
    older.check()
    newer = Fence.take(tmp_path, 1)
    with pytest.raises(Fenced, match="writes no more"):
        older.check()
    newer.check()


def test_starts_at_the_same_moment_get_different_tokens(tmp_path):
    tmp_path.joinpath("fence").mkdir()

    def take(_: int):
        try:
            return Fence.take(tmp_path / "fence", 1).token
        except Fenced:  # another took the next token before this one looked again
            return None

    with ThreadPoolExecutor(8) as pool:
        tokens = [token for token in pool.map(take, range(40)) if token is not None]
    assert len(tokens) == len(set(tokens)) >= 1
    assert len(list((tmp_path / "fence").iterdir())) == 40


def test_two_real_processes(tmp_path, attempt):
    """A second attempt takes the run over; the first ends with 76 and leaves nothing of its own behind."""
    words = tmp_path / "first.words"
    run = tmp_path / "run"
    first = attempt(
        run,
        TINY_SETTINGS='{"schedule__epochs": 100000}',
        VISTRAIN_ATTEMPT="1",
        VISTRAIN_POD_UID="a",
        VISTRAIN_TERMINATION_LOG=str(words),
    )
    try:
        deadline = time.monotonic() + 120
        while not list(run.glob("checkpoints/step-*")):
            assert first.poll() is None, first.stdout.read()
            assert time.monotonic() < deadline
            time.sleep(0.1)
        fence = Fence.take(run / "fence", 2)
        output, _ = first.communicate(timeout=120)
    finally:
        first.kill()
        first.wait()
    assert first.returncode == 76, output
    last = json.loads(words.read_text())
    assert (last["exitCode"], last["failure"]) == (76, "NodeLost")
    fence.check()
    rows = [json.loads(line) for line in (run / "attempts.jsonl").read_text().splitlines()]
    assert [row["event"] for row in rows] == ["start"]
    assert not list(run.glob("checkpoints/.partial-*"))
    older = attempt(
        run, TINY_SETTINGS='{"schedule__epochs": 100000}', VISTRAIN_ATTEMPT="1", VISTRAIN_POD_UID="a"
    )
    older.communicate(timeout=120)
    assert older.returncode == 76
