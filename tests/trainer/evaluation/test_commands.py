"""`vistrain evaluate` and `vistrain predict` on a network that the real command has trained."""

from __future__ import annotations

import csv
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import Result
from pycocotools.coco import COCO
from typer.testing import CliRunner

from vistrain_trainer.cli.app import app
from vistrain_trainer.data.synthetic import SyntheticOptions, make_synthetic
from vistrain_trainer.detectors.group import DetectorGroup, Overrides
from vistrain_trainer.detectors.stored import find_detector
from vistrain_trainer.errors import BadInput
from vistrain_trainer.evaluation.artifact import EvaluationArtifact, read_detections

CLASSES = ("car", "truck", "bus", "bicycle")
MANIFEST = """
apiVersion: vistrain.dev/v1alpha1
kind: DetectorTraining
metadata: {name: small}
spec:
  model: {yolox: {variant: nano, inputSize: {height: 64, width: 96}}}
  initialization: {scratch: {}}
  dataset:
    volume: {claimName: world}
    train: {annotations: annotations/train.json, images: images}
    validation: {annotations: annotations/val.json, images: images}
    test: {annotations: annotations/test.json, images: images}
    classes: [car, truck, bus, bicycle]
    loader: {workers: 1}
  schedule:
    {epochs: 2, batchSize: 4, learningRate: {peak: 0.02}, warmupEpochs: 0, noAugEpochs: 1, precision: fp32,
     ema: {enabled: false}}
  evaluation: {confidence: 0.00001, nmsIou: 0.6, primaryMetric: {name: valLoss, mode: min}}
  checkpoint: {volume: {claimName: checkpoints}, interval: 1h}
  resources: {accelerator: {cpu: {}}, cpu: 1, memory: 4Gi, sharedMemory: 1Gi}
"""


def vistrain(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small world; its test split is the validation split without any bus."""
    folder = tmp_path_factory.mktemp("commands") / "world"
    options = SyntheticOptions(
        scenes=4, samples=8, cameras=("CAM_FRONT",), height=64, width=96, classes=CLASSES, seed=3
    )
    make_synthetic(options, folder)
    document = json.loads((folder / "annotations" / "val.json").read_text())
    document["annotations"] = [one for one in document["annotations"] if one["category_id"] != 3]
    (folder / "annotations" / "test.json").write_text(json.dumps(document))
    return folder


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("commands") / "manifest.yaml"
    path.write_text(MANIFEST)
    return path


@pytest.fixture(scope="module")
def run(world: Path, manifest: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two epochs."""
    folder = tmp_path_factory.mktemp("commands") / "run"
    arguments = ("--volume", f"world={world}", "--output", folder, "--port", 0, "--device", "cpu")
    result = vistrain("run", "-f", manifest, *arguments)
    assert result.exit_code == 0, result.output
    return folder


Judge = Callable[..., dict[str, Any]]


@pytest.fixture
def judge(world: Path, tmp_path: Path) -> Judge:
    """Runs `vistrain evaluate` and gives what it prints as JSON."""

    def evaluate(*arguments: object) -> dict[str, Any]:
        output = () if "--output" in arguments else ("--output", tmp_path / "evaluation")
        result = vistrain(
            "evaluate", *arguments, "--volume", f"world={world}", "--device", "cpu", *output, "--json"
        )
        assert result.exit_code == 0, result.output
        found: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
        return found

    return evaluate


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_figures_are_those_of_the_training(run: Path, judge: Judge, tmp_path: Path) -> None:
    before = files(run)
    found = judge(run)
    assert files(run) == before
    rows = list(csv.DictReader((run / "metrics.csv").read_text().splitlines()))
    best = min(rows, key=lambda row: float(row["valLoss"]))
    for name, value in found["metrics"].items():
        assert ("" if value is None else str(value)) == best[name], name
    # What the run itself wrote at its end is the same artifact, to the last figure and picture.
    assert files(tmp_path / "evaluation") == files(run / "evaluation" / "validation")
    assert found["sources"][0]["step"] == int(best["step"])
    assert found["detections"] > 0


def test_a_class_without_ground_truth_is_null_everywhere(run: Path, judge: Judge, world: Path) -> None:
    found = judge(run, "--split", "test")
    assert found["metrics"]["AP/bus"] is None
    assert found["operating"][0]["classes"]["bus"] is None
    assert found["metrics"]["AP/car"] is not None
    own = EvaluationArtifact.read(run / "evaluation" / "test")
    assert own.metrics == found["metrics"]
    stored = json.loads(json.loads((run / "result.json").read_text())["progress"])["results"]
    assert stored["test/AP"] == own.metrics["AP"]
    assert "test/AP/bus" not in stored or stored["test/AP/bus"] is None
    table = vistrain("evaluate", run, "--split", "test", "--volume", f"world={world}", "--device", "cpu",
                     "--output", Path(found["output"]))  # fmt: skip
    line = next(line for line in table.stdout.splitlines() if line.split()[:1] == ["bus"])
    assert line.split()[1:] == ["0", "–", "–", "–"]
    assert not re.search(r"\s-1(\.0*)?\s", table.stdout)


def test_the_checkpoint_is_the_one_that_is_named(run: Path, judge: Judge) -> None:
    last, by_step = judge(run, "--checkpoint", "last"), judge(run, "--checkpoint", "12")
    folder = judge(run / "checkpoints" / "step-000000012")
    assert last["sources"][0]["step"] == 12
    assert by_step == last
    assert folder["metrics"] == last["metrics"]
    result = vistrain("evaluate", run, "--checkpoint", "7")
    assert result.exit_code == 64
    assert "--checkpoint: 7: there is no such checkpoint" in result.output
    assert "one of the steps there are: 6, 12" in result.output


def test_a_file_of_weights_needs_a_run_or_a_manifest(
    run: Path, judge: Judge, manifest: Path, tmp_path: Path
) -> None:
    expected = judge(run)["metrics"]
    assert judge(run / "weights" / "best.pth")["metrics"] == expected
    copied = shutil.copy(run / "weights" / "best.pth", tmp_path / "mine.pth")
    result = vistrain("evaluate", copied)
    assert result.exit_code == 64
    assert "lies in no run folder" in result.output
    found = judge(copied, "-f", manifest)
    assert found["metrics"] == expected
    assert found["sources"][0]["path"] == "mine.pth"
    assert found["sources"][0]["run"] is None


@pytest.mark.parametrize("method", ["wbf", "nms"])
def test_a_detector_merged_with_itself_is_that_detector(
    run: Path, judge: Judge, tmp_path: Path, method: str
) -> None:
    alone = judge(run)
    twice = judge(run, run / "weights" / "best.pth", "--ensemble", method, "--output", tmp_path / "twice")
    assert twice["ensemble"] == method
    assert [source["path"] for source in twice["sources"]] == [alone["sources"][0]["path"], "best.pth"]
    assert twice["metrics"].pop("valLoss") is None
    assert alone["metrics"].pop("valLoss") is not None
    assert twice["metrics"] == pytest.approx(alone["metrics"], abs=1e-12)
    assert twice["detections"] == alone["detections"]


def test_two_checkpoints_make_an_ensemble_of_their_own(run: Path, judge: Judge) -> None:
    members = [run / "checkpoints" / f"step-{step:09d}" for step in (6, 12)]
    found = judge(*members)
    assert [source["step"] for source in found["sources"]] == [6, 12]
    assert found["metrics"]["AP"] is not None
    rows = read_detections(Path(found["output"]))
    assert min(row["score"] for row in rows) >= 0.00001
    assert len(rows) == found["detections"]


def test_other_classes_are_not_merged(run: Path) -> None:
    one = find_detector(run, "best", None)
    spec = one.manifest.spec
    dataset = spec.dataset.model_copy(update={"classes": ["car", "truck", "bus", "motorcycle"]})
    manifest = one.manifest.model_copy(update={"spec": spec.model_copy(update={"dataset": dataset})})
    with pytest.raises(BadInput, match="Merge only detectors of the same classes"):
        DetectorGroup([one, replace(one, manifest=manifest)], torch.device("cpu"), Overrides(), "wbf")


def test_thresholds_are_those_asked_for_and_are_stated(run: Path, judge: Judge, world: Path) -> None:
    found = judge(run, "--confidence", 0.00002, "--nms-iou", 0.5, "--max-detections", 7, "--batch-size", 3)
    assert found["thresholds"] == {"confidence": 0.00002, "nms_iou": 0.5, "max_detections": 7}
    rows = read_detections(Path(found["output"]))
    counts = [sum(row["image_id"] == image for row in rows) for image in range(1, 9)]
    assert max(counts) == 7
    assert min(row["score"] for row in rows) >= 0.00002
    printed = vistrain("evaluate", run, "--volume", f"world={world}", "--device", "cpu",
                       "--confidence", 0.00002, "--output", found["output"])  # fmt: skip
    assert printed.exit_code == 0, printed.output
    assert printed.stdout.count("score ≥ 2e-05, NMS at IoU 0.6") >= 4


def test_the_default_place_is_beside_and_never_in_the_run(
    run: Path, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = files(run)
    result = vistrain("evaluate", run, "--volume", f"world={world}", "--device", "cpu")
    assert result.exit_code == 0, result.output
    assert files(run) == before
    (place,) = (tmp_path / "evaluations").iterdir()
    step = EvaluationArtifact.read(place).sources[0].step
    assert place.name == f"small-step-{step}-validation"
    # Asked for, the run's own evaluation is made again.
    own = run / "evaluation" / "validation"
    result = vistrain("evaluate", run, "--volume", f"world={world}", "--device", "cpu", "--output", own)
    assert result.exit_code == 0, result.output
    assert files(run) == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["{run}", "--output", "{run}"], "something else lies there|it is a run folder"),
        (["{run}/nothing"], "there is no such file or folder"),
        (["{world}"], "it is no run folder, no checkpoint folder"),
        (["{run}/metrics.csv", "-f", "{manifest}"], "not a file of weights"),
        (["{run}", "--volume", "world"], "is not CLAIM=DIR"),
        (["{run}"], "no folder of this machine is named for the claim"),
        (["{run}", "{run}", "--nms-iou", "1", "--volume", "world={world}"], "nothing is merged"),
    ],
)
def test_bad_input_is_told_and_nothing_is_written(
    run: Path, world: Path, manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    arguments: list[str], said: str
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    before = files(run)
    given = [text.format(run=run, world=world, manifest=manifest) for text in arguments]
    result = vistrain("evaluate", *given, "--device", "cpu")
    assert result.exit_code == 64, result.output
    assert any(part in result.output for part in said.split("|"))
    assert not list(tmp_path.iterdir())
    assert files(run) == before


def test_other_classes_and_other_sizes_are_refused(run: Path, manifest: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.yaml"
    other.write_text(MANIFEST.replace("[car, truck, bus, bicycle]", "[truck, car, bus, bicycle]"))
    result = vistrain("evaluate", run, "-f", other)
    assert result.exit_code == 64
    assert "was trained for ['car', 'truck', 'bus', 'bicycle']" in result.output
    other.write_text(MANIFEST.replace("variant: nano", "variant: tiny"))
    result = vistrain("evaluate", run, "-f", other, "--device", "cpu")
    assert result.exit_code == 64
    assert "do not fit yolox-tiny with 4 classes" in result.output


def test_a_torn_checkpoint_is_refused(run: Path, tmp_path: Path) -> None:
    copied = tmp_path / "run"
    shutil.copytree(run, copied)
    state = copied / "checkpoints" / "step-000000012" / "state.pt"
    state.write_bytes(state.read_bytes()[:-1])
    result = vistrain("evaluate", copied, "--checkpoint", "12")
    assert result.exit_code == 64
    assert "it is not a whole checkpoint" in result.output


def predict(*arguments: object) -> Result:
    return vistrain("predict", *arguments, "--device", "cpu")


def test_predictions_are_what_an_evaluation_judges(
    run: Path, world: Path, judge: Judge, tmp_path: Path
) -> None:
    judge(run)
    expected = read_detections(tmp_path / "evaluation")
    split = predict(run, "--split", "validation", "--volume", f"world={world}",
                    "--output", tmp_path / "split", "--pictures", "--json")  # fmt: skip
    assert split.exit_code == 0, split.output
    told = json.loads(split.stdout.splitlines()[-1])
    assert (told["images"], told["detections"]) == (8, len(expected))
    found = read_detections(tmp_path / "split")
    assert [{key: one[key] for key in expected[0]} for one in found] == expected
    assert len(list((tmp_path / "split" / "pictures").iterdir())) == 8

    # Of the files alone, the same, told by their names.
    names = {one["file_name"] for one in found}
    chosen = tmp_path / "photos" / "CAM_FRONT"
    chosen.mkdir(parents=True)
    for name in names:
        shutil.copy(world / "images" / name, chosen)
    alone = predict(run, "--images", tmp_path / "photos", "--output", tmp_path / "alone")
    assert alone.exit_code == 0, alone.output
    assert "detections in 8 images (score ≥ 1e-05, NMS at IoU 0.6, at most 100 an image)" in alone.output
    by_name = [
        sorted((one["file_name"], one["score"], *one["bbox"]) for one in read_detections(folder))
        for folder in (tmp_path / "split", tmp_path / "alone")
    ]
    assert by_name[0] == by_name[1]
    assert not (tmp_path / "alone" / "pictures").exists()


def test_predictions_are_read_by_pycocotools(run: Path, world: Path, tmp_path: Path) -> None:
    image = next((world / "images" / "CAM_FRONT").iterdir())
    result = predict(run, run, "--images", image, "--output", tmp_path / "one", "--pictures",
                     "--picture-confidence", 0)  # fmt: skip
    assert result.exit_code == 0, result.output
    truth = COCO(str(tmp_path / "one" / "images.json"))
    found = truth.loadRes(str(tmp_path / "one" / "detections.json"))
    assert [image["file_name"] for image in truth.dataset["images"]] == [image.name]
    assert [category["name"] for category in truth.dataset["categories"]] == list(CLASSES)
    assert truth.dataset["info"]["thresholds"]["nms_iou"] == 0.6
    assert truth.dataset["info"]["ensemble"] == "wbf"
    assert len(found.anns) > 0
    assert (tmp_path / "one" / "pictures" / f"000001-{image.stem}.jpg").is_file()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--output", "{tmp}/new"], "exactly one says what to look at"),
        (["--output", "{tmp}/new", "--images", "{tmp}/mine", "--split", "test"], "exactly one"),
        (["--output", "{tmp}/new", "--images", "{tmp}/mine"], "there is no JPEG or PNG file in it"),
        (["--output", "{tmp}/mine", "--images", "{tmp}"], "something else lies there"),
    ],
)
def test_bad_input_of_predict(run: Path, tmp_path: Path, arguments: list[str], said: str) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    result = predict(run, *(text.format(tmp=tmp_path) for text in arguments))
    assert result.exit_code == 64, result.output
    assert said in result.output
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


@pytest.mark.parametrize("command", ["evaluate", "predict"])
def test_help_shows_an_example(command: str) -> None:
    result = vistrain(command, "--help")
    assert result.exit_code == 0
    assert f"Example: vistrain {command} runs/a" in " ".join(result.output.split())
