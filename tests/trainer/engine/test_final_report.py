"""The report that a run writes when it is over."""

from __future__ import annotations

import json

from structlog.testing import capture_logs

from vistrain_trainer.engine.run import run


def test_a_kill_while_it_is_written_loses_nothing(tiny, tmp_path, attempt):
    folder = tmp_path / "run"
    killed = attempt(folder, TINY_REPORT="1", VISTRAIN_TEST_SIGNALS="report.file:3=KILL")
    killed.communicate()
    assert killed.returncode == -9
    assert json.loads((folder / "result.json").read_text())["exitCode"] == 0
    assert not (folder / "report" / "index.html").exists()
    told = (folder / "attempts.jsonl").read_text()
    assert json.loads(told.splitlines()[-1])["exitCode"] == 0

    def start_again() -> int:
        options = tiny.tiny_options(folder, report=True)
        return run(tiny.tiny_manifest(), options, tiny.TinyTask)

    assert start_again() == 0
    page = folder / "report" / "index.html"
    assert "finished: 3 of 3 planned epochs<" in page.read_text()
    assert (folder / "report" / "figures" / "loss.png").is_file()
    page.write_text("mine")
    assert start_again() == 0
    assert page.read_text() == "mine", "a whole report is not written again"
    assert (folder / "attempts.jsonl").read_text() == told


def test_a_report_that_cannot_be_written_ends_no_run(tiny, tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "report").write_text("in the way")
    with capture_logs() as said:
        assert run(tiny.tiny_manifest(), tiny.tiny_options(folder, report=True), tiny.TinyTask) == 0
    (told,) = [entry for entry in said if entry["event"] == "the report was not written"]
    assert "vistrain report" in told["remedy"]


def test_a_run_that_diverged_has_one_and_a_stopped_one_has_none(tiny, tmp_path, attempt):
    def poisoned(*arguments):
        return tiny.TinyTask(*arguments, poison=6)

    folder = tmp_path / "diverged"
    assert run(tiny.tiny_manifest(), tiny.tiny_options(folder, report=True), poisoned) == 66
    page = (folder / "report" / "index.html").read_text()
    assert "failed (NumericalDivergence): 1 of 3 planned epochs" in page
    stopped = attempt(tmp_path / "stopped", TINY_REPORT="1", VISTRAIN_TEST_SIGNALS="step@2=TERM")
    stopped.communicate()
    assert stopped.returncode == 75
    assert not (tmp_path / "stopped" / "report").exists()


def test_it_can_be_left_out(tiny, tmp_path):
    assert run(tiny.tiny_manifest(), tiny.tiny_options(tmp_path / "run", report=False), tiny.TinyTask) == 0
    assert not (tmp_path / "run" / "report").exists()
