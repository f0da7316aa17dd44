"""What a user gets wrong ends in a condition and an event that name the thing and the way out."""

import pytest

pytestmark = pytest.mark.cluster


def refused(run, *words, seconds=90):
    status = run.becomes("Failed", seconds=seconds)
    assert run.classes() == ["BadInput"]
    assert status["attempt"] == 1, "bad input is never retried"
    message = run.condition("Failed")["message"]
    for word in words:
        assert word in message, message
        assert word in run.said(), run.said()
    [attempt] = run.attempts()
    assert attempt["exitCode"] == 64


def test_missing_volume(runs):
    run = runs.new("no-volume", dataset={"volume": {"claimName": "nowhere"}}).apply()
    condition = runs.wait("Accepted to be False", lambda: _false(run.condition("Accepted")), seconds=20)
    assert "nowhere" in condition["message"]
    assert "dataset.volume" in condition["message"]
    assert "nowhere" in run.said()
    assert run.pods() == []
    run.delete()


def test_missing_annotation_file(runs):
    run = runs.new("no-annotations", dataset={"train": {"annotations": "annotations/trian.json"}}).apply()
    refused(run, "annotations/trian.json", "dataset.train")


def test_missing_image(runs):
    run = runs.new("no-image", dataset={"train": {"images": "elsewhere"}}).apply()
    refused(run, "elsewhere", "dataset.train")


def test_class_mismatch(runs):
    run = runs.new("classes", dataset={"classes": ["car", "truck"]}).apply()
    refused(run, "classes", "trailer")


def test_weights_that_do_not_fit(runs):
    volume = {"claimName": "checkpoints"}
    initialization = {"scratch": None, "weights": {"volume": volume, "path": "nothing-here.pth"}}
    refused(
        runs.new("no-weights", initialization=initialization).apply(),
        "nothing-here.pth",
        "initialization.weights",
    )


def test_wrong_count(runs):
    run = runs.new("count", dataset={"train": {"expectImages": 23}}).apply()
    refused(run, "expectImages", "23", "24")


def _false(condition: dict) -> dict | None:
    return condition if condition.get("status") == "False" else None
