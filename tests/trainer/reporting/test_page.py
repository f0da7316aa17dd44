"""The page of a report: every section against the run's data, and nothing from elsewhere."""

from __future__ import annotations

import base64
import dataclasses
import json
import re

import cv2
import numpy as np
import pytest

from support.pages import Page
from vistrain_trainer.evaluation.artifact import EvaluationArtifact
from vistrain_trainer.reporting.judgement import MAX_PICTURES, MAX_SIDE
from vistrain_trainer.reporting.layouts import stability_table, stretch_table
from vistrain_trainer.reporting.page import render_page
from vistrain_trainer.reporting.report import read_report
from vistrain_trainer.reporting.wording import number


def page_of(folder) -> Page:
    return Page(render_page(read_report(folder)))


def test_curves_are_those_of_the_run(interrupted):
    report = read_report(interrupted)
    page = Page(render_page(report))
    history = report.history
    loss = {line["label"]: line for line in page.charts["chart-loss"]["lines"]}
    assert set(loss) == {"training, single steps", "training, mean of the epoch", "validation"}
    for label, series in (
        ("training, mean of the epoch", history.over_epochs("loss/total")),
        ("validation", history.over_epochs("valLoss")),
    ):
        assert loss[label]["x"] == list(series.at)
        assert loss[label]["y"] == pytest.approx(series.values, rel=1e-5)
    steps = history.steps["loss/total"]
    assert loss["training, single steps"]["x"] == pytest.approx([step / 4 for step in steps.at])
    assert loss["training, single steps"]["y"] == pytest.approx(steps.values, rel=1e-5)
    metrics = {line["label"]: line["y"] for line in page.charts["chart-metrics"]["lines"]}
    assert metrics["AP"] == pytest.approx(history.over_epochs("AP").values, rel=1e-5)
    assert page.charts["chart-learning-rate"]["lines"][0]["y"] == pytest.approx(
        history.steps["learning_rate"].values, rel=1e-5
    )
    assert page.charts["chart-seconds-per-epoch"]["lines"][0]["y"] == pytest.approx(
        history.over_epochs("seconds").values, rel=1e-5
    )


def test_tables_are_those_of_the_run(interrupted):
    report = read_report(interrupted)
    history = report.history
    page = Page(render_page(report))
    assert "finished: 3 of 3 planned epochs" in page.texts["outcome"]
    best, stretches, spread = page.tables["progress"]
    points = {
        "AP (max)": ("AP", "max"),
        "valLoss (min)": ("valLoss", "min"),
        "loss/total (min)": ("loss/total", "min"),
    }
    for measure, (name, mode) in points.items():
        point = history.over_epochs(name).best(mode)
        assert best.by_first[measure][:3] == [number(point.value), str(point.at), str(4 * point.at)]
    assert best.by_first["AP (max)"][3] == "weights/best.pth"
    assert stretches.rows[1:] == stretch_table(history).shown()
    assert spread.rows[1:] == stability_table(history).shown()
    marks = page.tables["curves"][0]
    assert [row[1] for row in marks.rows[1:]] == [mark.kind for mark in history.marks]
    attempts, breaks = page.tables["attempts"]
    assert attempts.column("ended") == [
        "stopped on request",
        "without a word, as when killed",
        "finished the run, exit code 0",
    ]
    assert breaks.column("steps repeated") == ["0", "2"]
    gap = report.gap
    assert f"difference {number(gap.difference)}" in page.texts["gap"]
    for paragraph in report.paragraphs:
        for sentence in paragraph:
            assert str(sentence) in " ".join(page.texts["story"].split())


def test_it_can_be_done_again(interrupted, yolox):
    for folder in (interrupted, yolox):
        page = page_of(folder)
        start = json.loads((folder / "attempts.jsonl").read_text().splitlines()[-2])
        assert page.texts["command"].split()[0] == "vistrain"
        assert start["command"][0] == "vistrain"
        assert page.texts["manifest"] == (folder / "manifest.yaml").read_text()
        environment, thresholds, digests, *_ = page.tables["reproduce"]
        assert environment.by_first["torch"] == [start["environment"]["torch"]]
        assert environment.by_first["threads"] == [str(start["environment"]["threads"])]
        assert thresholds.by_first == {"confidence": ["0.01"], "nmsIou": ["0.65"], "maxDetections": ["100"]}
        identity = json.loads((folder / "identity.json").read_text())
        assert digests.by_first["spec"] == [identity["specDigest"]]
    assert digests.by_first["annotations of train"] == [identity["task"]["data"]["train"]]


def test_an_evaluation_is_shown_as_it_was_found(judged):
    artifact = EvaluationArtifact.read(judged / "evaluation" / "validation")
    page = page_of(judged)
    operating, classes, confusion, slices = page.tables["evaluation-validation"]
    assert operating.by_first["best F1"][0] == number(artifact.operating[1].confidence)
    assert classes.by_first["car"][0] == number(artifact.metrics["AP/car"])
    assert [[int(cell) for cell in row[1:]] for row in confusion.rows[1:]] == [
        list(row) for row in artifact.confusion.counts
    ]
    assert slices.rows[1][:4] == ["all", "whole split", "12", str(artifact.annotations)]
    curve = page.charts["chart-precision-recall-validation"]["lines"][0]
    assert curve["y"] == pytest.approx(artifact.curves.classes["car"].precision, rel=1e-5)
    assert len(page.images) == min(MAX_PICTURES, len(artifact.pictures)) > 3


def test_needs_no_network(interrupted, yolox, judged):
    for folder in (interrupted, yolox, judged):
        text = render_page(read_report(folder))
        page = Page(text)
        assert all(address.startswith("data:") for address in page.addresses)
        assert all(anchor.startswith("#") for anchor in page.anchors)
        assert {anchor[1:] for anchor in page.anchors} == set(page.sections)
        assert not re.search(r"https?://|url\(|@import|fetch\(|XMLHttpRequest", text)
        assert len(text) < 1_500_000


def test_pictures_are_bounded_in_number_and_size(judged, copy):
    large = cv2.imencode(".jpg", np.zeros((900, 3200, 3), np.uint8))[1].tobytes()
    artifact = EvaluationArtifact.read(judged / "evaluation" / "validation")
    pictures = tuple(
        dataclasses.replace(artifact.pictures[0], file=f"pictures/errors-{number}-100.jpg")
        for number in range(MAX_PICTURES + 2)
    )
    files = {picture.file: large for picture in pictures} | {pictures[0].file: b"no picture"}
    folder = copy / "evaluation" / "validation"
    dataclasses.replace(artifact, pictures=pictures).write(folder, [], files)
    page = page_of(copy)
    assert len(page.images) == MAX_PICTURES - 1
    assert "2 more in the run folder" in page.texts["evaluation-validation"]
    for image in page.images:
        content = base64.b64decode(image.removeprefix("data:image/jpeg;base64,"))
        assert max(cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR).shape) == MAX_SIDE


def test_what_could_not_be_judged_is_said(judged, copy):
    artifact = EvaluationArtifact.read(judged / "evaluation" / "validation")
    told = dataclasses.replace(artifact, pictures=(), notes=("sliced by size only: tags",))
    told.write(copy / "evaluation" / "validation", [], {})
    page = page_of(copy)
    assert "sliced by size only: tags" in page.texts["evaluation-validation"]
    assert page.images == []


def test_sections_without_data_are_left_out(made, told):
    page = page_of(made([], [told(1, "start", 0, restoredStep=None, environment={})]))
    assert page.sections == ["story", "attempts", "reproduce"]
    assert page.charts == {}
    assert "0 of 3 planned epochs" in page.texts["outcome"]
    assert "running or broken off" in page.texts["outcome"]


def test_one_epoch_and_values_that_are_none(made):
    rows = [
        {
            "epoch": 1,
            "step": 4,
            "learning_rate": 0.1,
            "seconds": 2.5,
            "loss/total": 1.5,
            "AP": "",
            "AP50": "nan",
        }
    ]
    page = page_of(made(rows, schedule__epochs=3))
    assert page.charts["chart-loss"]["lines"] == [
        {"label": "training, mean of the epoch", "color": 1, "x": [1.0], "y": [1.5]}
    ]
    assert "chart-metrics" not in page.charts
    assert "1 of 3 planned epochs" in page.texts["outcome"]
    best = page.tables["progress"][0]
    assert list(best.by_first) == ["loss/total (min)"]


def test_names_and_words_of_a_run_cannot_break_the_page(made, told):
    bad = '</script><img src=x onerror="alert(1)">&amp;'
    rows = [
        {"epoch": epoch, "step": 4 * epoch, "loss/total": 1.0, "AP": 0.5, f"AP/{bad}": 0.25}
        for epoch in (1, 2)
    ]
    page = page_of(
        made(
            rows,
            [
                told(1, "start", 0, restoredStep=None, environment={"image": bad}),
                told(1, "end", 9, exitCode=66, lastStep=8, failure="X", message=bad),
            ],
        )
    )
    assert page.images == []
    assert page.charts["chart-metrics-by-class"]["lines"][0]["label"] == bad
    assert page.tables["metrics"][1].by_first == {bad: ["0.25"]}
    assert "failed (X)" in page.texts["outcome"]


def test_an_artifact_that_cannot_be_read_is_a_note(copy):
    folder = copy / "evaluation" / "test"
    folder.mkdir(parents=True)
    (folder / "evaluation.json").write_text("{")
    report = read_report(copy)
    assert report.judgements == ()
    assert any("evaluation on the test split is left out" in alert for alert in report.alerts())
    assert "Not everything could be read" in render_page(report)
