"""initialization.run on this machine: which checkpoint it comes to, and that it stays so."""

from __future__ import annotations

import functools
import json
import shutil

import pytest

from vistrain_api.manifest import load, parse, read_yaml
from vistrain_trainer.engine.checkpoint import open_checkpoint
from vistrain_trainer.engine.run import run
from vistrain_trainer.engine.source_run import claim_of, resolve
from vistrain_trainer.engine.volumes import Volumes
from vistrain_trainer.errors import BadInput


@pytest.fixture
def earlier(tiny, tmp_path):
    """A run whose best checkpoint, of step 4, is not its last, of step 12."""
    folder = tmp_path / "earlier"
    make = functools.partial(tiny.TinyTask, values={1: 0.9, 2: 0.5, 3: 0.5})
    assert run(tiny.tiny_manifest(), tiny.tiny_options(folder), make) == 0
    return folder


@pytest.fixture
def manifest(tiny):
    """Makes a manifest that starts from it."""

    def make(checkpoint="best"):
        return tiny.tiny_manifest(initialization={"run": {"name": "earlier", "checkpoint": checkpoint}})

    return make


@pytest.mark.parametrize(("checkpoint", "step"), [("best", 4), ("last", 12)])
def test_which_checkpoint_it_is(manifest, earlier, checkpoint, step):
    resolved, folders = resolve(manifest(checkpoint), {"earlier": earlier})
    start = resolved.spec.initialization.checkpoint
    assert resolved.spec.initialization.run is None
    assert start.path == f"checkpoints/step-{step:09d}"
    assert start.sha256 == open_checkpoint(earlier / start.path).sha256
    assert folders == {start.volume.claim_name: earlier} == {claim_of("earlier"): earlier}
    values = resolved.model_dump(mode="json", by_alias=True, exclude_none=True)
    assert parse(values) == resolved, "the resolved manifest is one that the contract allows"


def test_the_run_starts_with_those_weights_and_its_folder_keeps_the_choice(tiny, tmp_path, manifest, earlier):
    output = tmp_path / "later"
    resolved, folders = resolve(manifest("last"), {"earlier": earlier}, output)
    options = tiny.tiny_options(output, volumes=Volumes(folders, in_pod=False))
    assert run(resolved, options, tiny.TinyTask) == 0
    begun = load(output / "manifest.yaml")
    assert begun.metadata.annotations == {"vistrain.dev/initialization-run": "earlier/last"}

    # The other run is trained on, or moved, or gone: what this one was begun with stands.
    index = earlier / "checkpoints" / "index.json"
    content = json.loads(index.read_text())
    content["last"]["path"] = "checkpoints/step-000000004"
    index.write_text(json.dumps(content))
    for runs in ({"earlier": earlier}, {}):
        again, _ = resolve(manifest("last"), runs, output)
        assert again.spec == resolved.spec
    assert run(again, tiny.tiny_options(output), tiny.TinyTask) == 0

    # Another choice is another run.
    other, folders = resolve(manifest("best"), {"earlier": earlier}, output)
    assert other.spec.initialization.checkpoint.path == "checkpoints/step-000000004"
    options = tiny.tiny_options(output, volumes=Volumes(folders, in_pod=False))
    assert run(other, options, tiny.TinyTask) == 64

    # Its own manifest needs no more than the folder.
    stored, folders = resolve(begun, {"earlier": earlier}, output)
    assert (stored, folders) == (begun, {claim_of("earlier"): earlier})


def test_a_checkpoint_of_another_digest_is_refused(tiny, tmp_path, manifest, earlier):
    resolved, folders = resolve(manifest(), {"earlier": earlier})
    shutil.rmtree(earlier / "checkpoints" / "step-000000004")
    shutil.copytree(earlier / "checkpoints" / "step-000000012", earlier / "checkpoints" / "step-000000004")
    options = tiny.tiny_options(tmp_path / "later", volumes=Volumes(folders, in_pod=False))
    assert run(resolved, options, tiny.TinyTask) == 64
    said = read_yaml((tmp_path / "later" / "status.yaml").read_text())["conditions"][0]["message"]
    assert said.startswith("spec.initialization.checkpoint.sha256: ")


def test_a_run_that_was_not_resolved_never_starts_from_random_weights(tiny, tmp_path, manifest):
    assert run(manifest(), tiny.tiny_options(tmp_path / "later"), tiny.TinyTask) == 64
    said = read_yaml((tmp_path / "later" / "status.yaml").read_text())["conditions"][0]["message"]
    assert "random weights" in said


def refused(manifest, runs):
    with pytest.raises(BadInput) as caught:
        resolve(manifest, runs)
    return caught.value


def test_no_folder_is_named(manifest):
    error = refused(manifest(), {})
    assert (error.field, error.value) == ("spec.initialization.run.name", "earlier")
    assert "--run earlier=runs/earlier" in error.remedy


def test_a_folder_of_no_run(manifest, tmp_path, earlier):
    assert "not the folder of a run that has saved" in refused(manifest(), {"earlier": tmp_path}).problem
    for content in ("cut {", "[]", '{"last": 1}', '{"last": {"step": 1}, "best": null}'):
        (earlier / "checkpoints" / "index.json").write_text(content)
        assert refused(manifest(), {"earlier": earlier}).field == "spec.initialization.run.name"


def test_a_run_without_a_best_checkpoint(manifest, earlier):
    index = earlier / "checkpoints" / "index.json"
    index.write_text(json.dumps(json.loads(index.read_text()) | {"best": None}))
    error = refused(manifest(), {"earlier": earlier})
    assert (error.field, error.value) == ("spec.initialization.run.checkpoint", "best")
    assert "checkpoint: last" in error.remedy
    assert resolve(manifest("last"), {"earlier": earlier})


def test_a_best_checkpoint_that_was_let_go(manifest, earlier):
    shutil.rmtree(earlier / "checkpoints" / "step-000000004")
    error = refused(manifest(), {"earlier": earlier})
    assert error.field == "spec.initialization.run.checkpoint"
    assert "was let go" in error.problem


@pytest.mark.parametrize("runs", [{"other": "."}, {"earlier": ".", "other": "."}])
def test_a_folder_of_a_run_that_the_manifest_does_not_name(manifest, runs):
    error = refused(manifest(), runs)
    assert (error.field, error.value) == ("--run", "other")
    assert "the run earlier" in error.problem


def test_a_manifest_that_starts_from_no_run(tiny):
    assert resolve(tiny.tiny_manifest(), {}) == (tiny.tiny_manifest(), {})
    assert "from no run" in refused(tiny.tiny_manifest(), {"other": "."}).problem
