"""What a user gets wrong ends in a condition and an event that name the thing and the way out."""

import pytest

pytestmark = pytest.mark.cluster


SLICE = {"accelerator": {"cpu": None, "mig": {"profile": "1g.20gb"}}}


def test_missing_volume(runs):
    run = runs.new("no-volume", dataset={"volume": {"claimName": "nowhere"}}).apply()
    condition = runs.wait("Accepted to be False", lambda: _false(run.condition("Accepted")), seconds=20)
    assert "nowhere" in condition["message"]
    assert "dataset.volume" in condition["message"]
    assert "nowhere" in run.said()
    assert run.pods() == []
    run.delete()


def test_missing_annotation_file(runs):
    run = runs.new(
        "no-annotations",
        dataset={"train": {"annotations": "annotations/trian.json"}},
        resources=SLICE,
    ).apply()
    run.is_refused("annotations/trian.json", "dataset.train")


def test_missing_image(runs):
    run = runs.new("no-image", dataset={"train": {"images": "elsewhere"}}, resources=SLICE).apply()
    run.is_refused("elsewhere", "dataset.train")


def test_class_mismatch(runs):
    run = runs.new("classes", dataset={"classes": ["car", "truck"]}).apply()
    run.is_refused("classes", "trailer")


def test_weights_that_do_not_fit(runs):
    volume = {"claimName": "checkpoints"}
    initialization = {"scratch": None, "weights": {"volume": volume, "path": "nothing-here.pth"}}
    run = runs.new("no-weights", initialization=initialization, resources=SLICE).apply()
    run.is_refused("nothing-here.pth", "initialization.weights")


def test_wrong_count(runs):
    run = runs.new("count", dataset={"train": {"expectImages": 23}}).apply()
    run.is_refused("expectImages", "23", "24")


def test_everything_that_is_wrong_is_told_at_once(runs):
    dataset = {"train": {"expectImages": 23}, "validation": {"images": "elsewhere"}}
    run = runs.new("twice", dataset=dataset, resources=SLICE).apply()
    run.is_refused("expectImages", "elsewhere", "dataset.validation.images")


def test_another_run_that_is_not_there_yet(runs):
    """It waits without a Job, and starts by itself from the best checkpoint when that run has ended."""
    first = runs.new("earlier")
    second = runs.new("later", initialization={"scratch": None, "run": {"name": first.name}}).apply()
    condition = runs.wait("Accepted to be False", lambda: _false(second.condition("Accepted")), seconds=20)
    assert condition["reason"] == "WaitsForRun"
    assert first.name in condition["message"]
    assert second.preflight_jobs() == second.jobs() == []
    first.apply()
    status = first.becomes("Succeeded")
    second.becomes("Succeeded")
    start = second.status()["resolved"]["initialization"]
    assert start["path"] == (f"{status['resolved']['path']}/checkpoints/step-{status['best']['step']:09d}")
    assert [event["reason"] for event in second.events()].count("WaitsForRun") == 1
    said = second.kubectl.logs(second.pods()[0]["metadata"]["name"])
    assert f"tensors from /volumes/checkpoints/{start['path']} (100 %)" in said


def _false(condition: dict) -> dict | None:
    return condition if condition.get("status") == "False" else None
