"""`vistrain preflight`, and the same before a local run."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from vistrain_api import protocol
from vistrain_api.protocol import Progress
from vistrain_trainer.cli.app import app
from vistrain_trainer.doctor import preflight
from vistrain_trainer.doctor.finding import Finding

WORDS_LIMIT = 4096  # bytes that the kubelet reads


class Bench:
    """The healthy manifest with settings, its volumes, and the command."""

    def __init__(self, tmp_path, volumes, values_with):
        self.folder, self.volumes, self._values = tmp_path, volumes, values_with
        self.file, self.output = tmp_path / "manifest.yaml", volumes["checkpoints"] / "small"
        self.words = tmp_path / "words"

    def write(self, settings=None):
        self.file.write_text(json.dumps(self._values(settings or {})))

    def line(self, command, *more):
        volumes = [f"--volume={claim}={folder}" for claim, folder in self.volumes.items()]
        return [command, "-f", str(self.file), "--output", str(self.output), *volumes, *map(str, more)]

    def __call__(self, settings=None, *more, command="preflight"):
        """The exit code, and what is printed as JSON."""
        self.write(settings)
        result = CliRunner().invoke(app, self.line(command, "--json", *more))
        printed = [line for line in result.output.splitlines() if line.startswith('{"exitCode"')]
        return result.exit_code, json.loads(printed[-1]) if printed else {}

    def pod(self, monkeypatch):
        """From now on the process is a pod."""
        monkeypatch.setenv(protocol.ENV_POD_UID, "pod-1")
        monkeypatch.setenv(protocol.ENV_ATTEMPT, "0")
        monkeypatch.setenv(protocol.ENV_TERMINATION_LOG, str(self.words))

    def last_words(self) -> Progress:
        assert self.words.stat().st_size < WORDS_LIMIT
        return Progress.model_validate_json(self.words.read_text())


@pytest.fixture
def bench(tmp_path, volumes, values_with):
    return Bench(tmp_path, volumes, values_with)


def fields(printed):
    return [found["field"] for found in printed["findings"]]


def test_help_shows_an_example():
    assert "Example: vistrain preflight" in CliRunner().invoke(app, ["preflight", "--help"]).output


def test_a_run_that_can_start_leaves_nothing_behind(bench, monkeypatch):
    bench.pod(monkeypatch)
    code, printed = bench()
    assert (code, printed["findings"]) == (0, [])
    assert list(bench.volumes["checkpoints"].iterdir()) == []
    words = bench.last_words()
    assert (words.exit_code, words.failure, words.phase, words.notes) == (0, None, "Starting", [])
    assert (words.attempt, words.token, words.pod_uid) == (0, 0, "pod-1")


def test_every_finding_is_told_at_once(bench, monkeypatch):
    bench.pod(monkeypatch)
    weights = {"volume": {"claimName": "data"}, "path": "nothing-here.pth"}
    (bench.volumes["data"] / "val" / "images" / "003.jpg").unlink()
    wrong = {"dataset.train.expectAnnotations": 7, "initialization": {"weights": weights}}
    code, printed = bench(wrong | {"evaluation.everyEpochs": 12})
    assert code == protocol.ExitCode.BAD_INPUT
    assert fields(printed) == [
        "spec.dataset.train.expectAnnotations",
        "spec.dataset.validation.images",
        "spec.initialization.weights.path",
        "spec.evaluation.everyEpochs",
    ]
    words = bench.last_words()
    assert (words.exit_code, words.failure) == (64, "BadInput")
    assert words.message.startswith("3 findings; (1) spec.dataset.train.expectAnnotations: ")
    for said in (
        " annotations. spec.dataset.train.expectAnnotations is 7.",
        "003.jpg",
        "nothing-here.pth",
        "(3) ",
    ):
        assert said in words.message
    assert "everyEpochs" in words.notes[0]


def test_classes_that_are_not_the_files(bench):
    code, printed = bench({"dataset.classes": ["car", "bus"]})
    assert code == 64
    assert "spec.dataset.classes" in fields(printed)
    assert "bicycle" in printed["message"]


def test_what_does_not_fit_into_last_words_is_named():
    def finding(number):
        return Finding("error", f"spec.field{number}", "s" * 200, "c" * 100, "r" * 100)

    report = preflight.Report([finding(number) for number in range(20)], [])
    message = report.message()
    assert 1000 < len(message) <= 1200
    assert message.startswith("20 findings; (1) spec.field0: ")
    assert message.count("s" * 200) == 2
    assert "; 18 more, of spec.field2, spec.field3" in message
    assert message.endswith("spec.field19: the log has them")
    assert preflight.Report([finding(1)], []).message() == finding(1).sentence()
    long = Finding("error", "spec.a", "s" * 3000, "c", "r")
    assert len(preflight.Report([long], []).message()) == 1200
    assert "2 more, of spec.a" in preflight.Report([long, long], []).message()


def test_warnings_start_the_run_and_are_notes(bench, monkeypatch):
    bench.pod(monkeypatch)
    same = {"annotations": "train/annotations/train.json", "images": "train/images"}
    code, printed = bench({"dataset.validation": same})
    assert code == 0
    assert [found["severity"] for found in printed["findings"]] == ["warning"]
    [note] = bench.last_words().notes
    assert note.startswith("spec.dataset.validation.annotations: 12 of 12 validation images are trained on")


def test_a_file_without_info_is_accepted(bench):
    path = bench.volumes["data"] / "val" / "annotations" / "train.json"
    content = json.loads(path.read_text())
    del content["info"]
    path.write_text(json.dumps(content))
    assert bench() == (0, {"exitCode": 0, "message": preflight_passed(), "findings": []})


def preflight_passed():
    return "data, weights and disk are as the run needs them"


def test_a_claim_without_a_folder_is_refused(bench):
    del bench.volumes["data"]
    code, printed = bench()
    assert code == 64
    assert fields(printed) == ["spec.dataset.volume.claimName"]
    assert "--volume data=DIR" in printed["message"]


def test_weights_of_another_size(bench, weights):
    start = {"initialization": {"weights": {"volume": {"claimName": "data"}, "path": weights.name}}}
    assert bench(start)[0] == 0
    code, printed = bench(start | {"model.yolox.variant": "tiny"})
    assert (code, fields(printed)) == (64, ["spec.initialization.weights.path"])
    assert "yolox-nano" in printed["message"]


def test_the_slices_memory_counts_in_a_pod_only(bench, monkeypatch):
    large = {
        "schedule.batchSize": 512,
        "model.yolox": {"variant": "nano", "inputSize": {"height": 640, "width": 640}},
    }
    assert bench(large)[0] == 0
    bench.pod(monkeypatch)
    code, printed = bench(large)
    assert (code, printed["findings"][0]["check"]) == (64, "memory")


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.ETIMEDOUT])
def test_a_volume_that_fails_is_a_storage_fault(bench, monkeypatch, number):
    bench.pod(monkeypatch)
    whole = Path.read_bytes

    def read_bytes(path):
        if path.name == "train.json":
            raise OSError(number, os.strerror(number), str(path))
        return whole(path)

    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    assert bench()[0] == protocol.ExitCode.STORAGE_FAULT
    words = bench.last_words()
    assert (words.exit_code, words.failure) == (74, "StorageFault")
    assert "train.json" in words.message
    assert os.strerror(number) in words.message
    monkeypatch.delenv(protocol.ENV_POD_UID)
    result = CliRunner().invoke(app, bench.line("run", "--port", 0))
    assert result.exit_code == protocol.ExitCode.STORAGE_FAULT
    assert "train.json" in result.output


def test_a_full_checkpoint_volume_is_a_storage_fault(bench, monkeypatch):
    def write_bytes(path, content):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    monkeypatch.setattr(Path, "write_bytes", write_bytes)
    monkeypatch.setattr(bench, "write", lambda settings: None)
    bench.file.write_text(json.dumps(bench._values({})))
    code, printed = bench()
    assert code == protocol.ExitCode.STORAGE_FAULT
    assert "full" in printed["message"]


def test_a_run_folder_that_is_no_folder(bench):
    bench.output.write_text("in the way")
    code, printed = bench()
    assert (code, printed["findings"][0]["check"]) == (64, "run-folder")
    assert "spec.checkpoint.volume" in printed["message"]
    assert bench.output.read_text() == "in the way"


def test_a_finished_run_needs_nothing(bench, earlier):
    shutil.copytree(earlier, bench.output)
    shutil.copy(earlier / "manifest.yaml", bench.file)
    shutil.rmtree(bench.volumes["data"])
    bench.write = lambda settings: None
    assert bench()[0] == 0


def test_a_run_folder_of_another_run(bench, earlier):
    shutil.copytree(earlier, bench.output)
    code, printed = bench({"schedule.seed": 7})
    assert (code, printed["findings"][0]["check"]) == (64, "run-folder")
    assert "spec.schedule" in printed["message"]


def test_without_weights_to_look_into_torch_is_not_imported(bench):
    bench.write()
    code = (
        "import sys; from vistrain_trainer.cli.app import app; from typer.testing import CliRunner\n"
        f"result = CliRunner().invoke(app, {bench.line('preflight')!r})\n"
        "assert result.exit_code == 0, result.output\n"
        "assert not {'torch', 'yolox'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_it_ends_at_once_when_asked_to(bench):
    bench.write()
    annotations = bench.volumes["data"] / "train" / "annotations" / "train.json"
    annotations.unlink()
    os.mkfifo(annotations)  # a volume that does not answer
    environment = {**os.environ, protocol.ENV_TERMINATION_LOG: str(bench.words), protocol.ENV_ATTEMPT: "0"}
    program = "from vistrain_trainer.cli import main; main()"
    process = subprocess.Popen([sys.executable, "-c", program, *bench.line("preflight")], env=environment)
    reader = os.open(annotations, os.O_WRONLY)  # returns when the process has come to read it
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == protocol.ExitCode.STOPPED
    os.close(reader)
    assert (bench.last_words().exit_code, bench.last_words().attempt) == (75, 0)


# Before a local run


def test_a_local_run_is_refused_with_every_finding_and_writes_nothing(bench, capfd):
    shutil.rmtree(bench.volumes["data"] / "val" / "images")
    bench.write({"dataset.train.expectImages": 7})
    result = CliRunner().invoke(app, bench.line("run", "--port", 0))
    said = capfd.readouterr().err + result.output
    assert result.exit_code == 64
    assert "spec.dataset.train.expectImages" in said
    assert "spec.dataset.validation.images" in said
    assert not bench.output.exists()


def test_a_run_that_has_begun_is_not_looked_at_again(bench, earlier, monkeypatch):
    shutil.copytree(earlier, bench.output)
    (bench.output / "result.json").unlink()
    assert preflight.begun(bench.output)
    shutil.rmtree(bench.output / "checkpoints")
    assert not preflight.begun(bench.output)
    (bench.output / "result.json").write_text((earlier / "result.json").read_text())
    shutil.copy(earlier / "manifest.yaml", bench.file)

    def examine(*_, **__):
        raise AssertionError("looked at again")

    monkeypatch.setattr(preflight, "examine", examine)
    result = CliRunner().invoke(app, bench.line("run", "--port", 0))
    assert result.exit_code == 0, result.output  # the stored result


def test_a_pod_was_looked_at_before(bench, monkeypatch):
    def examine(*_, **__):
        raise AssertionError("looked at in the pod that holds the slice")

    monkeypatch.setattr(preflight, "examine", examine)
    bench.pod(monkeypatch)
    monkeypatch.setenv(protocol.ENV_ATTEMPT, "1")
    bench.write({"dataset.train.expectImages": 7})
    assert CliRunner().invoke(app, bench.line("run", "--port", 0)).exit_code == 64  # the trainer's own look


def test_a_run_from_another_run_and_its_resume(bench, earlier, capfd):
    settings = {
        "initialization": {"run": {"name": "earlier", "checkpoint": "last"}},
        "schedule.epochs": 1,
        "schedule.warmupEpochs": 0,
        "schedule.noAugEpochs": 0,
    }
    bench.write(settings)
    line = bench.line("run", "--port", 0)
    refused = CliRunner().invoke(app, line)
    assert refused.exit_code == 64
    assert "--run earlier=DIR" in capfd.readouterr().err + refused.output
    done = CliRunner().invoke(app, [*line, "--run", f"earlier={earlier}"])
    assert done.exit_code == 0, done.output
    said = capfd.readouterr().err + done.output
    assert f"tensors from {earlier}/checkpoints/step-000000006 (100 %)" in said
    again = CliRunner().invoke(app, [*line, "--run", f"earlier={earlier}"])
    assert again.exit_code == 0, again.output
    assert "trained 1 epochs" in again.output
    assert "first step" not in again.output
