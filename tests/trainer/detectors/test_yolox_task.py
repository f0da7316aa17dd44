"""YOLOX as the engine's task."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from support.coco_dataset import CLASSES
from support.yolox_task import MakeTask, make_manifest
from vistrain_trainer.detectors import task_for
from vistrain_trainer.detectors.yolox import YoloxTask
from vistrain_trainer.engine.signals import Interrupted
from vistrain_trainer.errors import BadInput
from vistrain_trainer.evaluation.artifact import EvaluationArtifact, read_detections
from vistrain_trainer.evaluation.source import WeightsSource
from vistrain_trainer.evaluation.thresholds import Thresholds

SOURCE = WeightsSource("checkpoints/step-000000012", "ab" * 32, "small", 12, 4)


@pytest.fixture
def deterministic() -> Iterator[None]:
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


def few_steps(task: YoloxTask, autocast: bool, steps: int = 3) -> dict[str, torch.Tensor]:
    torch.manual_seed(11)
    model = task.build()
    groups = [
        {"params": group.parameters, "weight_decay": group.weight_decay}
        for group in task.parameter_groups(model)
    ]
    optimizer = torch.optim.SGD(groups, lr=0.01, momentum=0.9, nesterov=True)
    for step, batch in enumerate(task.batches(0, steps)):
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            losses = task.losses(model, batch.to(torch.device("cpu")), step)
        losses.mean.backward()
        optimizer.step()
        optimizer.zero_grad()
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def test_identity_and_steps(make_task: MakeTask) -> None:
    task = make_task()
    identity = task.identity()
    assert identity["classes"] == list(CLASSES)
    assert set(identity["data"]) == {"train", "validation"}
    assert task.steps_per_epoch == 3  # 12 images in batches of 4


def test_groups_hold_every_parameter_once(make_task: MakeTask) -> None:
    task = make_task()
    model = task.build()
    groups = task.parameter_groups(model)
    assert [(group.name, group.weight_decay) for group in groups] == [
        (part, decay) for part in ("backbone", "neck", "head") for decay in (5e-4, 0.0)
    ]
    held = [id(parameter) for group in groups for parameter in group.parameters]
    assert len(held) == len(set(held))
    assert set(held) == {id(parameter) for parameter in model.parameters()}
    spared = {id(parameter) for group in groups[1::2] for parameter in group.parameters}
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert {id(module.weight), id(module.bias)} <= spared
        if isinstance(module, nn.Conv2d):
            assert id(module.weight) not in spared
            assert module.bias is None or id(module.bias) in spared


def test_weight_decay_is_the_optimizers(make_task: MakeTask) -> None:
    schedule = make_manifest().spec.schedule.model_dump(by_alias=True, exclude_none=True)
    schedule["optimizer"] = {"adamw": {"weightDecay": 0.05}}
    task = make_task(schedule=schedule)
    assert {group.weight_decay for group in task.parameter_groups(task.build())} == {0.05, 0.0}


@pytest.mark.parametrize("autocast", [False, True], ids=["fp32", "bf16"])
@pytest.mark.usefixtures("deterministic")
def test_training_is_a_function_of_the_seed(make_task: MakeTask, autocast: bool) -> None:
    first, second = (few_steps(make_task(), autocast) for _ in range(2))
    assert all(torch.equal(tensor, second[name]) for name, tensor in first.items())
    assert all(torch.isfinite(tensor).all() for tensor in first.values())


def test_the_network_computes_in_low_precision_and_losses_do_not(make_task: MakeTask) -> None:
    task = make_task()
    model = task.build()
    seen: list[torch.dtype] = []
    model.backbone.backbone.stem.conv.conv.register_forward_hook(
        lambda _module, _given, result: seen.append(result.dtype)
    )
    batch = next(iter(task.batches(0, 1)))
    with torch.autocast("cpu", torch.bfloat16):
        losses = task.losses(model, batch, 0)
    assert seen == [torch.bfloat16]
    assert {part.dtype for part in (losses.total, *losses.figures().values())} == {torch.float32}


def test_l1_is_on_in_the_last_epochs_only(make_task: MakeTask) -> None:
    """Steps 9 to 11 are the no-aug epoch; a task that never saw the steps before knows it as well."""
    task = make_task()
    model = task.build()
    for step, on in ((0, False), (8, False), (9, True), (11, True)):
        batch = next(iter(task.batches(step, step + 1)))
        with torch.no_grad():
            losses = task.losses(model, batch, step).figures()
        assert (losses["l1"] > 0) == on
        assert set(losses) == {"total", "iou", "obj", "cls", "l1", "num_fg"}


def test_batches_start_anywhere(make_task: MakeTask) -> None:
    task = make_task()
    all_of_them = list(task.batches(0, 5))
    later = list(task.batches(3, 5))
    assert [batch.images_count for batch in later] == [4, 4]
    for batch, expected in zip(later, all_of_them[3:], strict=True):
        assert torch.equal(batch.images, expected.images)
        assert torch.equal(batch.labels, expected.labels)


def test_evaluation_leaves_model_and_randomness_alone(make_task: MakeTask) -> None:
    task = make_task(dataset=dataset(loader={"workers": 2}))
    model = task.build()
    model.head.eval()  # a part that is frozen, say
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    modes = [module.training for module in model.modules()]
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()
    first = task.evaluate(model, lambda: False)
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert all(np.array_equal(a, b) for a, b in zip(np.random.get_state(), numpy_state, strict=True))
    assert [module.training for module in model.modules()] == modes
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert task.evaluate(model, lambda: False) == first


def test_evaluation_names(make_task: MakeTask, tmp_path: Path) -> None:
    task = make_task()
    model = task.build()
    found = task.evaluate(model, lambda: False)
    figures = {"AP", "AP50", "AP75", "APsmall", "APmedium", "APlarge"}
    figures |= {"AR1", "AR10", "AR100", "ARsmall", "ARmedium", "ARlarge"}
    by_class = {f"{figure}/{name}" for figure in ("AP", "AR") for name in CLASSES}
    assert set(found) == figures | by_class | {"valLoss"}
    assert found["AP"] == 0  # an untrained network detects nothing at all
    assert found["valLoss"] is not None
    assert found["valLoss"] > 0
    place = tmp_path / "evaluation"
    place.mkdir()
    assert task.examine(model, place, SOURCE, lambda: False) == {}
    assert {path.name for path in place.iterdir()} == {"validation"}


def test_the_last_judgement_is_of_the_same_figures_and_leaves_all_alone(
    make_task: MakeTask, tmp_path: Path
) -> None:
    split = {"annotations": "annotations/train.json", "images": "images"}
    task = make_task(dataset=dataset(test=split, loader={"workers": 2}), evaluation={"confidence": 1e-4})
    assert set(task.identity()["data"]) == {"train", "validation", "test"}
    model = task.build()
    states = (torch.get_rng_state(), np.random.get_state()[1])
    found = task.evaluate(model, lambda: False)
    on_test = task.examine(model, tmp_path, SOURCE, lambda: False)
    assert on_test == {f"test/{name}": value for name, value in found.items()}
    later = (torch.get_rng_state(), np.random.get_state()[1])
    assert all(np.array_equal(*pair) for pair in zip(states, later, strict=True))
    assert model.training
    for name in ("validation", "test"):
        artifact = EvaluationArtifact.read(tmp_path / name)
        assert artifact.metrics == found
        assert (artifact.split, artifact.sources, artifact.precision) == (name, (SOURCE,), "fp32")
        assert artifact.thresholds == Thresholds(1e-4, 0.65, 100)
        assert artifact.data_digest == task.identity()["data"][name]
        assert len(read_detections(tmp_path / name)) == artifact.detections > 0
        assert {picture.file for picture in artifact.pictures} == {
            str(path.relative_to(tmp_path / name)) for path in (tmp_path / name / "pictures").iterdir()
        }


def test_the_last_judgement_stops_on_request(make_task: MakeTask, tmp_path: Path) -> None:
    task = make_task()
    model = task.build()
    asked: list[int] = []
    task.examine(model, tmp_path, SOURCE, lambda: asked.append(1) is not None)
    whole = len(asked)
    assert whole > 10  # between batches, and between the parts after them
    for stop_at in (0, 2, 5, whole - 1):
        answers = iter([False] * stop_at + [True])
        folder = tmp_path / str(stop_at)
        folder.mkdir()
        with pytest.raises(Interrupted):
            task.examine(model, folder, SOURCE, lambda: next(answers))  # noqa: B023
        assert not list(folder.iterdir())


def test_evaluation_stops_on_request(make_task: MakeTask) -> None:
    task = make_task()
    model = task.build()
    asked = iter([False, False, True])
    with pytest.raises(Interrupted):
        task.evaluate(model, lambda: next(asked))
    assert model.training


def test_the_data_is_checked_before_anything_is_built(make_task: MakeTask) -> None:
    split = {"annotations": "annotations/train.json", "images": "pictures"}
    with pytest.raises(BadInput) as caught:
        make_task(dataset=dataset(validation=split))
    assert caught.value.field == "spec.dataset.validation.images"
    with pytest.raises(BadInput) as caught:
        make_task(dataset=dataset(train={**split, "images": "images", "expectImages": 13}))
    assert caught.value.field == "spec.dataset.train.expectImages"


def test_the_factory_gives_yolox(make_task: MakeTask) -> None:
    task = make_task()
    assert isinstance(task_for(make_manifest(), task._context), YoloxTask)


def dataset(**fields: Any) -> dict[str, Any]:
    stated = make_manifest().spec.dataset.model_dump(by_alias=True, exclude_none=True)
    return stated | fields
