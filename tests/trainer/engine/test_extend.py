"""A finished run is trained further by a new one, which a resume is not."""

from __future__ import annotations

import json

import pytest
import torch
from typer.testing import CliRunner

from vistrain_api.manifest import load
from vistrain_trainer.cli.app import app
from vistrain_trainer.engine.checkpoint import open_checkpoint
from vistrain_trainer.engine.extension import extended
from vistrain_trainer.engine.run import run
from vistrain_trainer.engine.source_run import resolve
from vistrain_trainer.engine.volumes import Volumes
from vistrain_trainer.errors import BadInput

ADAMW = {"adamw": {}}


@pytest.fixture
def finished(tiny, tmp_path):
    """Trains a run to its end; its folder."""

    def train(**settings):
        folder = tmp_path / "tiny"
        assert run(tiny.tiny_manifest(**settings), tiny.tiny_options(folder), tiny.TinyTask) == 0
        return folder

    return train


@pytest.fixture
def go_on(tiny, tmp_path):
    """Runs an extended manifest; its code, and the state before its first step."""

    def start(manifest, source, task=None):
        seen = {}

        class Looking(task or tiny.TinyTask):
            def losses(self, model, batch, position):
                if not seen:
                    seen["model"] = {name: value.clone() for name, value in model.state_dict().items()}
                return super().losses(model, batch, position)

        settled, folders = resolve(manifest, {"tiny": source}, tmp_path / "further")
        options = tiny.tiny_options(tmp_path / "further", volumes=Volumes(folders, in_pod=False))
        return run(settled, options, Looking), seen

    return start


def stored(folder, step):
    return open_checkpoint(folder / "checkpoints" / f"step-{step:09d}").load()


@pytest.mark.parametrize("optimizer", [{"sgd": {}}, ADAMW], ids=["sgd", "adamw"])
def test_goes_on_from_weights_average_and_optimiser(finished, go_on, tmp_path, optimizer):
    folder = finished(schedule__optimizer=optimizer, schedule__learningRate={"peak": 0.01})
    before = stored(folder, 12)
    manifest = extended(folder, epochs=2)
    schedule = manifest.spec.schedule
    assert (schedule.epochs, schedule.warmup_epochs, schedule.no_aug_epochs, schedule.seed) == (2, 0, 1, 1)
    assert manifest.metadata.name == "tiny-extended"
    code, seen = go_on(manifest, folder)
    assert code == 0
    assert all(torch.equal(seen["model"][name], value) for name, value in before["model"].items())
    after = stored(tmp_path / "further", 8)
    assert after["ema"]["updates"] == before["ema"]["updates"] + 8
    if optimizer == ADAMW:  # its step count tells that it was not begun anew
        assert {int(entry["step"]) for entry in after["optimizer"]["state"].values()} == {20}
    rows = [json.loads(line) for line in (tmp_path / "further" / "log.jsonl").read_text().splitlines()]
    last = json.loads((folder / "log.jsonl").read_text().splitlines()[-1])["learning_rate"]
    assert [row["learning_rate"] for row in rows] == [pytest.approx(last)] * 8
    assert open_checkpoint(folder / "checkpoints" / "step-000000012").sha256  # the finished run stays whole


def test_a_peak_gives_a_falling_curve_and_frozen_parts_stay_frozen(tiny, tmp_path):
    class Named(tiny.TinyTask):
        """Its parts have the names of YOLOX's, which phases may state."""

        def parts(self, model):
            body, head = super().parts(model).values()
            return {"backbone": body, "neck": [], "head": head}

    phases = [{"name": "first", "epochs": 1}, {"name": "head", "freeze": ["backbone", "neck"]}]
    folder = tmp_path / "tiny"
    assert run(tiny.tiny_manifest(schedule__phases=phases), tiny.tiny_options(folder), Named) == 0
    longer = extended(folder, epochs=4, peak=0.02, min_ratio=0.1, name="longer")
    assert longer.metadata.name == "longer"
    rate = longer.spec.schedule.learning_rate
    assert (rate.peak, rate.min_ratio, rate.curve) == (0.02, 0.1, "cosine")
    assert [(p.name, p.freeze) for p in longer.spec.schedule.phases] == [("head", ["backbone", "neck"])]


def test_a_run_that_is_not_finished_is_resumed_not_extended(tiny, tmp_path):
    with pytest.raises(BadInput, match="is not a run folder"):
        extended(tmp_path, epochs=1)
    from vistrain_trainer.engine.runfolder import RunFolder

    RunFolder(tmp_path / "begun", tiny.tiny_manifest()).open()
    RunFolder(tmp_path / "begun", tiny.tiny_manifest()).claim({"data": "one"}, {})
    with pytest.raises(BadInput, match=r"has not finished.*Resume it"):
        extended(tmp_path / "begun", epochs=1)


@pytest.mark.parametrize(
    ("settings", "says"),
    [({"schedule__optimizer": ADAMW}, "another optimiser than AdamW"), ({}, "has the classes")],
    ids=["optimiser", "classes"],
)
def test_an_optimiser_that_cannot_go_on_is_refused(tiny, finished, go_on, tmp_path, settings, says):
    folder = finished()
    manifest = extended(folder, epochs=1)
    task = tiny.TinyTask
    if settings:
        changed = manifest.spec.schedule.model_copy(
            update={"optimizer": tiny.tiny_manifest(**settings).spec.schedule.optimizer}
        )
        spec = manifest.spec.model_copy(update={"schedule": changed})
        manifest = manifest.model_copy(update={"spec": spec})
    else:

        class Others(tiny.TinyTask):
            def identity(self):
                return {"data": "one", "classes": ["circle"]}

        task = Others
    code, _ = go_on(manifest, folder, task)
    assert code == 64
    end = json.loads((tmp_path / "further" / "attempts.jsonl").read_text().splitlines()[-1])
    assert says in end["message"]
    assert "spec.initialization.checkpoint.optimizer: keep" in end["message"]


def test_a_resume_does_not_need_what_the_run_started_from(tiny, finished, tmp_path):
    """The other run may be gone by then."""
    import shutil

    from vistrain_trainer.engine.signals import request

    folder = finished()
    settled, folders = resolve(extended(folder, epochs=2), {"tiny": folder}, tmp_path / "further")
    options = tiny.tiny_options(tmp_path / "further", volumes=Volumes(folders, in_pod=False))

    class Stopping(tiny.TinyTask):
        def losses(self, model, batch, position):
            if position == 2:
                request.requested_at, request.signal_name = 1.0, "SIGTERM"
            return super().losses(model, batch, position)

    assert run(settled, options, Stopping) == 75
    request.__init__()
    shutil.rmtree(folder)
    assert run(settled, options, tiny.TinyTask) == 0


def test_the_command_writes_a_manifest_and_says_how_to_go_on(finished, tmp_path):
    folder = finished()
    path = tmp_path / "longer.yaml"
    arguments = ["extend", str(folder), "--epochs", "5", "--name", "longer", "--out", str(path)]
    answer = CliRunner().invoke(app, arguments)
    assert answer.exit_code == 0
    assert "5 more epochs, rate stays at 0.0025 (linear), no warm-up" in answer.output
    assert f"vistrain run -f {path} --run tiny={folder} --output runs/longer" in answer.output
    assert load(path) == extended(folder, epochs=5, name="longer")
    again = CliRunner().invoke(app, arguments)
    assert again.exit_code == 64
    assert "--out" in again.output
    as_json = CliRunner().invoke(app, ["extend", str(folder), "--epochs", "5", "--json"])
    assert json.loads(as_json.output)["spec"]["schedule"]["epochs"] == 5
    refused = CliRunner().invoke(app, ["extend", str(tmp_path), "--epochs", "5"])
    assert refused.exit_code == 64
