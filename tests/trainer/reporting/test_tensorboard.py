"""TensorBoard's events, read back by TensorBoard: each row once, whatever was killed when."""

from __future__ import annotations

import functools
import json

import pytest
from structlog.testing import capture_logs
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from vistrain_trainer.engine.run import run
from vistrain_trainer.reporting.history import read_history
from vistrain_trainer.reporting.judgement import MAX_PICTURES
from vistrain_trainer.telemetry.event_file import EventFile, Image
from vistrain_trainer.telemetry.tensorboard import TensorBoardMirror, write_pictures


def read(folder) -> EventAccumulator:
    events = EventAccumulator(str(folder / "tensorboard"), size_guidance={"scalars": 0, "images": 0})
    return events.Reload()


def steps(events: EventAccumulator, tag: str) -> list[int]:
    return [event.step for event in events.Scalars(tag)]


def test_a_run_that_was_stopped_and_killed_has_each_row_once(interrupted):
    """Its first two starts wrote events of steps that the third did again."""
    events = read(interrupted)
    rows = [json.loads(line) for line in (interrupted / "log.jsonl").read_text().splitlines()]
    for tag, values in (
        ("loss/total", [row["loss"]["total"] for row in rows]),
        ("learning_rate/all", [row["learning_rate"] for row in rows]),
    ):
        assert steps(events, tag) == [row["step"] for row in rows] == list(range(1, 13))
        assert [event.value for event in events.Scalars(tag)] == pytest.approx(values, rel=1e-6)
    for tag in ("validation/AP", "validation/loss", "epoch/loss/total", "epoch/seconds"):
        assert steps(events, tag) == [4, 8, 12]
    assert [path.name for path in (interrupted / "tensorboard").iterdir()] == [
        "events.out.tfevents.0000000003.rows"
    ]


def test_readers_at_an_older_file_forget_what_was_rewound(tmp_path):
    """The file of a killed start is still there while the next has begun its own."""
    folder = tmp_path / "tensorboard"
    folder.mkdir()
    with EventFile(folder / "events.out.tfevents.0000000001.rows", 1.0, restart=True) as file:
        for step in range(1, 8):
            file.scalars(float(step), step, {"loss/total": 1.0})
    events = read(tmp_path)
    assert steps(events, "loss/total") == list(range(1, 8))
    with EventFile(folder / "events.out.tfevents.0000000002.rows", 9.0, restart=True) as file:
        for step in range(1, 6):
            file.scalars(10.0 + step, step, {"loss/total": 2.0})
    events.Reload()
    again = [(event.step, event.value) for event in events.Scalars("loss/total")]
    assert again == [(step, 2.0) for step in range(1, 6)]
    assert steps(read(tmp_path), "loss/total") == list(range(1, 6))


def test_a_run_that_was_rolled_back_has_each_row_once(tiny, tmp_path):
    """Its second phase overflows at a rate far too high, and is done again at a thousandth of it."""
    phases = [
        {"name": "calm", "epochs": 2, "learningRate": {"peak": 0.01}},
        {"name": "wild", "learningRate": {"peak": 10.0}},
    ]
    on_nan = {"rollBack": {"max": 2, "learningRateFactor": 0.001}}
    manifest = tiny.tiny_manifest(schedule__epochs=5, schedule__phases=phases, resilience__onNaN=on_nan)
    task = functools.partial(tiny.TinyTask, steep=True)
    assert run(manifest, tiny.tiny_options(tmp_path / "run"), task) == 0
    history = read_history(tmp_path / "run")
    assert [mark.step for mark in history.marks if mark.kind == "roll-back"] == [8]
    events = read(tmp_path / "run")
    assert steps(events, "loss/total") == list(range(1, 21))
    assert steps(events, "validation/AP") == [4, 8, 12, 16, 20]
    rates = [event.value for event in events.Scalars("learning_rate/head")]
    assert rates == pytest.approx(history.steps["learning_rate/head"].values, rel=1e-6)


def test_samples_and_pictures_of_a_run(yolox):
    events = read(yolox)
    samples = [f"training samples/{number}" for number in (1, 2, 3, 4)]
    drawn = json.loads((yolox / "evaluation" / "validation" / "evaluation.json").read_text())["pictures"]
    pictures = [f"validation/{number}" for number, _ in enumerate(drawn[:MAX_PICTURES], start=1)]
    assert sorted(events.Tags()["images"]) == sorted([*samples, *pictures])
    assert pictures
    (sample,) = events.Images("training samples/1")
    assert (sample.step, sample.height, sample.width) == (1, 64, 96)
    (picture,) = events.Images("validation/1")
    assert picture.step == 6
    assert sample.encoded_image_string[:2] == picture.encoded_image_string[:2] == b"\xff\xd8"
    assert steps(events, "pace/data_wait_ratio")[-1] == 6


def test_pictures_are_replaced(tmp_path):
    for value in (b"one", b"two"):
        write_pictures(tmp_path, {"validation/1": Image(value, 4, 5)}, step=12, wall_time=1.0)
    (image,) = read(tmp_path).Images("validation/1")
    assert (image.encoded_image_string, image.step) == (b"two", 12)


def test_nothing_is_begun_before_the_first_row(tmp_path):
    mirror = TensorBoardMirror(tmp_path, 1)
    mirror.close()
    assert list(tmp_path.iterdir()) == []


def test_what_goes_wrong_is_noted_and_ends_no_run(tiny, tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "tensorboard").write_text("in the way")
    with capture_logs() as said:
        assert run(tiny.tiny_manifest(), tiny.tiny_options(folder), tiny.TinyTask) == 0
    assert "no events for TensorBoard" in [entry["event"] for entry in said]
