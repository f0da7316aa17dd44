"""Run folders read back: really trained, half written, never begun."""

from __future__ import annotations

import csv
import dataclasses
import json

import pytest

from vistrain_trainer.errors import BadInput
from vistrain_trainer.reporting.history import read_history
from vistrain_trainer.reporting.layouts import stability_table
from vistrain_trainer.reporting.prose import tell


def test_curves_are_the_rows_of_the_folder(interrupted):
    history = read_history(interrupted)
    rows = list(csv.DictReader((interrupted / "metrics.csv").read_text().splitlines()))
    assert [point.at for point in history.over_epochs("loss/total").points] == [1, 2, 3]
    for name in ("learning_rate", "seconds", "loss/total", "loss/cls", "AP", "AP/square", "valLoss"):
        assert history.over_epochs(name).values == tuple(float(row[name]) for row in rows)
    assert history.loss_names == ("loss/total", "loss/cls")
    assert history.metric_names == ("AP", "AP50", "AP/square", "valLoss")
    log = [json.loads(line) for line in (interrupted / "log.jsonl").read_text().splitlines()]
    assert history.steps["loss/total"].at == tuple(range(1, 13))
    assert history.steps["loss/total"].values == tuple(row["loss"]["total"] for row in log)
    assert history.steps["learning_rate"].values == tuple(row["learning_rate"] for row in log)
    assert (history.name, history.primary, history.step, history.steps_per_epoch) == ("tiny", "AP", 12, 4)
    assert (history.trained_epochs, history.planned_epochs) == (3, 3)
    assert history.status is not None
    assert history.status.phase == "Succeeded"
    assert history.training_seconds() == pytest.approx(sum(float(row["seconds"]) for row in rows))
    assert history.training_seconds(1) == float(rows[0]["seconds"])
    assert history.data == {"data": "one", "classes": ["square"]}
    assert history.outcome is not None
    assert history.outcome.exit_code == 0
    assert history.notes == ()


def test_marks_and_interruptions_of_a_run_that_was_killed_and_stopped(interrupted):
    history = read_history(interrupted)
    stopped, killed = history.interruptions
    assert (stopped.ended.exit_code, stopped.ended.last_step, stopped.steps_lost) == (75, 5, 0)
    assert stopped.resumed.restored_step == 5
    assert stopped.idle_seconds == (stopped.resumed.started_at - stopped.ended.ended_at).total_seconds() > 0
    assert (killed.ended.exit_code, killed.ended.last_step, killed.idle_seconds) == (None, 7, None)
    assert (killed.resumed.restored_step, killed.steps_lost, killed.failed_starts) == (5, 2, 0)
    best = max(history.over_epochs("AP").points, key=lambda point: point.value).at
    places = sorted((mark.step, mark.kind) for mark in history.marks)
    assert places == sorted(
        [
            (4, "warm-up end"),
            (5, "stop"),
            (5, "resume"),
            (5, "resume"),
            (7, "stop"),
            (8, "no-aug start"),
            (4 * best, "best"),
        ]
    )
    assert [mark.step for mark in history.marks] == sorted(mark.step for mark in history.marks)
    assert all(mark.epoch == mark.step / 4 for mark in history.marks)


def test_of_equal_values_the_earlier_is_best_and_the_test_split_is_in_the_results(untouched):
    history = read_history(untouched)
    assert [mark.step for mark in history.marks if mark.kind == "best"] == [8]
    assert history.outcome.results["test/AP"] == 0.45
    assert history.interruptions == ()
    assert [attempt.exit_code for attempt in history.attempts] == [0]


def test_is_frozen(interrupted):
    history = read_history(interrupted)
    with pytest.raises(dataclasses.FrozenInstanceError):
        history.step = 3
    with pytest.raises(TypeError):
        history.epochs["AP"] = history.over_epochs("AP50")


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(BadInput, match="there is no such folder"):
        read_history(tmp_path / "nothing")


def test_a_run_that_never_began_says_why(tiny, tmp_path):
    from vistrain_trainer.engine.run import run

    with pytest.raises(BadInput, match="no run has begun in it"):
        read_history(tmp_path)

    def refuse(manifest, context):
        raise BadInput(field="spec.dataset", value="x", problem="it is empty", remedy="Fill it")

    assert run(tiny.tiny_manifest(), tiny.tiny_options(tmp_path / "run"), refuse) == 64
    with pytest.raises(
        BadInput, match=r"no run has begun .*the last start ended with: spec.dataset: x: it is"
    ):
        read_history(tmp_path / "run")


def test_a_run_that_began_and_has_no_rows_yet(made):
    history = read_history(made())
    assert (history.step, history.trained_epochs, history.steps_per_epoch) == (0, 0, None)
    assert history.marks == history.attempts == history.notes == ()
    assert len(history.over_epochs("AP")) == 0
    assert history.training_seconds() is None
    assert (history.status, history.outcome, dict(history.data)) == (None, None, {})


@pytest.mark.parametrize("name", ["metrics.csv", "log.jsonl", "attempts.jsonl"])
def test_a_torn_last_line_is_left_out(copy, name):
    whole = read_history(copy)
    path = copy / name
    path.write_bytes(path.read_bytes()[:-5])
    torn = read_history(copy)
    if name == "metrics.csv":
        assert torn.over_epochs("AP").at == (1, 2)
    elif name == "log.jsonl":
        assert torn.steps["loss/total"].at == tuple(range(1, 12))
    else:
        assert torn.attempts[:2] == whole.attempts[:2]
        assert (torn.attempts[2].trained, torn.attempts[2].exit_code) == (True, None)


@pytest.mark.parametrize(
    "name",
    [
        "manifest.yaml",
        "metrics.csv",
        "log.jsonl",
        "attempts.jsonl",
        "status.yaml",
        "result.json",
        "identity.json",
    ],
)
def test_a_file_torn_anywhere_is_read_or_named(copy, name):
    content = (copy / name).read_bytes()
    read, refused = 0, []
    for end in range(0, len(content), max(1, len(content) // 12)):
        (copy / name).write_bytes(content[:end])
        try:
            history = read_history(copy)
        except BadInput as error:
            refused.append(str(error))
            continue
        assert tell(history)
        assert stability_table(history).to_json()
        read += 1
    assert all(name in message for message in refused)
    assert (read == 0) == (name in ("result.json", "identity.json"))


def test_a_torn_status_is_left_out_and_said(copy):
    for text in ("", "phase: [", "phase: Nowhere\n", "progress: 3\n"):
        (copy / "status.yaml").write_text(text)
        history = read_history(copy)
        assert history.status is None
        assert history.notes[0].startswith("status.yaml is left out: ")
        assert (history.step, history.steps_per_epoch) == (12, 4)


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("manifest.yaml", "a: [", "manifest.yaml"),
        ("manifest.yaml", "kind: DetectorTraining\n", "is not the manifest of a run"),
        ("metrics.csv", "epoch,step,AP\n1,4,good\n", "metrics.csv: AP: good: the cell of epoch 1 is not a"),
        ("metrics.csv", "epoch,AP\n2,0.1\n1,0.2\n", "metrics.csv: epoch: 1: it stands after epoch 2"),
        ("metrics.csv", b"epoch,AP\n1,\xff\n", "it cannot be read"),
        ("log.jsonl", '{"step":1,"loss":{"total":"x"}}\n', "log.jsonl: loss/total: x: the value at step 1"),
        ("log.jsonl", '{"step":1,"loss":3}\n', "the row of step 1 has no parts"),
        ("log.jsonl", '{"step":2}\n{"step":2}\n', "log.jsonl: step: 2: it stands after step 2"),
        ("result.json", "{", "is not JSON"),
        ("result.json", '{"exitCode": 0}', "it is not a result"),
        ("identity.json", "[]", "it does not say what the run's data are"),
        ("attempts.jsonl", b"\xff\n", "it cannot be read"),
    ],
)
def test_a_file_that_is_not_ours_is_named(copy, name, content, problem):
    (copy / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(BadInput) as error:
        read_history(copy)
    assert problem in str(error.value)
    assert str(copy / name) in str(error.value)


@pytest.mark.parametrize(
    "name", ["metrics.csv", "log.jsonl", "attempts.jsonl", "result.json", "identity.json"]
)
def test_a_folder_in_a_file_s_place_is_named(copy, name):
    (copy / name).unlink()
    (copy / name).mkdir()
    with pytest.raises(BadInput, match="cannot be read"):
        read_history(copy)


def test_columns_without_a_value_and_values_that_are_not_finite(made):
    rows = [{"epoch": 1, "step": 4, "AP": "", "AR1": 0.5}, {"epoch": 2, "step": 8, "AP": "", "AR1": "nan"}]
    history = read_history(made(rows))
    assert "AP" in history.metric_names
    assert len(history.over_epochs("AP")) == 0
    assert history.over_epochs("AR1").points == ((1, 0.5),)
    assert [mark.kind for mark in history.marks] == ["warm-up end", "no-aug start"]


def test_a_stop_whose_steps_are_lost_is_marked_ahead_of_the_run(made, told):
    attempts = [
        told(1, "start", 0, restoredStep=None),
        told(1, "seen", 100, lastStep=7),
        told(2, "start", 100, restoredStep=4),
    ]
    history = read_history(made([{"epoch": 1, "step": 4, "AP": 0.1}], attempts))
    assert [(mark.kind, mark.step) for mark in history.marks if mark.kind in ("stop", "resume")] == [
        ("resume", 4),
        ("stop", 7),
    ]
    assert "no-aug start" not in [mark.kind for mark in history.marks]


def test_starts_that_fail_before_they_train_lie_within_an_interruption(made, told):
    attempts = [
        told(1, "start", 0, restoredStep=None),
        told(2, "end", 50, lastStep=0, exitCode=64, failure="BadInput", message="no volume"),
        told(3, "start", 90, restoredStep=2),
        told(3, "end", 95, lastStep=3, exitCode=74, failure="StorageFault", message="full"),
    ]
    first, last = read_history(made(attempts=attempts)).interruptions
    assert (first.failed_starts, first.steps_lost, first.idle_seconds) == (1, None, None)
    assert (last.resumed, last.ended.failure, last.steps_lost) == (None, "StorageFault", None)


def test_lines_that_are_not_rows_of_attempts_are_passed_over(made, told):
    folder = made(attempts=[told(1, "start", 0, restoredStep=None), told(1, "unknown", 1)])
    path = folder / "attempts.jsonl"
    path.write_text('{"attempt"\n[]\n{"attempt":1,"token":1}\n' + path.read_text())
    (only,) = read_history(folder).attempts
    assert only.trained
    assert read_history(folder).interruptions == ()


def test_marks_say_what_happened(made, told):
    attempts = [
        told(1, "start", 0, restoredStep=None),
        told(1, "end", 9, lastStep=3, exitCode=74, failure="StorageFault", message="full"),
        told(2, "start", 20, restoredStep=None),
        told(2, "end", 30, lastStep=4, exitCode=75, failure=None, message="stopped by SIGTERM"),
        told(3, "start", 40, restoredStep=4),
        told(3, "seen", 50, lastStep=5),
        told(4, "start", 50, restoredStep=4),
    ]
    texts = [mark.text for mark in read_history(made(attempts=attempts)).marks]
    assert texts == [
        "attempt 2 began anew",
        "attempt 1 ended (StorageFault, exit code 74)",
        "attempt 2 ended (stopped on request)",
        "attempt 3 went on from here",
        "attempt 4 went on from here",
        "attempt 3 ended (without a word, as when killed)",
    ]
