"""Phases, roll-backs, smaller micro-batches and early stops, in marks, stretches, charts and prose."""

from __future__ import annotations

import functools
import json

import pytest

from support.pages import Page
from vistrain_trainer.engine.run import run
from vistrain_trainer.reporting.events import EarlyStop, epochs_before_tail, read_events
from vistrain_trainer.reporting.history import read_history
from vistrain_trainer.reporting.page import render_page
from vistrain_trainer.reporting.prose import tell
from vistrain_trainer.reporting.report import read_report
from vistrain_trainer.reporting.stability import stretches
from vistrain_trainer.reporting.verdict import verdict


@pytest.fixture
def eventful(made, told):
    """80 epochs planned, 21 done, best at 6: two phases, a roll-back, a smaller micro-batch."""
    rows = [
        {
            "epoch": epoch,
            "phase": "head" if epoch <= 8 else "all",
            "step": 4 * epoch,
            "learning_rate": 0.1,
            "learning_rate/backbone": 0.01,
            "learning_rate/head": 0.1,
            "loss/total": 2.0 - epoch / 20,
            "AP": 0.5 - abs(epoch - 6) / 100,
        }
        for epoch in range(1, 22)
    ]
    folder = made(rows, [told(1, "start", 0, restoredStep=None, environment={})], schedule__epochs=80)
    log = [
        {
            "step": step,
            "epoch": 1,
            "phase": "head",
            "loss": {"total": 1.0},
            "learning_rate": 0.1,
            "learning_rates": {"backbone": 0.01, "head": 0.1},
        }
        for step in (2, 4)
    ]
    (folder / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in log))
    values = json.loads((folder / "manifest.yaml").read_text())
    events = [
        {"event": "phase", "step": 0, "epoch": 0, "name": "head", "frozen": ["backbone"]},
        {"event": "phase", "step": 32, "epoch": 8, "name": "all", "frozen": []},
        {"event": "rollBack", "step": 40, "epoch": 10, "from": 43, "number": 1, "rateFactor": 0.5},
        {"event": "microBatch", "step": 44, "epoch": 11, "before": 8, "after": 4},
        {
            "event": "earlyStopping",
            "step": 84,
            "epoch": 21,
            "what": "run",
            "best": 6,
            "metric": "AP",
            "patience": 15,
            "leftOut": 59,
        },
    ]
    for second, event in enumerate(events):
        event["time"] = f"2026-01-01T00:00:{second:02}.000Z"
    (folder / "events.jsonl").write_text("".join(json.dumps(row) + "\n" for row in events) + '{"event": "pha')
    progress = {
        "version": 1,
        "phase": "Finished",
        "epoch": 21,
        "epochs": 80,
        "message": "stopped early",
        "podUid": "",
    }
    result = {"exitCode": 0, "progress": json.dumps(progress | {"attempt": 1, "token": 1})}
    (folder / "result.json").write_text(json.dumps(result))
    assert values["spec"]["schedule"]["epochs"] == 80
    return folder


def test_a_run_that_stopped_early_says_planned_done_best_and_why(eventful):
    history = read_history(eventful)
    said = [str(sentence) for sentence in tell(history)]
    assert "It stopped early: planned 80, done 21, best 6, because of patience 15." in said
    found = verdict(history)
    assert found.state == "stopped early"
    assert found.headline == "stopped early: 21 of 80 planned epochs, because of patience 15"
    page = Page(render_page(read_report(eventful)))
    assert "21 of 80 planned epochs" in page.texts["outcome"]
    assert not any("80 epochs" in sentence and "trained all" in sentence for sentence in said)


def test_events_are_marks_once_each(eventful):
    history = read_history(eventful)
    kinds = [(mark.kind, mark.step) for mark in history.marks]
    assert kinds == [
        ("phase", 0),
        ("warm-up end", 4),
        ("best", 24),
        ("phase", 32),
        ("roll-back", 40),
        ("micro-batch", 44),
        ("early stop", 84),
    ]
    texts = {mark.kind: mark.text for mark in history.marks}
    assert texts["roll-back"] == "rolled back to here from step 43"
    assert texts["micro-batch"] == "micro-batch shrunk from 8 to 4"
    assert texts["early stop"] == "run stopped early (patience 15)"
    assert history.marks[0].text == "phase head begins (frozen: backbone)"
    said = " ".join(map(str, tell(history)))
    assert "It has gone through 2 phases: head and all." in said
    assert "It was rolled back once, from step 43 to 40, because its loss was not finite; since then" in said
    assert (
        "Its micro-batch was shrunk once for want of GPU memory, after step 44, and is 4 images now" in said
    )


def test_rates_by_part_and_words_are_no_metrics(eventful):
    history = read_history(eventful)
    assert history.metric_names == ("AP",)
    assert history.phases[8] == "head"
    assert history.phases[9] == "all"
    assert history.steps["learning_rate/backbone"].values == (0.01, 0.01)
    page = Page(render_page(read_report(eventful)))
    rates = {line["label"]: line["y"] for line in page.charts["chart-learning-rate"]["lines"]}
    assert rates == {"backbone": [0.01, 0.01], "head": [0.1, 0.1]}


def test_stretches_follow_the_phases_as_they_were_trained(eventful):
    values = json.loads((eventful / "manifest.yaml").read_text())
    history = read_history(eventful)
    assert values["spec"]["schedule"].get("phases") is None
    found = [(one.name, one.kind, one.first, one.last) for one in stretches(history)]
    assert found[:2] == [("head", "phase", 1, 8), ("all", "phase", 9, 21)]


def test_phases_that_were_really_trained_and_stopped_early(tiny, tmp_path):
    """Phase `a` is best in epoch 1, with a patience of 2: its epochs 4 and 5 are left out."""
    phases = [
        {
            "name": "a",
            "epochs": 5,
            "warmupEpochs": 2,
            "freeze": ["backbone"],
            "earlyStopping": {"patience": 2},
        },
        {"name": "b", "epochs": 3, "learningRates": {"head": 0.01}, "warmupEpochs": 1},
    ]
    manifest = tiny.tiny_manifest(schedule__epochs=8, schedule__phases=phases)
    falling = {number: 1 - 0.1 * number for number in range(1, 10)}
    task = functools.partial(tiny.TinyTask, names={"body": "backbone"}, values=falling)
    assert run(manifest, tiny.tiny_options(tmp_path), task) == 0
    history = read_history(tmp_path)
    assert (
        verdict(history).headline == "stopped early: 6 of 8 planned epochs, because of patience 2 in phase a"
    )
    said = [str(sentence) for sentence in tell(history)]
    assert (
        "The phase a stopped early: done at epoch 3, best 1, because of patience 2; "
        "2 epochs of the plan were left out." in said
    )
    found = [(one.name, one.kind, one.first, one.last) for one in stretches(history)]
    assert found == [
        ("a", "phase", 1, 3),
        ("b", "phase", 4, 6),
        ("warm-up", "part", 1, 2),
        ("main", "part", 3, 5),
        ("no-aug", "part", 6, 6),
    ]
    assert [(mark.kind, mark.step) for mark in history.marks] == [
        ("phase", 0),
        ("best", 4),
        ("warm-up end", 8),
        ("early stop", 12),
        ("phase", 12),
        ("warm-up end", 16),
        ("no-aug start", 20),
    ]
    page = Page(render_page(read_report(tmp_path)))
    rates = {line["label"]: line["y"] for line in page.charts["chart-learning-rate"]["lines"]}
    assert set(rates) == {"backbone", "head"}
    assert rates["backbone"][:12] == [0] * 12


@pytest.mark.parametrize(
    ("stops", "epochs"),
    [
        ([], 70),
        ([("phase a", 20, 20)], 50),  # phase a of 40 epochs
        ([("phase a", 20, 20), ("phase b", 40, 15)], 40),  # the second reaches into the tail
        ([("run", 21, 59)], None),
        ([("run", 75, 5)], 70),
    ],
)
def test_the_tail_of_the_plan_begins_earlier_by_what_was_left_out(stops, epochs):
    told = [EarlyStop(what, 4 * epoch, epoch, 1, "AP", 9, left) for what, epoch, left in stops]
    assert epochs_before_tail(80, 10, told) == epochs


def test_no_events_in_older_runs(tmp_path):
    assert read_events(tmp_path / "events.jsonl") == ()
