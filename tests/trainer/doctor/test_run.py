"""The doctor on run folders, each left behind by a real run."""

from __future__ import annotations

import csv
import functools
import json
import os
import shutil
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest
import torch
import yaml

from vistrain_api.manifest import parse
from vistrain_trainer.detectors.yolox import YoloxTask
from vistrain_trainer.doctor.examine import examine
from vistrain_trainer.engine import signals
from vistrain_trainer.engine.run import run
from vistrain_trainer.engine.signals import request
from vistrain_trainer.engine.store import CheckpointStore
from vistrain_trainer.engine.volumes import Volumes
from vistrain_trainer.errors import BadInput


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "run"


@pytest.fixture
def go(tiny, folder):
    """Runs one attempt of the tiny task in the folder; its exit code."""

    def attempt(make_task=None, **settings):
        signals.request.__init__()
        return run(tiny.tiny_manifest(**settings), tiny.tiny_options(folder), make_task or tiny.TinyTask)

    return attempt


def stopping(task, step):
    """A task that is asked to stop in the midst of a step."""

    class Stopping(task):
        def losses(self, model, batch, number):
            if number == step - 1:
                request.requested_at, request.signal_name = 1.0, "SIGTERM"
            return super().losses(model, batch, number)

    return Stopping


def failing(task, step, error):
    """A task that raises an error in a step."""

    class Failing(task):
        def losses(self, model, batch, number):
            if number == step - 1:
                raise error
            return super().losses(model, batch, number)

    return Failing


def test_a_finished_run_has_no_finding(go, folder):
    assert go() == 0
    before = sorted((path, path.stat().st_mtime_ns) for path in folder.rglob("*"))
    found = examine(folder, {})
    assert (found.findings, found.kind) == ([], "run")
    assert found.story[0] == "The run has done 3 of 3 epochs (12 of 12 steps), in attempt 1."
    assert found.story[1].startswith("It is finished: trained 3 epochs; best AP")
    assert "repeats the stored result" in found.story[2]
    assert found.story[3] == "Nothing is lost."
    assert found.story[4].startswith("Nothing is left to do. The best weights are weights/best.pth")
    assert sorted((path, path.stat().st_mtime_ns) for path in folder.rglob("*")) == before


def test_a_run_that_was_stopped(tiny, go, folder, only):
    assert go(stopping(tiny.TinyTask, 6)) == 75
    diagnosis = examine(folder, {})
    found = only(diagnosis)
    assert (found.check, found.severity, found.field) == ("stopped-early", "warning", "status.yaml")
    assert found.symptom == "The run is not finished: 1 of 3 epochs are done"
    assert found.cause == "stopped by SIGTERM; saved at step 6"
    assert f"vistrain run -f {folder}/manifest.yaml --output {folder}" in found.remedy
    assert diagnosis.story[0] == "The run has done 1 of 3 epochs (6 of 12 steps), in attempt 1."
    assert "was stopped on request: stopped by SIGTERM" in diagnosis.story[1]
    assert "A resume takes checkpoints/step-000000006 (epoch 1" in diagnosis.story[2]
    assert diagnosis.story[3] == "Nothing is lost."
    assert diagnosis.facts == {
        "state": "stopped",
        "attempt": 1,
        "exitCode": 75,
        "epochsDone": 1,
        "epochsPlanned": 3,
        "stepsDone": 6,
        "stepsPlanned": 12,
        "resumesFrom": "checkpoints/step-000000006",
        "stepsToRepeat": 0,
    }
    assert go() == 0
    assert examine(folder, {}).findings == []


def test_a_run_that_was_killed(tiny, folder, only):
    environment = {**os.environ, "VISTRAIN_TEST_SIGNALS": "step@11=KILL", "OMP_NUM_THREADS": "1"}
    ended = subprocess.run(
        [sys.executable, tiny.__file__, folder], env=environment, capture_output=True, check=False
    )
    assert ended.returncode == -signal.SIGKILL
    saved = max(CheckpointStore(folder / "checkpoints").steps())  # 4, or 8 where its writing was quick
    fresh = examine(folder, {})
    assert fresh.findings == []
    assert "It seems to be running" in fresh.story[1]
    diagnosis = examine(folder, {}, datetime.now(UTC) + timedelta(minutes=30))
    found = only(diagnosis)
    assert (found.check, found.severity, found.field) == ("ended-by-itself", "error", "attempts.jsonl")
    assert "ended by itself after step 10" in found.symptom
    assert "last sign of life is 30 minutes ago" in found.symptom
    assert f"everything up to step {saved} is saved and whole" in found.symptom
    assert "killed before it could say why" in found.cause
    assert f"{10 - saved} steps after the last checkpoint will be done again" in found.cause
    assert f"--output {folder}" in found.remedy
    assert f"A resume takes checkpoints/step-{saved:09d}" in diagnosis.story[2]
    assert f"steps {saved + 1} to 10 are done again" in diagnosis.story[3]
    command = [sys.executable, tiny.__file__, folder]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0
    assert examine(folder, {}).findings == []


def test_a_start_that_wrote_nothing(tmp_path, folder, only):
    (folder / "fence").mkdir(parents=True)
    (folder / "fence" / "token-000001-000001").touch()
    diagnosis = examine(folder, {}, datetime.now(UTC) + timedelta(hours=3))
    found = only(diagnosis)
    assert (found.check, found.field) == ("ended-by-itself", "attempts.jsonl")
    assert "nothing had been saved" in found.symptom
    assert "vistrain run -f MANIFEST" in found.remedy
    assert diagnosis.story[0] == "The run never came to train, in attempt 1."
    assert diagnosis.story[2] == "There is no checkpoint to go on from."


def test_finished_with_fewer_epochs_than_planned(go, folder, only):
    assert go() == 0
    values = yaml.safe_load((folder / "manifest.yaml").read_text())
    values["spec"]["schedule"]["epochs"] = 80
    (folder / "manifest.yaml").write_text(yaml.safe_dump(values))
    found = only(examine(folder, {}))
    assert (found.check, found.field) == ("stopped-early", "spec.schedule.epochs")
    assert found.symptom == "The run calls itself finished with 3 of 80 epochs done"
    assert "after epoch 3" in found.cause
    assert "Do not report it as trained for 80 epochs" in found.remedy


def test_out_of_gpu_memory(tiny, go, folder, only):
    error = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
    assert go(failing(tiny.TinyTask, 6, error)) == 65
    diagnosis = examine(folder, {})
    found = only(diagnosis)
    assert (found.check, found.field) == ("out-of-memory", "spec.schedule.batchSize")
    assert "out of GPU memory after step 5" in found.symptom
    assert "Batch 8 on cpu" in found.cause
    assert "batchSize 4" in found.remedy
    assert "It failed: GPU memory does not suffice" in diagnosis.story[1]


def test_out_of_host_memory(tiny, go, folder, only):
    assert go(failing(tiny.TinyTask, 6, MemoryError())) == 1
    found = only(examine(folder, {}))
    assert (found.check, found.field) == ("out-of-memory", "spec.resources.memory")
    assert "4Gi of host memory and 4 loader workers" in found.cause
    assert "Raise spec.resources.memory" in found.remedy


def test_losses_that_are_not_finite(tiny, go, folder, only):
    assert go(functools.partial(tiny.TinyTask, poison=6)) == 66
    diagnosis = examine(folder, {})
    found = only(diagnosis)
    assert (found.check, found.field) == ("not-finite", "spec.schedule.learningRate")
    assert "not finite at step 7" in found.symptom
    rate = json.loads((folder / "log.jsonl").read_text().splitlines()[-1])["learning_rate"]
    assert f"at step 6, at a rate of {rate:.3g}. " in found.cause
    assert "Going on unchanged would end likewise" in diagnosis.story[4]
    assert "never saved" in found.cause
    assert "lower spec.schedule.learningRate" in found.remedy
    assert "step-000000004" in diagnosis.story[2]


def test_losses_that_were_never_finite(tiny, go, folder, only):
    assert go(functools.partial(tiny.TinyTask, poison=0)) == 66
    assert "from the start" in only(examine(folder, {})).cause


def test_a_volume_that_was_full(tiny, go, folder, only):
    assert go(failing(tiny.TinyTask, 6, OSError(28, "No space left on device"))) == 74
    found = only(examine(folder, {}))
    assert (found.check, found.field) == ("volume", "spec.checkpoint.volume")
    assert "the volume is full" in found.symptom
    assert "untouched" in found.cause
    assert "spec.checkpoint.keep" in found.remedy


def test_annotations_that_were_changed_before_a_resume(tiny, go, folder, only):
    assert go(stopping(tiny.TinyTask, 6)) == 75
    assert go(functools.partial(tiny.TinyTask, data="other")) == 64
    diagnosis = examine(folder, {})
    found = only(diagnosis)
    assert (found.check, found.field) == ("data-changed", "spec.dataset.data")
    assert "not those that the run began with" in found.symptom
    assert "begun with one" in found.cause
    assert "Restore the annotation files" in found.remedy
    assert diagnosis.story[0].startswith("The run has done 1 of 3 epochs (6 of 12 steps), in attempt 2")
    assert "step-000000006" in diagnosis.story[2]


def test_annotations_that_were_swapped_since(tiny, folder, volumes, values_with):
    settings = {"schedule.epochs": 3, "schedule.warmupEpochs": 0, "schedule.noAugEpochs": 0}
    manifest = parse(values_with(settings))
    options = tiny.tiny_options(folder, volumes=Volumes(volumes, in_pod=False))
    stop = stopping(YoloxTask, 2)
    assert run(manifest, options, lambda given, context: stop(given, given.spec.model.yolox, context)) == 75
    assert {one.check for one in examine(folder, volumes).findings} == {"stopped-early"}
    train, validation = (volumes["data"] / name for name in ("train", "val"))
    shutil.move(train, volumes["data"] / "other")
    shutil.move(validation, train)
    shutil.move(volumes["data"] / "other", validation)
    found = {one.field: one for one in examine(folder, volumes).findings if one.check == "annotations"}
    assert set(found) == {"spec.dataset.train.annotations", "spec.dataset.validation.annotations"}
    swapped = found["spec.dataset.train.annotations"]
    assert "Going on is refused" in swapped.symptom
    assert "were validation then: the files have changed places" in swapped.cause
    assert "Restore the file" in swapped.remedy


def test_an_error_that_nothing_explains(tiny, go, folder, only):
    assert go(failing(tiny.TinyTask, 6, KeyError("info"))) == 1
    diagnosis = examine(folder, {})
    found = only(diagnosis)
    assert (found.check, found.field) == ("failed", "attempts.jsonl")
    assert "exit code 1 after step 5: KeyError: 'info'" in found.symptom
    assert found.cause.startswith("Unknown: ")
    assert "step 5 is done again" in diagnosis.story[3]


def test_a_gate_that_is_not_met(go, folder, only):
    assert go(evaluation__gates=[{"metric": "AP50", "min": 0.9}]) == 3
    found = only(examine(folder, {}))
    assert (found.check, found.field) == ("failed", "spec.evaluation.gates")
    assert "AP50 is 0.5, less than 0.9" in found.symptom
    assert "results are kept" in found.remedy


def test_a_torn_checkpoint_is_passed_over(tiny, go, folder):
    assert go(stopping(tiny.TinyTask, 6)) == 75
    state = folder / "checkpoints" / "step-000000006" / "state.pt"
    state.write_bytes(state.read_bytes()[:-1])
    diagnosis = examine(folder, {})
    found = {one.check: one for one in diagnosis.findings}
    assert set(found) == {"stopped-early", "torn-checkpoint"}
    torn = found["torn-checkpoint"]
    assert (torn.field, torn.severity) == ("checkpoints/step-000000006", "warning")
    assert "bytes" in torn.symptom
    assert "goes on from step 4" in torn.remedy
    assert "step-000000004" in diagnosis.story[2]
    assert "passing over 1 torn one" in diagnosis.story[2]
    (folder / "checkpoints" / "step-000000004" / "meta.json").write_text("{")
    diagnosis = examine(folder, {})
    torn = [one for one in diagnosis.findings if one.check == "torn-checkpoint"]
    assert [one.severity for one in torn] == ["error", "error"]
    assert "backup" in torn[0].remedy
    assert diagnosis.story[2] == "No checkpoint is whole: a resume is refused."


def test_weights_that_were_removed(go, folder, only):
    assert go() == 0
    (folder / "weights" / "best.pth").unlink()
    found = only(examine(folder, {}))
    assert (found.check, found.field) == ("weights", "weights/best.pth")
    assert "not there" in found.symptom
    assert "checkpoints/step-0000000" in found.remedy


def test_hours_without_an_evaluation(go, folder, only):
    assert go(schedule__epochs=6, evaluation__everyEpochs=3) == 0
    assert examine(folder, {}).findings == []
    table = folder / "metrics.csv"
    rows = list(csv.DictReader(table.read_text().splitlines()))
    with table.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows({**row, "seconds": "6000.0"} for row in rows)
    found = only(examine(folder, {}))
    assert (found.check, found.field) == ("without-evaluation", "spec.evaluation.everyEpochs")
    assert found.symptom == "The run trained for 10 hours with 2 evaluations"
    assert "5 hours go by" in found.cause
    assert "everyEpochs to 1" in found.remedy


def test_a_run_from_random_weights_at_a_rate_of_fine_tuning(go, folder, only):
    assert go(schedule__learningRate={"peak": 7.5e-5}) == 0
    found = only(examine(folder, {}))
    assert (found.check, found.field) == ("random-weights", "spec.initialization.scratch")


@pytest.mark.parametrize("text", ["[", "[]", '{"progress": 3, "best": 3}'])
@pytest.mark.parametrize("name", ["status.yaml", "result.json", "manifest.yaml", "checkpoints/index.json"])
def test_files_that_something_else_wrote(go, folder, name, text):
    assert go() == 0
    (folder / name).write_text(text)
    with pytest.raises(BadInput, match=name):
        examine(folder, {})


def test_rows_that_were_cut_are_passed_over(tiny, go, folder, only):
    assert go(functools.partial(tiny.TinyTask, poison=6)) == 66
    with (folder / "metrics.csv").open("a") as table:
        table.write("2,8")
    with (folder / "log.jsonl").open("a") as log:
        log.write('{"step":7,"loss":[]}\n{"step":8,"lo')
    with (folder / "attempts.jsonl").open("a") as attempts:
        attempts.write('{"attempt":2')
    found = only(examine(folder, {}))
    assert found.check == "not-finite"
    assert "no finite loss in log.jsonl" in found.cause


def test_a_file_that_cannot_be_read(go, folder):
    assert go() == 0
    (folder / "metrics.csv").unlink()
    (folder / "metrics.csv").mkdir()
    with pytest.raises(BadInput, match=r"metrics\.csv: it cannot be read: Is a directory"):
        examine(folder, {})


def test_a_folder_without_a_run(tmp_path):
    with pytest.raises(BadInput, match="no run has begun in it"):
        examine(tmp_path, {})
