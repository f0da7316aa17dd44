"""initialization.run: which checkpoint it comes to, when, and that it stays so."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from unit_operator.model_cluster import run_object
from unit_operator.world import World
from vistrain_api import manifest as manifests_api
from vistrain_api import protocol
from vistrain_api.digest import spec_digest

LAST = {
    "step": 120,
    "path": "checkpoints/step-000000120",
    "sha256": "a" * 64,
    "savedAt": "2026-01-01T00:00:00Z",
}
BEST = {"metric": "AP", "value": 0.5, "epoch": 2, "step": 60}
OF_BEST = LAST | {"step": 60, "path": "checkpoints/step-000000060", "sha256": "b" * 64}


def source(phase: str = "Succeeded", *, keep_best: int = 1, **status: Any) -> dict[str, Any]:
    """The other run."""
    checkpoint = {"volume": {"claimName": "others"}, "keep": {"last": 2, "best": keep_best}}
    run = run_object("earlier", checkpoint=checkpoint)
    told: dict[str, Any] = {
        "phase": phase,
        "resolved": {"path": "earlier-12345678"},
        "lastCheckpoint": LAST,
        "best": BEST,
        **status,
    }
    run["status"] = {key: value for key, value in told.items() if value is not None}
    return run


def world(checkpoint: str = "best", **more: Any) -> World:
    reference = {"name": "earlier", "checkpoint": checkpoint} | more
    made = World(initialization={"run": reference})
    made.cluster.claims |= {"others"}
    return made


def read(made: World) -> Any:
    """The resolved manifest that the trainer reads."""
    [body] = made.cluster.config_maps.values()
    return manifests_api.parse(manifests_api.read_yaml(body["data"]["manifest.yaml"]))


@pytest.mark.parametrize(
    ("checkpoint", "status", "path", "sha256"),
    [
        ("last", {}, "checkpoints/step-000000120", "a" * 64),
        ("best", {}, "checkpoints/step-000000060", None),
        ("best", {"bestCheckpoint": OF_BEST}, "checkpoints/step-000000060", "b" * 64),
        ("best", {"best": BEST | {"step": 120}}, "checkpoints/step-000000120", "a" * 64),
        # Named while another step was the best: it is not the best's.
        ("best", {"bestCheckpoint": OF_BEST | {"step": 30}}, "checkpoints/step-000000060", None),
    ],
)
def test_which_checkpoint_it_is(
    checkpoint: str, status: dict[str, Any], path: str, sha256: str | None
) -> None:
    made = world(checkpoint)
    made.cluster.source = source(**status)
    made.operator.settle()
    assert made.condition("Accepted")["reason"] == "Preflight"
    found = read(made).spec.initialization
    assert found.run is None
    assert found.checkpoint.volume.claim_name == "others"
    assert found.checkpoint.path == f"earlier-12345678/{path}"
    assert found.checkpoint.sha256 == sha256
    settled = made.status["resolved"]
    assert settled["initialization"]["path"] == f"earlier-12345678/{path}"
    assert settled["specDigest"] == spec_digest(read(made).spec)
    [body] = made.cluster.config_maps.values()
    noted = json.loads(body["data"]["manifest.yaml"])["metadata"]["annotations"]
    assert noted == {protocol.ANNOTATION_INITIALIZATION_RUN: f"earlier/{checkpoint}"}


@pytest.mark.parametrize("optimizer", ["fresh", "keep"])
def test_what_becomes_of_the_optimiser_is_settled_with_it(optimizer: str) -> None:
    made = world(optimizer=optimizer)
    made.cluster.source = source()
    made.operator.settle()
    assert made.status["resolved"]["initialization"]["optimizer"] == optimizer
    assert read(made).spec.initialization.checkpoint.optimizer == optimizer


def test_its_volume_is_mounted_read_only_by_the_preflight_and_by_attempts() -> None:
    made = world()
    made.cluster.source = source()
    made.operator.settle()
    for _ in range(2):
        container = made.pod_template()["containers"][0]
        mounts = {m["mountPath"]: m.get("readOnly") for m in container["volumeMounts"]}
        assert mounts["/volumes/others"] is True
        made.checked()


@pytest.mark.parametrize("phase", ["Pending", "Queued", "Training", "Evaluating", "Suspended"])
def test_a_run_that_has_not_ended_is_waited_for(phase: str) -> None:
    made = world()
    made.cluster.source = source(phase, progress={"epoch": 3, "epochs": 30})
    made.go(8)
    accepted = made.condition("Accepted")
    assert (accepted["status"], accepted["reason"]) == ("False", "WaitsForRun")
    assert f"DetectorTraining earlier is {phase}, epoch 3 of 30" in accepted["message"]
    assert made.told("WaitsForRun") == [accepted["message"]]
    assert made.status["phase"] == "Pending"
    assert made.condition("Running")["reason"] == "WaitsForRun"
    assert "startTime" not in made.status
    assert not made.cluster.jobs
    made.cluster.source = source()
    made.go(2)
    assert made.condition("Accepted")["reason"] in {"Preflight", "Accepted"}
    assert made.checked().status["attempt"] == 1


def test_it_looks_again_by_itself() -> None:
    made = world()
    decision = made.operator.settle()
    assert decision is not None
    assert decision.wake_after is not None
    assert decision.wake_after <= 10


@pytest.mark.parametrize(
    ("given", "checkpoint", "says"),
    [
        (None, "best", "earlier does not exist in namespace team: create it, or name another"),
        (
            source("Failed", best=None),
            "best",
            "has ended (Failed) without a best checkpoint: name another run, or checkpoint: last",
        ),
        (
            source("Failed", lastCheckpoint=None, best=None),
            "last",
            "has ended (Failed) without a last checkpoint: name another run",
        ),
        (
            source("Failed", resolved=None, lastCheckpoint=None, best=None),
            "best",
            "without a best checkpoint: name another run",
        ),
        (
            source(keep_best=0),
            "best",
            "and keeps its last only (checkpoint.keep.best is 0): name another run, or checkpoint: last",
        ),
        (source(resolved={"path": "x" * 510}), "last", "cannot be named"),
    ],
)
def test_what_it_lacks_is_said(given: dict[str, Any] | None, checkpoint: str, says: str) -> None:
    made = world(checkpoint)
    made.cluster.source = given
    made.go(3)
    assert made.condition("Accepted")["reason"] == "WaitsForRun"
    assert says in made.condition("Accepted")["message"]
    assert len(made.told("WaitsForRun")) == 1
    assert not made.cluster.jobs


def test_a_failed_run_has_checkpoints_too() -> None:
    made = world("last")
    made.cluster.source = source("Failed", best=None)
    assert made.checked().status["resolved"]["initialization"]["sha256"] == "a" * 64


def test_a_run_that_names_itself_is_told_so() -> None:
    made = world(name="demo")
    made.go(2)
    assert "is this run itself" in made.condition("Accepted")["message"]


def test_a_missing_volume_of_the_other_run_is_said() -> None:
    made = world()
    made.cluster.source = source()
    made.see(missing_claims=("others",))
    assert made.condition("Accepted")["reason"] == "VolumeMissing"
    assert "others (initialization.run)" in made.condition("Accepted")["message"]


def test_what_becomes_of_the_other_run_later_changes_nothing() -> None:
    made = world("last")
    made.cluster.source = source()
    made.checked()
    settled = copy.deepcopy(made.status["resolved"])
    made.cluster.source = source(lastCheckpoint=LAST | {"step": 240, "path": "checkpoints/step-000000240"})
    made.go(4)
    made.cluster.source = None
    made.cluster.suspend(True)
    made.go(5)
    assert made.cluster.run is not None
    made.cluster.run["spec"]["resources"]["memory"] = "48Gi"  # which makes a new manifest
    made.cluster.suspend(False)
    made.go(40)
    assert made.status["phase"] == "Succeeded"
    assert made.status["resolved"]["initialization"] == settled["initialization"]
    assert made.status["resolved"]["specDigest"] == settled["specDigest"]
    assert len(made.cluster.config_maps) == 2


def test_the_best_checkpoint_is_named_in_the_status_once_it_was_the_newest() -> None:
    made = World().checked().go(3)
    cluster = made.cluster
    words = cluster._words

    def said(pod: dict[str, Any], code: int | None = None, **more: Any) -> str:
        step = cluster.executed.get(pod["metadata"]["uid"], 0)
        newest = LAST | {"step": 40 if step >= 40 else 20, "sha256": ("d" if step >= 40 else "c") * 64}
        return words(pod, code, best=BEST | {"step": 20}, lastCheckpoint=newest, **more)

    cluster._words = said  # type: ignore[method-assign]
    made.go(30)
    assert made.status["phase"] == "Succeeded"
    assert made.status["lastCheckpoint"]["step"] == 40
    assert (made.status["bestCheckpoint"]["step"], made.status["bestCheckpoint"]["sha256"]) == (20, "c" * 64)
