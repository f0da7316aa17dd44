"""Whole attempts at a run of the tiny task, in this process."""

from __future__ import annotations

import csv
import functools
import json
import os
import time

import pytest
import torch
import yaml

from vistrain_api.manifest import load
from vistrain_api.protocol import Progress
from vistrain_trainer.engine import signals
from vistrain_trainer.engine.comparison import compare
from vistrain_trainer.engine.options import PodEnvironment
from vistrain_trainer.engine.run import run
from vistrain_trainer.engine.signals import request


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "run"


@pytest.fixture
def words(tmp_path):
    """Runs an attempt in a pod's environment and returns its code and last words."""

    def go(tiny, folder, manifest=None, make_task=None, **pod):
        log = tmp_path / "words"
        environment = PodEnvironment(termination_log=log, **pod)
        code = run(
            manifest or tiny.tiny_manifest(),
            tiny.tiny_options(folder, pod=environment),
            make_task or tiny.TinyTask,
        )
        return code, Progress.model_validate_json(log.read_bytes())

    return go


def stop_after(tiny, step):
    """A task that asks for a stop in the midst of a step."""

    class Stopping(tiny.TinyTask):
        def losses(self, model, batch, number):
            if number == step - 1:
                request.requested_at, request.signal_name = 1.0, "SIGTERM"
            return super().losses(model, batch, number)

    return Stopping


def log_steps(folder):
    return [json.loads(line)["step"] for line in (folder / "log.jsonl").read_text().splitlines()]


def test_a_whole_run(tiny, folder, words):
    code, last = words(tiny, folder)
    assert code == 0
    assert (last.exit_code, last.failure, last.step, last.total_steps, last.epoch) == (0, None, 12, 12, 3)
    assert last.best is not None
    assert last.results["AP"] == last.best.value
    assert log_steps(folder) == list(range(1, 13))
    rows = list(csv.DictReader((folder / "metrics.csv").read_text().splitlines()))
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    assert max(float(row["AP"]) for row in rows) == last.best.value
    status = yaml.safe_load((folder / "status.yaml").read_text())
    assert (status["phase"], status["progress"]["percent"]) == ("Succeeded", 100)
    assert load(folder / "manifest.yaml") == tiny.tiny_manifest()
    index = json.loads((folder / "checkpoints" / "index.json").read_text())
    assert index["last"]["step"] == 12
    assert index["best"]["value"] == last.best.value
    assert (folder / index["best"]["path"] / "state.pt").is_file()
    weights = torch.load(folder / "weights" / "last.pth", weights_only=True)
    assert "0.weight" in weights["model"]


def test_a_finished_run_repeats_its_result_and_trains_nothing(tiny, folder, words):
    first = words(tiny, folder, attempt=1, pod_uid="a")

    def refuse(manifest, context):
        raise AssertionError("a task was made")

    again = words(tiny, folder, make_task=refuse, attempt=2, pod_uid="b")
    assert again[0] == first[0] == 0
    assert (again[1].step, again[1].results, again[1].best) == (12, first[1].results, first[1].best)
    assert (again[1].attempt, again[1].pod_uid) == (2, "b")
    assert "finished before" in again[1].notes[0]


@pytest.mark.parametrize("step", [1, 3, 6, 11])
def test_a_stop_is_saved_at_its_step_and_the_end_is_the_same(tiny, folder, words, tmp_path, step):
    code, last = words(tiny, folder, make_task=stop_after(tiny, step), attempt=1, pod_uid="a")
    assert code == 75
    assert (last.step, last.last_checkpoint.step, last.failure) == (step, step, None)
    assert last.message == f"stopped by SIGTERM; saved at step {step}"
    signals.request.__init__()
    code, last = words(tiny, folder, attempt=2, pod_uid="b")
    assert code == 0
    assert last.restored_step == step
    assert (last.previous.attempt, last.previous.pod_uid, last.previous.last_step) == (1, "a", step)
    assert last.previous.exit_code == 75
    assert run(tiny.tiny_manifest(), tiny.tiny_options(tmp_path / "untouched"), tiny.TinyTask) == 0
    assert all(part.identical for part in compare(folder, tmp_path / "untouched"))
    assert log_steps(folder) == list(range(1, 13))


def test_a_changed_manifest_is_refused_and_the_field_named(tiny, folder, words):
    words(tiny, folder, make_task=stop_after(tiny, 2))
    signals.request.__init__()
    changed = tiny.tiny_manifest(schedule__seed=7)
    code, last = words(tiny, folder, manifest=changed)
    assert (code, last.failure) == (64, "BadInput")
    assert "spec.schedule.seed: 7" in last.message
    assert "begun with 0" in last.message
    other_place = tiny.tiny_manifest(resources__memory="8Gi")
    assert words(tiny, folder, manifest=other_place)[0] == 0


def test_changed_data_are_refused(tiny, folder, words):
    words(tiny, folder, make_task=stop_after(tiny, 2))
    signals.request.__init__()
    code, last = words(tiny, folder, make_task=functools.partial(tiny.TinyTask, data="other"))
    assert code == 64
    assert "spec.dataset.data: other" in last.message


def test_a_gate_that_is_not_met(tiny, folder, words):
    manifest = tiny.tiny_manifest(
        evaluation__gates=[{"metric": "AP50", "min": 0.9}, {"metric": "AP50", "max": 0.6}]
    )
    code, last = words(tiny, folder, manifest=manifest)
    assert (code, last.failure) == (3, "GateNotMet")
    assert "AP50 is 0.5, less than 0.9" in last.message
    assert last.results["AP50"] == 0.5
    assert words(tiny, folder, manifest=manifest)[0] == 3
    status = yaml.safe_load((folder / "status.yaml").read_text())
    assert {c["type"]: c["status"] for c in status["conditions"]} == {"GatesMet": "False", "Failed": "True"}


def test_the_best_is_kept_and_equal_values_stay_with_the_earlier(tiny, folder, words):
    values = functools.partial(tiny.TinyTask, values={1: 0.1, 2: 0.7, 3: 0.7, 4: 0.2, 5: 0.3})
    manifest = tiny.tiny_manifest(
        schedule__epochs=5, checkpoint__keep={"last": 1, "best": 1, "everyEpochs": 2}
    )
    code, last = words(tiny, folder, manifest=manifest, make_task=values)
    assert code == 0
    assert (last.best.value, last.best.epoch, last.results["AP"]) == (0.7, 2, 0.7)
    kept = sorted(path.name for path in (folder / "checkpoints").glob("step-*"))
    assert kept == ["step-000000008", "step-000000020"]
    assert sorted(path.name for path in (folder / "weights").iterdir()) == [
        "best.pth",
        "epoch-2.pth",
        "epoch-4.pth",
        "last.pth",
    ]
    best = torch.load(folder / "weights" / "best.pth", weights_only=True)["model"]
    assert torch.equal(
        best["0.weight"],
        torch.load(folder / "weights" / "epoch-2.pth", weights_only=True)["model"]["0.weight"],
    )


def test_a_metric_that_never_has_a_value(tiny, folder, words):
    code, last = words(tiny, folder, make_task=functools.partial(tiny.TinyTask, values={}))
    assert (code, last.best, last.results["AP"]) == (0, None, None)


def test_a_loss_that_is_not_finite_ends_the_run_and_is_never_saved(tiny, folder, words):
    code, last = words(tiny, folder, make_task=functools.partial(tiny.TinyTask, poison=6))
    assert (code, last.failure) == (66, "NumericalDivergence")
    assert last.last_checkpoint.step == 4
    assert not (folder / "checkpoints" / "step-000000008").exists()


def test_evaluation_every_other_epoch_and_at_the_end(tiny, folder, words):
    manifest = tiny.tiny_manifest(schedule__epochs=5, evaluation__everyEpochs=2)
    words(tiny, folder, manifest=manifest)
    rows = list(csv.DictReader((folder / "metrics.csv").read_text().splitlines()))
    assert [bool(row["AP"]) for row in rows] == [False, True, False, True, True]


def test_an_interval_that_has_passed_saves_between_epochs(tiny, folder, words, monkeypatch):
    def told(step):
        """The last that the writer does with a checkpoint is to tell of it."""
        status = folder / "status.yaml"
        last = yaml.safe_load(status.read_text()).get("lastCheckpoint") if status.exists() else None
        return last is not None and last["step"] == step

    class Patient(tiny.TinyTask):
        """Waits in the first epoch until the step before is saved: no save begins while one goes on."""

        def losses(self, model, batch, step):
            deadline = time.monotonic() + 60
            while step in (1, 2, 3) and not told(step):
                assert time.monotonic() < deadline
                time.sleep(0.002)
            time.sleep(0.02)
            return super().losses(model, batch, step)

    monkeypatch.setattr("vistrain_trainer.engine.loop.seconds", lambda duration: 0)
    manifest = tiny.tiny_manifest(checkpoint__keep={"last": 100})
    code, _ = words(tiny, folder, manifest=manifest, make_task=Patient)
    assert code == 0
    steps = {int(path.name[5:]) for path in (folder / "checkpoints").glob("step-*")}
    assert {1, 2, 3, 4, 8, 12} <= steps


def test_a_test_split_is_judged_once_on_the_best(tiny, folder, words):
    split = {"annotations": "test.json", "images": "images"}
    values = functools.partial(tiny.TinyTask, values={1: 0.9, 2: 0.1, 3: 0.1, 4: 0.8})
    manifest = tiny.tiny_manifest(dataset__test=split)
    code, last = words(tiny, folder, manifest=manifest, make_task=values)
    assert code == 0
    assert (last.best.epoch, last.results["test/AP"]) == (1, 0.8)
    stored = torch.load(folder / "checkpoints" / "step-000000004" / "state.pt", weights_only=True)
    assert stored["step"] == 4


def test_starts_from_the_checkpoint_of_another_run(tiny, folder, words, tmp_path):
    words(tiny, folder)
    reference = {"checkpoint": {"volume": {"claimName": "runs"}, "path": "run/checkpoints/step-000000012"}}
    manifest = tiny.tiny_manifest(initialization=reference)
    seen = {}

    class Looking(tiny.TinyTask):
        def losses(self, model, batch, step):
            if step == 0:
                seen["model"] = {name: value.clone() for name, value in model.state_dict().items()}
            return super().losses(model, batch, step)

    from vistrain_trainer.engine.volumes import Volumes

    options = tiny.tiny_options(tmp_path / "second", volumes=Volumes({"runs": tmp_path}, in_pod=False))
    assert run(manifest, options, Looking) == 0
    stored = torch.load(folder / "checkpoints" / "step-000000012" / "state.pt", weights_only=True)
    assert all(torch.equal(seen["model"][name], value) for name, value in stored["model"].items())

    reference["checkpoint"]["path"] = "run/checkpoints/step-000000099"
    manifest = tiny.tiny_manifest(initialization=reference)
    options = tiny.tiny_options(tmp_path / "third", volumes=Volumes({"runs": tmp_path}, in_pod=False))
    assert run(manifest, options, Looking) == 64


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_low_precision_resumes_to_the_same_bits(tiny, folder, words, tmp_path, precision):
    manifest = tiny.tiny_manifest(schedule__precision=precision)
    assert words(tiny, folder, manifest=manifest, make_task=stop_after(tiny, 6))[0] == 75
    signals.request.__init__()
    assert words(tiny, folder, manifest=manifest)[0] == 0
    assert run(manifest, tiny.tiny_options(tmp_path / "untouched"), tiny.TinyTask) == 0
    assert all(part.identical for part in compare(folder, tmp_path / "untouched"))


def test_a_resume_with_another_thread_count_says_that_the_law_does_not_hold(tiny, folder, words):
    words(
        tiny,
        folder,
        manifest=tiny.tiny_manifest(resources__cpu=2),
        make_task=stop_after(tiny, 5),
        pod_uid="a",
    )
    signals.request.__init__()
    _, last = words(tiny, folder, manifest=tiny.tiny_manifest(resources__cpu=1), pod_uid="a")
    torch.set_num_threads(1)
    assert any("threads 1, before 2" in note for note in last.notes)


def test_unexpected_errors_are_faults_with_a_name(tiny, folder, words):
    class Broken(tiny.TinyTask):
        def losses(self, model, batch, step):
            if step == 5:
                raise KeyError("info")
            return super().losses(model, batch, step)

    code, last = words(tiny, folder, make_task=Broken)
    assert (code, last.failure) == (1, "Unknown")
    assert "KeyError" in last.message
    assert last.last_checkpoint.step == 4


@pytest.mark.parametrize(
    ("error", "code", "failure"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), 65, "OutOfMemoryGpu"),
        (RuntimeError("CUDA error: device-side assert triggered"), 69, "DeviceFault"),
        (MemoryError(), 1, "OutOfMemoryHost"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), 1, "OutOfMemoryHost"),
        (RuntimeError("x_cuda does not have a deterministic implementation"), 64, "BadInput"),
        (OSError(28, "No space left on device"), 74, "StorageFault"),
    ],
)
def test_errors_are_classed(tiny, folder, words, error, code, failure):
    class Failing(tiny.TinyTask):
        def losses(self, model, batch, step):
            raise error

    got, last = words(tiny, folder, make_task=Failing)
    assert (got, last.failure) == (code, failure)


def test_a_taken_port_does_not_stop_a_local_run(tiny, folder):
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        options = tiny.tiny_options(folder, port=taken.getsockname()[1])
        assert run(tiny.tiny_manifest(), options, tiny.TinyTask) == 0
    assert os.environ.get("VISTRAIN_POD_UID") is None
