"""Checkpoint volumes that fail: what was saved stays, and the run says what is wrong."""

import pytest

from support.site import unique

pytestmark = pytest.mark.cluster


def test_weights_that_are_no_weights(runs):
    (runs.checkpoint_folder() / "noise.pth").write_bytes(b"these are no weights")
    initialization = {
        "scratch": None,
        "weights": {"volume": {"claimName": "checkpoints"}, "path": "noise.pth"},
    }
    run = runs.new("noise", initialization=initialization).apply()
    run.is_refused("noise.pth")


def test_a_corrupt_last_checkpoint_is_passed_over_for_the_one_before(runs):
    run = runs.new("corrupt", schedule={"epochs": 12}, checkpoint={"keep": {"last": 3}}).apply()
    run.reaches_step(14)
    run.patch({"suspend": True})
    run.becomes("Suspended")
    steps = sorted((runs.folder(run) / "checkpoints").glob("step-*"))
    state = steps[-1] / "state.pt"
    content = bytearray(state.read_bytes())
    content[len(content) // 2] ^= 0xFF
    state.write_bytes(content)
    run.patch({"suspend": False})
    run.becomes("Succeeded")
    restored = run.attempts()[-1]["restoredStep"]
    assert restored == int(steps[-2].name.removeprefix("step-"))
    assert run.status()["stepsLost"] == int(steps[-1].name.removeprefix("step-")) - restored
    said = run.kubectl.logs(run.pods()[-1]["metadata"]["name"])
    assert f"step {int(steps[-1].name.removeprefix('step-'))}: state.pt has another digest" in said


def test_an_unwritable_run_folder(runs):
    (runs.checkpoint_folder() / "in-the-way").write_text("a file where the run folder should be")
    run = runs.new("unwritable", checkpoint={"path": "in-the-way"}).apply()
    run.is_refused("checkpoint")


def test_a_folder_of_another_spec_is_not_continued(runs):
    path = unique("owned")
    first = runs.new("owner", checkpoint={"path": path}).apply()
    first.becomes("Succeeded")
    other = runs.new("intruder", checkpoint={"path": path}, schedule={"seed": 7}).apply()
    other.is_refused("seed")


def test_a_full_disk_is_retried_within_the_budget_and_loses_nothing(runs):
    node = "node-a"
    with runs.small_volume("small", node=node, megabytes=64) as folder:
        run = runs.new(
            "full",
            schedule={"epochs": 40},
            checkpoint={"volume": {"claimName": "small"}, "path": "full"},
            resilience={"maxFailures": 1},
            scheduling={"nodeSelector": {"kubernetes.io/hostname": node}},
        ).apply()
        run.reaches_step(7)  # past its first checkpoint
        runs.wait("a checkpoint", lambda: run.status().get("lastCheckpoint"))
        runs.fill(folder)
        status = run.becomes("Failed", seconds=180)
        assert run.classes() == ["StorageFault", "StorageFault"]
        assert [attempt["exitCode"] for attempt in run.attempts()] == [74, 74]
        assert status["failures"] == 2
        assert "space" in run.condition("Failed")["message"]
        assert run.condition("Failed")["message"]
        saved = list((folder / "full" / "checkpoints").glob("step-*/meta.json"))
        assert saved, "what was saved before is still there"
