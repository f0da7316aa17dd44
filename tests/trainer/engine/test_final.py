"""The last judgement of a run: of the best, whole or not at all, and done again after a stop."""

from __future__ import annotations

import functools
import json

import pytest
import torch

from vistrain_api.protocol import Progress
from vistrain_trainer.engine import signals
from vistrain_trainer.engine.checkpoint import STATE, open_checkpoint
from vistrain_trainer.engine.fence import Fence
from vistrain_trainer.engine.options import PodEnvironment
from vistrain_trainer.engine.run import run
from vistrain_trainer.engine.signals import request


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "run"


@pytest.fixture
def go(tiny, folder, tmp_path):
    """Runs an attempt and returns its code and last words."""

    def start(make_task=tiny.TinyTask, manifest=None):
        words = tmp_path / "words"
        options = tiny.tiny_options(folder, pod=PodEnvironment(termination_log=words))
        code = run(manifest or tiny.tiny_manifest(), options, make_task)
        return code, Progress.model_validate_json(words.read_bytes())

    return start


def with_test_split(tiny, **settings):
    return tiny.tiny_manifest(dataset__test={"annotations": "test.json", "images": "images"}, **settings)


def judged(folder, split="validation"):
    source, results = json.loads((folder / "evaluation" / split / "evaluation.json").read_text())
    return source, results


def test_the_best_is_judged_on_validation_and_test(tiny, folder, go):
    seen = {}

    class Looking(tiny.TinyTask):
        def examine(self, model, place, source, should_stop):
            seen["weights"] = {name: value.clone() for name, value in model.state_dict().items()}
            return super().examine(model, place, source, should_stop)

    values = functools.partial(Looking, values={1: 0.1, 2: 0.9, 3: 0.2, 4: 0.8})
    code, last = go(values, with_test_split(tiny))
    assert code == 0
    assert (last.results["AP"], last.results["test/AP"]) == (0.9, 0.8)
    checkpoint = open_checkpoint(folder / "checkpoints" / "step-000000008")
    expected = {
        "path": "checkpoints/step-000000008",
        "sha256": checkpoint.sha256,
        "run": "tiny",
        "step": 8,
        "epoch": 2,
    }
    assert judged(folder) == (expected, judged(folder, "test")[1])
    stored = checkpoint.load()["ema"]["weights"]
    assert all(torch.equal(value, stored[name]) for name, value in seen["weights"].items())
    assert not list(folder.glob(".evaluation*"))


def test_without_a_test_split_its_results_are_absent(folder, go):
    code, last = go()
    assert code == 0
    assert not any(name.startswith("test/") for name in last.results)
    assert [path.name for path in (folder / "evaluation").iterdir()] == ["validation"]


@pytest.mark.parametrize("setting", ["never a value", "none kept"])
def test_the_last_is_judged_where_there_is_no_best(tiny, folder, go, setting):
    if setting == "never a value":
        code, _ = go(functools.partial(tiny.TinyTask, values={}))
    else:
        values = functools.partial(tiny.TinyTask, values={1: 0.9, 2: 0.1, 3: 0.1})
        code, _ = go(values, tiny.tiny_manifest(checkpoint__keep={"best": 0}))
    assert code == 0
    assert judged(folder)[0]["step"] == 12


def stopping(tiny, times):
    """Asks for a stop in the midst of the final examination, the first so many times."""
    left = [times]

    class Stopping(tiny.TinyTask):
        def examine(self, model, place, source, should_stop):
            (place / "half").write_text("written")
            if left[0]:
                left[0] -= 1
                request.requested_at, request.signal_name = 1.0, "SIGTERM"
            results = super().examine(model, place, source, should_stop)
            (place / "half").unlink()
            return results

    return Stopping


def test_a_stop_in_the_midst_is_obeyed_and_all_is_done_again(tiny, folder, go, tmp_path):
    task = stopping(tiny, 2)
    for _ in range(2):
        code, last = go(task, with_test_split(tiny))
        assert (code, last.step, last.message) == (75, 12, "stopped by SIGTERM; saved at step 12")
        assert not (folder / "evaluation").exists()
        assert not list(folder.glob(".evaluation*"))
        assert not (folder / "result.json").exists()
        signals.request.__init__()
    code, last = go(task, with_test_split(tiny))
    assert code == 0
    assert run(with_test_split(tiny), tiny.tiny_options(tmp_path / "untouched"), tiny.TinyTask) == 0
    for split in ("validation", "test"):
        (source, results), (other, expected) = judged(folder, split), judged(tmp_path / "untouched", split)
        assert results == expected
        assert source["step"] == other["step"]
    assert (folder / "metrics.csv").read_text().count("\n") == 4


def test_what_a_kill_left_is_cleared_and_other_evaluations_stay(folder, go):
    (folder / ".evaluation.7").mkdir(parents=True)
    (folder / "evaluation" / "validation").mkdir(parents=True)
    (folder / "evaluation" / "validation" / "old.jpg").write_text("old")
    (folder / "evaluation" / "mine").mkdir()
    assert go()[0] == 0
    assert not list(folder.glob(".evaluation*"))
    assert {path.name for path in (folder / "evaluation").iterdir()} == {"mine", "validation"}
    assert [path.name for path in (folder / "evaluation" / "validation").iterdir()] == ["evaluation.json"]


def test_a_torn_best_is_told_and_the_last_judged(tiny, folder, go):
    class Tearing(tiny.TinyTask):
        def export(self, state):  # the last thing before the examination
            state_file = folder / "checkpoints" / "step-000000004" / STATE
            if self._evaluations == 3:
                state_file.write_bytes(state_file.read_bytes()[:-1])
            return super().export(state)

    code, last = go(functools.partial(Tearing, values={1: 0.9, 2: 0.1, 3: 0.1}))
    assert code == 0
    assert judged(folder)[0]["step"] == 12
    assert "the best checkpoint, of step 4, is torn" in last.notes[-1]
    assert last.results["AP"] == 0.9


def test_a_newer_attempt_fences_the_examination_off(tiny, folder, go):
    class Overtaken(tiny.TinyTask):
        def examine(self, model, place, source, should_stop):
            Fence.take(folder / "fence", None)
            return super().examine(model, place, source, should_stop)

    assert go(Overtaken)[0] == 76
    assert not (folder / "evaluation").exists()


def test_a_full_volume_is_a_storage_fault_and_loses_nothing(tiny, folder, go):
    class Full(tiny.TinyTask):
        def examine(self, model, place, source, should_stop):
            raise OSError(28, "No space left on device")

    code, last = go(Full)
    assert (code, last.failure) == (74, "StorageFault")
    assert "the final evaluation: the volume is full" in last.message
    assert go()[0] == 0
