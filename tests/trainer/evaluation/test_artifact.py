"""An evaluation's folder is read back as it was written, and nothing else is taken for one."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vistrain_trainer.errors import BadInput
from vistrain_trainer.evaluation.artifact import EvaluationArtifact, Picture, read_detections
from vistrain_trainer.evaluation.coco_metrics import GroundTruth, metrics
from vistrain_trainer.evaluation.confusion import confusion_matrix
from vistrain_trainer.evaluation.operating import operating
from vistrain_trainer.evaluation.precision_recall import precision_recall
from vistrain_trainer.evaluation.slices import slices
from vistrain_trainer.evaluation.source import WeightsSource
from vistrain_trainer.evaluation.thresholds import Thresholds

IDS, CLASSES = (7, 2, 30), ("car", "bus", "bicycle")
DOCUMENT: dict[str, Any] = {
    "images": [{"id": 1, "tags": ["night"]}, {"id": 2}],
    "annotations": [
        {"id": 1, "image_id": 1, "category_id": 7, "bbox": [10, 10, 40, 40], "distance": 12.0},
        {"id": 2, "image_id": 1, "category_id": 2, "bbox": [90, 10, 60, 60], "visibility": 0.7},
        {"id": 3, "image_id": 2, "category_id": 7, "bbox": [0, 0, 9, 9], "iscrowd": 1},
    ],
}
ROWS = np.array([[1, 10, 10, 40, 40, 0.9, 0], [1, 200, 10, 60, 60, 0.6, 1], [1, 90, 10, 60, 60, 0.4, 2]])
DETECTIONS = [{"image_id": 1, "category_id": 7, "bbox": [10.0, 10.0, 40.0, 40.0], "score": 0.9}]
PICTURE = "pictures/random-1-2.jpg"


@pytest.fixture
def artifact() -> EvaluationArtifact:
    """The evaluation of three detections; no bicycle is there."""
    curves = GroundTruth(DOCUMENT, IDS).curves(ROWS)
    return EvaluationArtifact(
        split="validation",
        sources=(WeightsSource("checkpoints/step-000000120", "ab" * 32, "small", 120, 3),),
        ensemble=None,
        thresholds=Thresholds(0.01, 0.65, 100),
        input_sizes=((160, 288),),
        precision="fp32",
        device="cpu",
        classes=CLASSES,
        data_digest="cd" * 32,
        images=2,
        annotations=2,
        detections=3,
        metrics={**metrics(curves, IDS, CLASSES), "valLoss": 1.5},
        curves=precision_recall(curves, IDS, CLASSES),
        operating=(operating(DOCUMENT, IDS, CLASSES, ROWS, chosen="stated", confidence=0.01),),
        confusion=confusion_matrix(DOCUMENT, IDS, CLASSES, ROWS, confidence=0.01),
        slices=slices(DOCUMENT, IDS, CLASSES, ROWS),
        pictures=(Picture(PICTURE, "2.jpg", 2, "random", 0.5, boxes=0, missed=0, false=0),),
    )


def write(artifact: EvaluationArtifact, folder: Path, content: bytes = b"jpeg") -> None:
    artifact.write(folder, DETECTIONS, {PICTURE: content})


def test_what_is_read_is_what_was_written(artifact: EvaluationArtifact, tmp_path: Path) -> None:
    folder = tmp_path / "evaluation" / "validation"
    write(artifact, folder)
    assert EvaluationArtifact.read(folder) == artifact
    assert read_detections(folder) == DETECTIONS
    assert (folder / PICTURE).read_bytes() == b"jpeg"
    assert {path.name for path in folder.parent.iterdir()} == {"validation"}


def test_a_class_without_ground_truth_is_null(artifact: EvaluationArtifact, tmp_path: Path) -> None:
    write(artifact, tmp_path / "one")
    value = json.loads((tmp_path / "one" / "evaluation.json").read_text())
    assert value["metrics"]["AP/bicycle"] is None
    assert value["curves"]["classes"]["bicycle"] is None
    assert value["operating"][0]["classes"]["bicycle"] is None
    assert value["slices"]["parts"]["tag"]["night"]["figures"]["AP/bicycle"] is None
    assert not any(number == -1 for number in numbers(value))


def numbers(value: Any) -> list[float]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return [number for item in value for number in numbers(item)]
    return [value] if isinstance(value, int | float) else []


def test_an_artifact_is_replaced_whole(artifact: EvaluationArtifact, tmp_path: Path) -> None:
    folder = tmp_path / "one"
    write(artifact, folder)
    (folder / "pictures" / "stale.jpg").write_bytes(b"old")
    # What a killed process left beside is no hindrance.
    (tmp_path / ".one.partial").mkdir()
    (tmp_path / ".one.discarded").mkdir()
    later = dataclasses.replace(artifact, precision="bf16")
    write(later, folder, b"new")
    assert EvaluationArtifact.read(folder) == later
    assert [path.name for path in (folder / "pictures").iterdir()] == ["random-1-2.jpg"]
    assert [path.name for path in tmp_path.iterdir()] == ["one"]


def test_other_content_is_never_replaced(artifact: EvaluationArtifact, tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("mine")
    with pytest.raises(BadInput, match="something else lies there"):
        write(artifact, tmp_path / "thesis")
    assert (tmp_path / "thesis" / "chapter.txt").read_text() == "mine"


def test_a_fault_while_writing_leaves_the_old_one(
    artifact: EvaluationArtifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "one"
    write(artifact, folder)

    def full(path: Path, content: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("vistrain_trainer.evaluation.artifact.write_durably", full)
    with pytest.raises(OSError, match="No space left"):
        write(dataclasses.replace(artifact, precision="bf16"), folder)
    assert EvaluationArtifact.read(folder) == artifact
    assert [path.name for path in tmp_path.iterdir()] == ["one"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda value: value.update(format=2), "it has format 2; this version reads 1"),
        (lambda value: value.pop("metrics"), "metrics: Field required"),
        (lambda value: value["thresholds"].update(confidence="much"), "thresholds.confidence"),
    ],
)
def test_what_is_no_artifact_is_refused(
    artifact: EvaluationArtifact, tmp_path: Path, change: Any, said: str
) -> None:
    write(artifact, tmp_path / "one")
    file = tmp_path / "one" / "evaluation.json"
    value = json.loads(file.read_text())
    change(value)
    file.write_text(json.dumps(value))
    with pytest.raises(BadInput, match=said):
        EvaluationArtifact.read(tmp_path / "one")
    file.write_text("{")
    with pytest.raises(BadInput, match="not whole JSON"):
        EvaluationArtifact.read(tmp_path / "one")
    file.unlink()
    with pytest.raises(BadInput, match="cannot be read"):
        EvaluationArtifact.read(tmp_path / "one")
