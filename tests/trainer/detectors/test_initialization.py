"""Starting from files of weights, and refusing those that are wrong."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor

from support.coco_dataset import CLASSES
from support.upstream_yolox import upstream_model
from support.yolox_task import MakeTask
from vistrain_trainer.detectors.weights_file import read
from vistrain_trainer.errors import BadInput


def stated(path: str = "w.pth", **fields: Any) -> dict[str, Any]:
    return {"weights": {"volume": {"claimName": "weights"}, "path": path, **fields}}


def upstream_state(variant: str = "nano", classes: int = 3, seed: int = 9) -> dict[str, Tensor]:
    torch.manual_seed(seed)
    state: dict[str, Tensor] = upstream_model(variant, classes).state_dict()
    return state


def refused(make_task: MakeTask, initialization: dict[str, Any]) -> BadInput:
    with pytest.raises(BadInput) as caught:
        make_task(initialization=initialization).build()
    return caught.value


@pytest.mark.parametrize("form", ["plain", "model", "ema", "parallel", "trained"])
def test_forms_of_upstream_files(make_task: MakeTask, weights_folder: Path, form: str) -> None:
    state = upstream_state()
    other = upstream_state(seed=1)
    content: Any = {
        "plain": state,
        "model": {"model": state},
        "ema": {"model": other, "ema": state, "updates": 10},
        "parallel": {"model": {f"module.{name}": tensor for name, tensor in state.items()}},
        # As upstream's trainer saves it: a NumPy number, which torch does not read by default, and more.
        "trained": {
            "start_epoch": 3,
            "model": state,
            "optimizer": {"state": {}, "param_groups": [{"lr": 0.1}]},
            "best_ap": np.float64(0.25),
            "curr_ap": None,
        },
    }[form]
    torch.save(content, weights_folder / "w.pth")
    task = make_task(initialization=stated())
    model = task.build()
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, state[name]), name
    counted = sum("num_batches_tracked" not in name for name in state)
    assert task.initialization_notes() == [f"{counted} of {counted} tensors from w.pth (100 %)"]
    assert model.training


def test_a_file_of_the_days_of_numpy_1(make_task: MakeTask, weights_folder: Path) -> None:
    """Published files were pickled when NumPy's scalars lived in another module."""
    state = upstream_state()
    torch.save({"model": state, "best_ap": np.float64(0.25)}, weights_folder / "new.pth")
    with (
        zipfile.ZipFile(weights_folder / "new.pth") as new,
        zipfile.ZipFile(weights_folder / "w.pth", "w") as old,
    ):
        for name in new.namelist():
            content = new.read(name)
            if name.endswith("data.pkl"):
                assert b"numpy._core.multiarray" in content
                content = content.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
            old.writestr(name, content)
    model = make_task(initialization=stated()).build()
    assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())


def test_a_head_of_other_classes_starts_afresh(make_task: MakeTask, weights_folder: Path) -> None:
    state = upstream_state(classes=80)
    torch.save({"model": state}, weights_folder / "w.pth")
    torch.manual_seed(4)
    fresh = make_task().build().state_dict()
    torch.manual_seed(4)
    task = make_task(initialization=stated(minMatched=1.0))
    for name, tensor in task.build().state_dict().items():
        assert torch.equal(tensor, fresh[name] if name.startswith("head.cls_preds") else state[name]), name
    notes = task.initialization_notes()
    assert "(100 %)" in notes[0]
    assert notes[1] == "the class head (6 tensors) starts afresh: the file has another number of classes"


@pytest.mark.parametrize("theirs", [tuple(reversed(CLASSES)), CLASSES])
def test_a_class_head_counts_only_with_the_same_order(
    make_task: MakeTask, weights_folder: Path, theirs: tuple[str, ...]
) -> None:
    state = upstream_state()
    torch.save({"model": state, "classes": list(theirs)}, weights_folder / "w.pth")
    task = make_task(initialization=stated())
    taken = torch.equal(
        task.build().state_dict()["head.cls_preds.0.weight"], state["head.cls_preds.0.weight"]
    )
    assert taken == (theirs == CLASSES)
    assert (f"the classes {', '.join(theirs)}" in task.initialization_notes()[-1]) != taken


def test_too_few_tensors(make_task: MakeTask, weights_folder: Path) -> None:
    state = upstream_state()
    kept = {name: tensor for name, tensor in state.items() if not name.startswith("backbone.backbone.dark5")}
    torch.save({"model": kept}, weights_folder / "w.pth")
    error = refused(make_task, stated())
    assert error.field == "spec.initialization.weights.path"
    assert error.value == "w.pth"
    wanted = sum("num_batches_tracked" not in name for name in state)
    found = sum("num_batches_tracked" not in name for name in kept)
    assert f"{found} of {wanted} tensors of yolox-nano fit ({100 * found / wanted:.0f} %)" in error.problem
    assert "the least is 95 %" in error.problem
    assert "backbone.backbone.dark5.0.dconv.conv.weight is missing" in error.problem
    assert "minMatched" in error.remedy
    task = make_task(initialization=stated(minMatched=0.5))
    task.build()
    assert "as initialised: backbone.backbone.dark5.0.dconv.conv.weight is missing" in " ".join(
        task.initialization_notes()
    )


def test_weights_of_another_variant_are_recognised(make_task: MakeTask, weights_folder: Path) -> None:
    torch.save({"model": upstream_state("tiny", 80)}, weights_folder / "w.pth")
    error = refused(make_task, stated())
    assert "is 24×12×3×3, the model has 16×12×3×3" in error.problem
    assert error.remedy.startswith("These are weights of yolox-tiny: set spec.model.yolox.variant: tiny")


def test_a_floor_of_zero_still_needs_something(make_task: MakeTask, weights_folder: Path) -> None:
    torch.save({"model": {"unrelated": torch.zeros(3)}}, weights_folder / "w.pth")
    assert "0 of" in refused(make_task, stated(minMatched=0.0)).problem


def test_digest(make_task: MakeTask, weights_folder: Path) -> None:
    path = weights_folder / "w.pth"
    torch.save({"model": upstream_state()}, path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    make_task(initialization=stated(sha256=digest)).build()
    error = refused(make_task, stated(sha256="0" * 64))
    assert error.field == "spec.initialization.weights.sha256"
    assert error.value == "0" * 64
    assert digest in error.problem


def test_missing_file_and_fallbacks(make_task: MakeTask, weights_folder: Path) -> None:
    fallback = {"volume": {"claimName": "weights"}, "path": "second.pth", "sha256": "f" * 64}
    error = refused(make_task, stated("first.pth", fallbacks=[fallback]))
    assert error.field == "spec.initialization.weights.path"
    assert "first.pth" in error.problem
    assert "second.pth" in error.problem
    assert "scratch" in error.remedy

    torch.save({"model": upstream_state()}, weights_folder / "second.pth")
    error = refused(make_task, stated("first.pth", fallbacks=[fallback]))
    assert error.field == "spec.initialization.weights.fallbacks[0].sha256"
    del fallback["sha256"]
    task = make_task(initialization=stated("first.pth", fallbacks=[fallback]))
    task.build()
    assert "from second.pth" in task.initialization_notes()[0]


def test_missing_volume(make_task: MakeTask) -> None:
    error = refused(make_task, {"weights": {"volume": {"claimName": "nowhere"}, "path": "w.pth"}})
    assert error.field == "spec.initialization.weights.volume.claimName"
    assert error.value == "nowhere"


class Evil:
    """Unpickling it would run code."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("evil-was-here"),))


@pytest.mark.parametrize("content", ["text", "cut", "code", "numbers", "empty"])
def test_not_a_file_of_weights(
    make_task: MakeTask, weights_folder: Path, content: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = weights_folder / "w.pth"
    monkeypatch.chdir(weights_folder)
    if content == "text":
        path.write_text("<html>404 not found</html>")
    elif content == "cut":
        torch.save({"model": upstream_state()}, path)
        path.write_bytes(path.read_bytes()[:100_000])
    elif content == "code":
        torch.save({"model": upstream_state(), "x": Evil()}, path)
    elif content == "numbers":
        torch.save([1, 2, 3], path)
    else:
        path.write_bytes(b"")
    error = refused(make_task, stated())
    assert error.field == "spec.initialization.weights.path"
    assert error.value == str(path)
    assert "not a file of weights" in error.problem
    assert "torch.save" in error.remedy
    assert not (weights_folder / "evil-was-here").exists()


def test_loading_the_weights_of_another_run(make_task: MakeTask) -> None:
    torch.manual_seed(1)
    source = make_task().build().state_dict()
    torch.manual_seed(2)
    task = make_task()
    model = task.build()
    notes = task.load(model, source, "runs/a/checkpoints/step-000000120", task.identity())
    assert all(torch.equal(tensor, source[name]) for name, tensor in model.state_dict().items())
    assert notes[0].endswith("from runs/a/checkpoints/step-000000120 (100 %)")
    with pytest.raises(BadInput) as caught:
        task.load(model, upstream_state("tiny"), "runs/b", task.identity())
    assert caught.value.field == "spec.initialization.checkpoint"

    fresh = task.build()
    kept = fresh.state_dict()["head.cls_preds.0.weight"].clone()
    notes = task.load(fresh, source, "runs/a", {"classes": [*CLASSES[1:], CLASSES[0]]})
    assert torch.equal(fresh.state_dict()["head.cls_preds.0.weight"], kept)
    assert "bus, bicycle, car" in notes[1]


@settings(max_examples=150, deadline=None)
@given(content=st.binary(min_size=0, max_size=64) | st.binary(max_size=40).map(lambda tail: b"these" + tail))
@example(content=b"these are no weights")
def test_no_bytes_are_mistaken_for_weights(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "noise.pth"
    path.write_bytes(content)
    with pytest.raises(BadInput) as caught:
        read(path, "spec.initialization.weights")
    assert caught.value.value == str(path)
