"""Exported weights serve upstream's YOLOX."""

from __future__ import annotations

from pathlib import Path

import torch

from support.coco_dataset import CLASSES
from support.upstream_yolox import upstream_model
from support.yolox_task import MakeTask


def test_upstream_loads_an_export_and_says_the_same(
    make_task: MakeTask, tmp_path: Path, weights_folder: Path
) -> None:
    torch.manual_seed(6)
    task = make_task()
    model = task.build()
    images = torch.randint(0, 256, (2, 3, 64, 96), dtype=torch.uint8)
    with torch.no_grad():
        model(images)  # moves the norms' statistics
    torch.save(task.export(model.state_dict()), tmp_path / "best.pth")

    content = torch.load(tmp_path / "best.pth", weights_only=True)
    assert content["classes"] == list(CLASSES)
    assert content["variant"] == "nano"
    assert content["input_size"] == [64, 96]
    theirs = upstream_model("nano", len(CLASSES))
    theirs.load_state_dict(content["model"], strict=True)
    with torch.no_grad():
        expected = theirs.eval()(images.float().to(memory_format=torch.channels_last))
        found = model.eval()(images)
    torch.testing.assert_close(found.boxes(), expected[..., :4], rtol=1e-5, atol=1e-4)
    torch.testing.assert_close(found.scores(), expected[..., 4:5] * expected[..., 5:], rtol=1e-5, atol=1e-7)

    torch.save(content, weights_folder / "w.pth")
    weights = {"weights": {"volume": {"claimName": "weights"}, "path": "w.pth", "minMatched": 1.0}}
    again = make_task(initialization=weights).build()
    assert all(torch.equal(tensor, model.state_dict()[name]) for name, tensor in again.state_dict().items())
