"""A full evaluation holds together: its parts count the same boxes, and what cannot be read is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from support.coco_dataset import CLASSES, write_dataset
from vistrain_api.evaluation import Gate
from vistrain_trainer.data.coco import CocoDetection
from vistrain_trainer.evaluation.artifact import EvaluationArtifact
from vistrain_trainer.evaluation.coco_metrics import GroundTruth, metrics
from vistrain_trainer.evaluation.examination import Judged, examine
from vistrain_trainer.evaluation.gates import unmet_gates
from vistrain_trainer.evaluation.inference import Inferred
from vistrain_trainer.evaluation.source import WeightsSource
from vistrain_trainer.evaluation.thresholds import Thresholds

JUDGED = Judged(
    split="validation",
    sources=(WeightsSource("mine.pth", "ab" * 32),),
    ensemble=None,
    thresholds=Thresholds(0.05, 0.65, 100),
    input_sizes=((64, 96),),
    precision="fp32",
    device="cpu",
)


def dataset(path: Path) -> CocoDetection:
    return CocoDetection(path, path.parent.parent / "images", CLASSES)


@pytest.fixture
def annotations(tmp_path: Path) -> Path:
    return write_dataset(tmp_path / "data")


def detected(data: CocoDetection, *, keep: float = 0.7, noise: float = 3) -> np.ndarray:
    """Most boxes, a little off, with scores; and some that are false."""
    random = np.random.default_rng(1)
    rows = []
    for annotation in data.raw["annotations"]:
        class_index = data.class_index[annotation["category_id"]]
        if random.random() < keep:
            box = np.array(annotation["bbox"]) + random.normal(0, noise, 4)
            rows.append([annotation["image_id"], *box, random.uniform(0.3, 1), class_index])
        rows.append(
            [annotation["image_id"], *random.uniform(5, 40, 4), random.uniform(0.05, 0.5), class_index]
        )
    found = np.array(rows)
    return found[np.lexsort((-found[:, 5], found[:, 0]))]


def test_the_parts_agree(annotations: Path, tmp_path: Path) -> None:
    data = dataset(annotations)
    rows = detected(data)
    examined = examine(data, Inferred(rows, 1.25), JUDGED)
    found = examined.artifact
    curves = GroundTruth(data.raw, data.category_ids).curves(rows)
    assert found.metrics == {**metrics(curves, data.category_ids, CLASSES), "valLoss": 1.25}
    assert found.annotations == len(data.raw["annotations"]) == found.slices.whole.boxes
    stated, best = found.operating
    assert (stated.chosen, stated.confidence) == ("stated", 0.05)
    assert found.curves.pooled is not None
    assert found.curves.pooled.best is not None
    assert (best.chosen, best.confidence) == ("best F1", found.curves.pooled.best.confidence)
    for one in found.operating:
        assert one.pooled.right + one.pooled.missed == found.annotations
        assert one.pooled.right + one.pooled.false == int((rows[:, 5] >= one.confidence).sum())
    assert best.pooled.f1 is not None
    assert stated.pooled.f1 is not None
    assert best.pooled.f1 > stated.pooled.f1
    assert found.confusion.confidence == best.confidence
    assert sum(map(sum, found.confusion.counts)) - sum(found.confusion.counts[-1]) == found.annotations
    # The pictures' counts are of the same matching.
    assert len(found.pictures) == min(12, len(data.images)) == len(examined.pictures)
    worst = [one.missed + one.false for one in found.pictures if one.chosen == "errors"]
    assert worst == sorted(worst, reverse=True)
    assert sum(one.missed for one in found.pictures) == best.pooled.missed
    assert sum(one.false for one in found.pictures) == best.pooled.false
    examined.write(tmp_path / "evaluation")
    assert EvaluationArtifact.read(tmp_path / "evaluation") == found


def test_nothing_detected_is_an_evaluation_too(annotations: Path, tmp_path: Path) -> None:
    data = dataset(annotations)
    examined = examine(data, Inferred(np.zeros((0, 7)), None), JUDGED)
    found = examined.artifact
    assert [one.chosen for one in found.operating] == ["stated"]
    assert found.operating[0].pooled.precision is None
    assert (found.metrics["AP"], found.metrics["valLoss"], found.detections) == (0, None, 0)
    examined.write(tmp_path / "evaluation")
    assert EvaluationArtifact.read(tmp_path / "evaluation") == found


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda document: document["images"][0].update(tags={"weather": "rain"}), "tags"),
        (lambda document: document["annotations"][0].update(visibility="half"), "visibility"),
        (lambda document: document["annotations"][0].update(distance=-3), "distance"),
    ],
)
def test_words_of_another_kind_cost_their_slices_only(annotations: Path, change: Any, said: str) -> None:
    """A run of hours must not end with an error over a field that it never needed."""
    document = json.loads(annotations.read_text())
    document["images"][1]["tags"] = ["night"]
    change(document)
    annotations.write_text(json.dumps(document))
    data = dataset(annotations)
    found = examine(data, Inferred(detected(data), None), JUDGED).artifact
    assert set(found.slices.parts) == {"size"}
    (note,) = found.notes
    assert "sliced by size only" in note
    assert said in note


def test_equal_detections_make_equal_files(annotations: Path, tmp_path: Path) -> None:
    data = dataset(annotations)
    contents = []
    for name in ("one", "two"):
        examine(data, Inferred(detected(data), 1.0), JUDGED).write(tmp_path / name)
        files = sorted(path for path in (tmp_path / name).rglob("*") if path.is_file())
        contents.append([(path.name, path.read_bytes()) for path in files])
    assert contents[0] == contents[1]


def test_ap75_and_ar100_can_be_gates(annotations: Path) -> None:
    data = dataset(annotations)
    results = examine(data, Inferred(detected(data), 1.0), JUDGED).artifact.metrics
    assert results["AP75"] is not None
    assert results["AR100"] is not None
    met = [Gate(metric="AP75", min=results["AP75"]), Gate(metric="AR100", max=results["AR100"])]
    assert unmet_gates(met, results) == []
    missed = unmet_gates([Gate(metric="AP75", min=0.999), Gate(metric="AR100", min=0.999)], results)
    assert [text.split()[0] for text in missed] == ["AP75", "AR100"]
