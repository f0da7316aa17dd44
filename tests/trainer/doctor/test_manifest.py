"""The doctor on manifests, each with one thing wrong."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys

import pytest

from vistrain_api.manifest import parse
from vistrain_trainer.doctor.examine import MANIFEST_CHECKS, examine
from vistrain_trainer.engine.checkpoint import open_checkpoint
from vistrain_trainer.engine.run import run
from vistrain_trainer.errors import BadInput

RECIPE_A = {  # YOLOX-L on a slice of 20 GB
    "model.yolox": {"variant": "l", "inputSize": {"height": 800, "width": 1440}},
    "resources.accelerator": {"mig": {"profile": "1g.20gb"}},
    "resources.memory": "24Gi",
    "resources.sharedMemory": "8Gi",
}


def test_a_healthy_manifest_has_no_finding(diagnose):
    found = diagnose()
    assert (found.findings, found.unseen, found.kind) == ([], [], "manifest")


def test_without_volumes_it_is_said_what_was_not_looked_at(diagnose, tmp_path):
    diagnose()
    found = examine(tmp_path / "manifest.yaml", {})
    assert found.findings == []
    assert {one.check for one in found.unseen} == {
        "data",
        "coco-info",
        "images-folder",
        "class-order",
        "reserve",
        "prepared",
        "splits",
        "disk",
        "resume",
    }
    assert "--volume data=DIR" in found.unseen[0].why


def test_a_file_without_info(diagnose, only, volumes):
    path = volumes["data"] / "val" / "annotations" / "train.json"
    content = json.loads(path.read_text())
    del content["info"]
    path.write_text(json.dumps(content))
    found = only(diagnose())
    assert (found.check, found.severity) == ("coco-info", "note")
    assert found.field == "spec.dataset.validation.annotations"
    assert "KeyError: 'info'" in found.symptom
    assert str(path) in found.cause
    assert '"info": {}' in found.remedy


def test_validation_images_under_the_wrong_folder(diagnose, only, volumes):
    found = only(diagnose({"dataset.validation.images": "train/images"}))
    assert (found.check, found.severity) == ("images-folder", "error")
    assert found.field == "spec.dataset.validation.images"
    assert "6 of 6 images of validation are not there" in found.symptom
    assert str(volumes["data"] / "train" / "images" / "000.jpg") in found.symptom
    assert "relative to `train/images`" in found.cause
    assert "`val/images`" in found.cause
    assert found.remedy == "Set spec.dataset.validation.images: val/images"


def test_images_that_are_nowhere(diagnose, only, volumes):
    (volumes["data"] / "val" / "images" / "003.jpg").unlink()
    found = only(diagnose())
    assert (found.check, found.field) == ("images-folder", "spec.dataset.validation.images")
    assert "1 of 6 images" in found.symptom
    assert "no folder of the data set has the image" in found.cause
    assert found.remedy == f"Copy the images to {volumes['data'] / 'val/images'}"


def test_an_annotation_file_that_is_missing(diagnose, only):
    found = only(diagnose({"dataset.train.annotations": "train/annotations/val.json"}))
    assert (found.check, found.field) == ("data", "spec.dataset.train.annotations")
    assert "does not exist" in found.symptom
    assert "train/annotations/val.json" in found.cause
    assert "prepare the data" in found.remedy


def test_a_volume_whose_folder_does_not_exist(diagnose, tmp_path):
    found = diagnose(data=tmp_path / "nowhere")
    assert [one.check for one in found.findings] == ["data"]
    assert found.findings[0].field == "spec.dataset.volume.claimName"
    assert "there is no folder" in found.findings[0].symptom


def test_validation_on_what_is_trained_on(diagnose, only):
    found = only(
        diagnose(
            {"dataset.validation": {"annotations": "train/annotations/train.json", "images": "train/images"}}
        )
    )
    assert (found.check, found.severity) == ("splits", "warning")
    assert found.field == "spec.dataset.validation.annotations"
    assert "12 of 12 validation images are trained on" in found.symptom
    assert "the same annotation file" in found.cause
    assert "not trained on" in found.remedy


def test_train_and_validation_in_each_others_place(diagnose, only, values_with):
    dataset = values_with({})["spec"]["dataset"]
    found = only(diagnose({"dataset.train": dataset["validation"], "dataset.validation": dataset["train"]}))
    assert found.check == "splits"
    assert "(6)" in found.symptom
    assert "(12)" in found.symptom
    assert "changed places" in found.cause
    assert "Exchange" in found.remedy


def test_a_batch_that_fits_the_slice(diagnose):
    assert diagnose({**RECIPE_A, "schedule.batchSize": 8}).findings == []


@pytest.mark.parametrize("batch", [16, 32])
def test_a_batch_too_large_for_the_slice(diagnose, only, batch):
    fails = {**RECIPE_A, "resilience.onGpuOutOfMemory": "fail"}
    found = only(diagnose({**fails, "schedule.batchSize": batch}))
    assert (found.check, found.severity) == ("memory", "error")
    assert found.field == "spec.schedule.batchSize"
    assert f"out of memory at batch {batch}" in found.symptom
    assert "yolox-l needs at least" in found.cause
    assert "slice 1g.20gb has 21.5 GB" in found.cause
    largest = int(found.remedy.split(" at most")[0].rpartition(" ")[2])
    assert 8 <= largest < 16
    assert diagnose({**fails, "schedule.batchSize": largest}).findings == []
    assert only(diagnose({**fails, "schedule.batchSize": largest + 1})).check == "memory"
    micro = {"schedule.batchSize": batch, "schedule.microBatchSize": batch // 4}
    assert diagnose({**fails, **micro}).findings == []


def test_a_batch_that_the_trainer_will_split(diagnose, only):
    found = only(diagnose({**RECIPE_A, "schedule.batchSize": 32}))
    assert (found.check, found.severity) == ("memory", "warning")
    assert "micro-batches of at most" in found.symptom
    assert "batch norm" in found.symptom
    fitting = int(found.remedy.split(" or less")[0].rpartition(" ")[2])
    assert 8 <= fitting < 16
    micro = {"schedule.batchSize": 32, "schedule.microBatchSize": 16}
    found = only(diagnose({**RECIPE_A, **micro}))
    assert (found.severity, found.field) == ("warning", "spec.schedule.microBatchSize")


def test_not_one_image_fits(diagnose, only):
    slice_of_one = {"resources.accelerator": {"mig": {"profile": "1g.1gb"}}}
    found = only(diagnose({**RECIPE_A, **slice_of_one}))
    assert found.severity == "error"
    assert "lower spec.model.yolox.inputSize" in found.remedy


def test_host_memory_on_a_cpu(diagnose, only):
    found = only(diagnose({"resources.memory": "256Mi", "resources.sharedMemory": "64Mi"}))
    assert found.check == "memory"
    assert "256Mi of host memory" in found.cause


def test_shared_memory_that_loader_workers_fill(diagnose, only):
    settings = {**RECIPE_A, "schedule.batchSize": 8, "dataset.loader.workers": 12}
    found = only(diagnose(settings | {"resources.sharedMemory": "512Mi"}))
    assert (found.check, found.field) == ("shared-memory", "spec.resources.sharedMemory")
    assert "shared memory is full" in found.symptom
    assert "12 workers" in found.cause
    enough = found.remedy.split(" or more")[0].rpartition(" ")[2]
    assert diagnose(settings | {"resources.sharedMemory": enough}).findings == []


def test_a_run_of_which_most_goes_by_without_an_evaluation(diagnose, only):
    found = only(diagnose({"evaluation.everyEpochs": 12}))
    assert (found.check, found.severity) == ("evaluation-interval", "warning")
    assert found.field == "spec.evaluation.everyEpochs"
    assert "before epoch 12 of 12" in found.symptom
    assert "everyEpochs is 12" in found.cause
    assert found.remedy == "Set spec.evaluation.everyEpochs to 1"
    assert diagnose({"evaluation.everyEpochs": 5}).findings == []


def test_a_run_that_would_never_be_evaluated_is_refused_with_the_way_out(diagnose, only):
    found = only(diagnose({"evaluation.everyEpochs": 100}))
    assert (found.check, found.field) == ("manifest", "spec.evaluation.everyEpochs")
    assert "without an evaluation" in found.symptom
    assert "100 of 12 epochs" in found.cause
    assert "everyEpochs to 1" in found.remedy


def test_an_initialisation_that_was_forgotten(diagnose, only):
    found = only(diagnose({"initialization": None}))
    assert (found.check, found.field) == ("manifest", "spec.initialization")
    assert "does not say what the run starts from" in found.symptom
    assert "random weights" in found.cause
    assert "spec.initialization.weights" in found.remedy


def test_random_weights_at_a_rate_of_fine_tuning(diagnose, only):
    found = only(diagnose({"schedule.learningRate": {"peak": 7.5e-5}}))
    assert (found.check, found.severity) == ("random-weights", "warning")
    assert found.field == "spec.initialization.scratch"
    assert "starts from random weights" in found.symptom
    assert "1.9e-05 per image" in found.cause
    assert "spec.initialization.weights" in found.remedy


def test_weights_of_which_hardly_anything_need_fit(diagnose, only, weights):
    stated = {"volume": {"claimName": "data"}, "path": weights.name, "minMatched": 0.1}
    found = only(diagnose({"initialization": {"weights": stated}}))
    assert (found.check, found.field) == ("random-weights", "spec.initialization.weights.minMatched")
    assert "90 % of its tensors random" in found.symptom


def test_weights_that_are_missing_or_others(diagnose, only, weights):
    stated = {"volume": {"claimName": "data"}, "path": "no-weights.pth", "sha256": "0" * 64}
    found = only(diagnose({"initialization": {"weights": stated}}))
    assert (found.check, found.field) == ("initial-weights", "spec.initialization.weights.path")
    assert str(weights.with_name("no-weights.pth")) in found.cause
    stated["path"] = weights.name
    found = only(diagnose({"initialization": {"weights": stated}}))
    assert (found.check, found.field) == ("initial-weights", "spec.initialization.weights.sha256")
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    assert digest in found.cause
    stated["sha256"] = digest
    assert diagnose({"initialization": {"weights": stated}}).findings == []


def test_weights_that_do_not_fit(diagnose, only, weights):
    start = {"initialization": {"weights": {"volume": {"claimName": "data"}, "path": weights.name}}}
    found = only(diagnose(start | {"model.yolox.variant": "tiny", "resources.memory": "16Gi"}))
    assert (found.check, found.field) == ("weights-fit", "spec.initialization.weights.path")
    assert "of 382 tensors of yolox-tiny fit" in found.symptom
    assert "yolox-nano" in found.remedy
    weights.write_bytes(b"these are no weights")
    found = only(diagnose(start))
    assert (found.check, found.field) == ("weights-fit", "spec.initialization.weights.path")
    assert "not a file of weights" in found.symptom


def test_a_fallback_is_looked_at_where_the_file_before_it_is_missing(diagnose, only, weights):
    weights.with_name("other.pth").write_bytes(b"these are no weights")
    other = {"volume": {"claimName": "data"}, "path": "other.pth"}
    stated = {"volume": {"claimName": "data"}, "path": "no-weights.pth", "fallbacks": [other]}
    found = only(diagnose({"initialization": {"weights": stated}}))
    assert (found.check, found.field) == ("weights-fit", "spec.initialization.weights.fallbacks[0].path")


def test_a_start_from_a_checkpoint(diagnose, only, earlier, volumes):
    shutil.copytree(earlier, volumes["checkpoints"] / "a")
    path = "a/checkpoints/step-000000006"
    reference = {"volume": {"claimName": "checkpoints"}, "path": path}
    start = {"initialization": {"checkpoint": reference}}
    assert diagnose(start).findings == []
    sha256 = open_checkpoint(volumes["checkpoints"] / path).sha256
    assert diagnose({"initialization": {"checkpoint": reference | {"sha256": sha256}}}).findings == []
    found = only(diagnose({"initialization": {"checkpoint": reference | {"sha256": "0" * 64}}}))
    assert (found.check, found.field) == ("initial-weights", "spec.initialization.checkpoint.sha256")
    assert sha256 in found.cause
    found = only(diagnose(start | {"model.yolox.variant": "tiny", "resources.memory": "16Gi"}))
    assert (found.check, found.field) == ("weights-fit", "spec.initialization.checkpoint")
    assert "yolox-tiny" in found.symptom
    (volumes["checkpoints"] / path / "state.pt").write_bytes(b"cut")
    found = only(diagnose(start))
    assert (found.check, found.field) == ("initial-weights", "spec.initialization.checkpoint.path")
    assert "3 bytes" in found.cause
    assert "vistrain checkpoint verify" in found.remedy


def test_a_start_from_another_run(diagnose, only, earlier, tmp_path):
    start = {"initialization": {"run": {"name": "earlier"}}}
    diagnosis = diagnose(start)
    assert diagnosis.findings == []
    assert {one.check: one.why for one in diagnosis.unseen} == {
        "initial-weights": "say --run earlier=DIR to have this looked at",
        "weights-fit": "say --run earlier=DIR to have this looked at",
    }
    assert examine(tmp_path / "manifest.yaml", {}, runs={"earlier": earlier}).findings == []
    diagnose(start | {"model.yolox.variant": "tiny", "resources.memory": "16Gi"})
    found = only(examine(tmp_path / "manifest.yaml", {}, runs={"earlier": earlier}))
    assert found.check == "weights-fit"
    found = examine(tmp_path / "manifest.yaml", {}, runs={"earlier": tmp_path}).findings[0]
    assert (found.check, found.field) == ("initial-weights", "spec.initialization.run.name")
    assert "not the folder of a run" in found.symptom


def test_a_disk_too_small_for_what_is_kept(diagnose, only, volumes):
    free = shutil.disk_usage(volumes["checkpoints"]).free
    assert free < 10**13, "a disk of this size was not foreseen"
    settings = {"model.yolox.variant": "x", "schedule.epochs": 100_000, "resources.memory": "16Gi"}
    found = only(diagnose({**settings, "checkpoint.keep": {"everyEpochs": 1}}))
    assert (found.check, found.severity) == ("disk", "error")
    assert found.field == "spec.checkpoint.keep"
    assert "exit code 74" in found.symptom
    assert "100002 files of weights of 396.0 MB" in found.cause
    assert str(volumes["checkpoints"]) in found.cause
    assert "everyEpochs" in found.remedy
    assert diagnose(settings).findings == []


def test_going_on_with_a_run_whose_annotations_were_swapped(diagnose, tiny, volumes, values_with):
    begun = parse(values_with({"schedule.epochs": 3}))
    assert run(begun, tiny.tiny_options(volumes["checkpoints"] / "small"), tiny.TinyTask) == 0
    assert diagnose({"schedule.epochs": 3}).findings == []
    dataset = values_with({})["spec"]["dataset"]
    swapped = {"dataset.train": dataset["validation"], "dataset.validation": dataset["train"]}
    found = {one.check: one for one in diagnose({"schedule.epochs": 3, **swapped}).findings}
    assert set(found) == {"splits", "resume"}
    assert found["resume"].field == "spec.dataset.train.annotations"
    assert "refused with exit code 64" in found["resume"].symptom
    assert "changed places" in found["resume"].cause
    assert "Restore what changed" in found["resume"].remedy


def test_going_on_with_a_run_that_began_otherwise(diagnose, only, tiny, volumes, values_with):
    begun = parse(values_with({"schedule.epochs": 3}))
    assert run(begun, tiny.tiny_options(volumes["checkpoints"] / "small"), tiny.TinyTask) == 0
    found = only(diagnose({"schedule.epochs": 3, "schedule.seed": 7, "resources.memory": "8Gi"}))
    assert (found.check, found.field) == ("resume", "spec.schedule.seed")
    assert "other values of spec.schedule.seed" in found.cause
    assert "resources" not in found.cause


def test_a_typo_is_named(diagnose, only):
    found = only(diagnose({"schedule.epoch": 7}))
    assert (found.check, found.field) == ("manifest", "spec.schedule.epoch")
    assert "did you mean 'epochs'" in found.cause
    assert "vistrain validate" in found.remedy


@pytest.mark.parametrize("text", ["[", "kind: Pod", "just words", "a: 1\n---\nb: 2", "\xff"])
def test_what_is_no_manifest_is_refused(tmp_path, text):
    path = tmp_path / "manifest.yaml"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(BadInput, match="neither a manifest nor a run folder"):
        examine(path, {})
    with pytest.raises(BadInput, match="No such file"):
        examine(tmp_path / "nowhere.yaml", {})


def test_a_manifest_is_examined_without_torch(diagnose, tmp_path, volumes):
    assert len(MANIFEST_CHECKS) == 15
    diagnose()
    code = (
        "import sys; from vistrain_trainer.cli.app import app; from typer.testing import CliRunner\n"
        f"line = ['doctor', {str(tmp_path / 'manifest.yaml')!r}]\n"
        f"line += ['--volume', 'data={volumes['data']}']\n"
        f"line += ['--volume', 'checkpoints={volumes['checkpoints']}']\n"
        "result = CliRunner().invoke(app, line)\n"
        "assert result.exit_code == 0, result.output\n"
        "assert 'Nothing is wrong' in result.output\n"
        "assert not {'torch', 'yolox'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
