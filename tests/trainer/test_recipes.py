"""The recipes in examples/: every number of the table they come from, and each run to its end, reduced.

Reduced are variant, input size, epochs, batch size, data, volumes and resources; nothing else is touched.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from support.zygote import zygote
from vistrain_api.detector import DetectorTrainingSpec
from vistrain_api.manifest import load
from vistrain_trainer.data.classes import PRESETS
from vistrain_trainer.data.synthetic import SyntheticOptions, make_synthetic
from vistrain_trainer.data.world.release import ReleaseOptions, write_release
from vistrain_trainer.detectors.yolox_model import YoloxModel, part_of
from vistrain_trainer.engine.checkpoint import open_checkpoint

EXAMPLES = Path(__file__).parents[2] / "examples"
FROZEN_TRUNK = [("head", None, ["backbone", "neck"])]

TABLE: dict[str, dict[str, Any]] = {
    "yolox-l-run": {
        "classes": "nuscenes-vehicles",
        "epochs": 30,
        "batch": 8,
        "peak": 7.5e-5,
        "per image": 9.375e-6,
        "warm-up": 3,
        "no-aug": 8,
        "ratio": 0.10,
        "mosaic": 0.2,
        "mixup": 0.15,
        "mixup scale": (0.85, 1.15),
        "hsv": 0.4,
        "degrees": 3,
        "translate": 0.08,
        "shear": 0.5,
        "scale": (0.85, 1.15),
        "phases": None,
        "input": (800, 1440),
        "multiscale": None,
        "confidence": 0.01,
        "every": 1,
        "workers": 4,
    },
    "yolox-l-two-phase": {
        "classes": "nuscenes-tracking",
        "epochs": 30,
        "batch": 24,
        "peak": 1.875e-4,
        "per image": 0.0005 / 64,
        "warm-up": 1,
        "no-aug": 2,
        "ratio": 0.05,
        "mosaic": 0.7,
        "mixup": 0.4,
        "mixup scale": (0.5, 1.5),
        "hsv": 0.5,
        "degrees": 5,
        "translate": 0.1,
        "shear": 2,
        "scale": (0.5, 1.5),
        "phases": [("frozen-backbone", 15, ["backbone"]), ("all", None, [])],
        "input": (896, 1600),
        "multiscale": (736, 1056, 10),
        "confidence": 0.1,
        "every": 5,
        "workers": 12,
    },
    "yolox-l-head-only": {
        "classes": "nuscenes-tracking",
        "epochs": 30,
        "batch": 32,
        "peak": 3e-4,
        "per image": None,
        "warm-up": 3,
        "no-aug": 8,
        "ratio": 0.10,
        "mosaic": 0.2,
        "mixup": 0.15,
        "mixup scale": (0.85, 1.15),
        "hsv": 0.4,
        "degrees": 3,
        "translate": 0.08,
        "shear": 0.5,
        "scale": (0.85, 1.15),
        "phases": FROZEN_TRUNK,
        "input": (800, 1440),
        "multiscale": None,
        "confidence": 0.01,
        "every": 1,
        "workers": 4,
    },
    "yolox-l-clean": {
        "classes": "nuscenes-tracking",
        "epochs": 10,
        "batch": 8,
        "peak": 1.25e-4,
        "per image": None,
        "warm-up": 1,
        "no-aug": 2,
        "ratio": 0.05,
        "mosaic": 0.5,
        "mixup": 0.5,
        "mixup scale": (0.8, 1.2),
        "hsv": 0.5,
        "degrees": 5,
        "translate": 0.1,
        "shear": 1,
        "scale": (0.8, 1.2),
        "phases": FROZEN_TRUNK,
        "input": (800, 1440),
        "multiscale": None,
        "confidence": 0.01,
        "every": 1,
        "workers": 4,
    },
    "yolox-l-smooth": {
        "classes": "nuscenes-tracking",
        "epochs": 30,
        "batch": 32,
        "peak": 5e-4,
        "per image": None,
        "warm-up": 1,
        "no-aug": 2,
        "ratio": 0.01,
        "mosaic": 0.5,
        "mixup": 0.5,
        "mixup scale": (0.8, 1.2),
        "hsv": 0.5,
        "degrees": 5,
        "translate": 0.1,
        "shear": 1,
        "scale": (0.8, 1.2),
        "phases": FROZEN_TRUNK,
        "input": (800, 1440),
        "multiscale": None,
        "confidence": 0.01,
        "every": 1,
        "workers": 4,
    },
}
TABLE["yolox-l-from-raw-nuscenes"] = TABLE["yolox-l-run"]  # but for where its data come from
RECIPES = sorted(TABLE)


def cells(spec: DetectorTrainingSpec) -> dict[str, Any]:
    """The table's cells as a manifest states them."""
    schedule, varied, model = spec.schedule, spec.augmentation, spec.model.yolox
    assert model is not None
    assert model.variant == "l"
    preset = next(name for name, classes in PRESETS.items() if list(classes) == spec.dataset.classes)
    multiscale = varied.multiscale
    return {
        "classes": preset,
        "epochs": schedule.epochs,
        "batch": schedule.batch_size,
        "peak": pytest.approx(schedule.learning_rate.peak_for(schedule.batch_size), rel=1e-12),
        "per image": schedule.learning_rate.per_image,
        "warm-up": schedule.warmup_epochs,
        "no-aug": schedule.no_aug_epochs,
        "ratio": schedule.learning_rate.min_ratio,
        "mosaic": varied.mosaic,
        "mixup": varied.mixup.probability,
        "mixup scale": (varied.mixup.scale.min, varied.mixup.scale.max),
        "hsv": varied.hsv.probability,
        "degrees": varied.degrees,
        "translate": varied.translate,
        "shear": varied.shear,
        "scale": (varied.scale.min, varied.scale.max),
        "phases": schedule.phases and [(p.name, p.epochs, list(p.freeze)) for p in schedule.phases],
        "input": (model.input_size.height, model.input_size.width),
        "multiscale": multiscale and (multiscale.height.min, multiscale.height.max, multiscale.every_steps),
        "confidence": spec.evaluation.confidence,
        "every": spec.evaluation.every_epochs,
        "workers": spec.dataset.loader.workers,
    }


def test_the_table_names_every_recipe():
    assert sorted(path.stem for path in EXAMPLES.glob("yolox-l-*.yaml")) == RECIPES


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_cell_of_the_table(recipe):
    spec = load(EXAMPLES / f"{recipe}.yaml").spec
    assert cells(spec) == TABLE[recipe]
    for phase in spec.schedule.phases or []:  # phases have no rates, warm-ups or stops of their own
        stated = phase.model_dump(exclude_defaults=True, exclude={"name", "epochs", "freeze"})
        assert stated == {}


@pytest.mark.parametrize("recipe", RECIPES)
def test_what_all_recipes_have_in_common(recipe):
    spec = load(EXAMPLES / f"{recipe}.yaml").spec
    sgd = spec.schedule.optimizer.sgd
    assert sgd is not None
    assert (sgd.momentum, sgd.nesterov, sgd.weight_decay) == (0.9, True, 5e-4)
    assert (spec.evaluation.nms_iou, spec.schedule.precision, spec.augmentation.flip) == (0.65, "fp16", 0.5)
    assert spec.schedule.learning_rate.curve == "yolox"
    assert (spec.schedule.ema.enabled, spec.schedule.ema.decay, spec.schedule.ema.tau) == (True, 0.9998, 2000)
    assert len(spec.dataset.classes) == 7
    weights = spec.initialization.weights
    assert weights is not None
    assert weights.path == "yolox_l.pth"


def test_parameters_by_part():
    """YOLOX-L with 7 classes, as the recipes have it."""
    with torch.device("meta"):
        model = YoloxModel("l", 7)
    counts = {"backbone": 0, "neck": 0, "head": 0}
    for name, parameter in model.named_parameters():
        counts[part_of(name)] += parameter.numel()
    assert sum(counts.values()) == 54_152_612
    assert counts["head"] == 7_553_572
    assert counts["backbone"] + counts["neck"] == 46_599_040
    assert {part: round(count / 1e6, 2) for part, count in counts.items()} == {
        "backbone": 27.08,
        "neck": 19.52,
        "head": 7.55,
    }


# Reduced: epochs, then input size. With heights of 736 to 1056 a narrow picture keeps the work small.
REDUCED = {
    "yolox-l-run": (12, 64, 96),
    "yolox-l-from-raw-nuscenes": (12, 64, 96),
    "yolox-l-two-phase": (5, 320, 32),
    "yolox-l-head-only": (12, 64, 96),
    "yolox-l-clean": (4, 64, 96),
    "yolox-l-smooth": (4, 64, 96),
}
BATCH, STEPS = 4, 2


@pytest.fixture(scope="module")
def volume(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The volume `nuscenes` with both class lists: 8 pictures to train on, 2 to validate on."""
    root = tmp_path_factory.mktemp("nuscenes")
    for preset in ("vehicles", "tracking"):
        options = SyntheticOptions(
            scenes=5,
            samples=2,
            cameras=("CAM_FRONT",),
            height=64,
            width=96,
            classes=PRESETS[f"nuscenes-{preset}"],
            seed=1,
        )
        make_synthetic(options, root / f"front-{preset}")
    return root


@pytest.fixture(scope="module")
def raw_volume(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The volume `nuscenes` with a raw release: 8 pictures to train on, 2 to validate on."""
    root = tmp_path_factory.mktemp("raw") / "nuscenes"
    options = ReleaseOptions(
        version="v1.0-trainval",
        scenes=5,
        samples=2,
        cameras=("CAM_FRONT",),
        height=64,
        width=96,
        seed=1,
        sensors="cameras",
        dropped_keyframes=0,
    )
    write_release(options, root)
    return root


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The volume `weights` with a file as upstream writes it, of its 80 classes."""
    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(3)
    torch.save({"model": YoloxModel("nano", 80).state_dict(), "start_epoch": 300}, folder / "yolox_l.pth")
    return folder


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., int]]:
    with zygote(tmp_path_factory.mktemp("recipes") / "log.txt", threads=1) as started:
        yield started.run


def formula(step: int, peak: float, ratio: float, total: int, warmup: int, flat: int) -> float:
    if warmup > 0 and step <= warmup:
        return peak * (step / warmup) ** 2
    if step >= total - flat:
        return peak * ratio
    turn = math.pi * (step - warmup) / (total - warmup - flat)
    return peak * ratio + 0.5 * peak * (1 - ratio) * (1 + math.cos(turn))


@pytest.mark.parametrize("recipe", RECIPES)
def test_runs_to_its_end_by_its_formulas(recipe, command, volume, raw_volume, weights, tmp_path):
    epochs, height, width = REDUCED[recipe]
    settings = {
        "model.yolox.variant": "nano",
        "model.yolox.inputSize": f"{{height: {height}, width: {width}}}",
        "schedule.epochs": epochs,
        "schedule.batchSize": BATCH,
        "dataset.loader.workers": 1,
        "resources": "{accelerator: {cpu: {}}, cpu: 1, memory: 4Gi, sharedMemory: 1Gi}",
    }
    if recipe == "yolox-l-two-phase":
        settings["schedule.phases.0.epochs"] = 2
    arguments = ["run", "-f", str(EXAMPLES / f"{recipe}.yaml"), "--output", str(tmp_path / "run")]
    data = raw_volume if recipe == "yolox-l-from-raw-nuscenes" else volume
    arguments += ["--volume", f"nuscenes={data}", "--volume", f"weights={weights}"]
    for path, value in settings.items():
        arguments += ["--set", f"spec.{path}={value}"]
    assert command(*arguments, "--log-every", "1", "--port", "0") == 0

    table, total = TABLE[recipe], epochs * STEPS
    rows = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == list(range(1, total + 1))
    peak = table["per image"] * BATCH if table["per image"] else table["peak"]
    warmup, flat = table["warm-up"] * STEPS, table["no-aug"] * STEPS
    for row in rows:
        expected = formula(row["step"] - 1, peak, table["ratio"], total, warmup, flat)
        assert row["learning_rate"] == pytest.approx(expected, rel=1e-12)
        assert (row["loss"]["l1"] > 0) == (row["step"] > total - flat)  # L1 is on in the no-aug epochs

    folder = tmp_path / "run" / "checkpoints"
    before, last = (open_checkpoint(folder / f"step-{n:09d}").load() for n in (total - STEPS, total))
    assert last["ema"]["updates"] == total
    initial = torch.load(weights / "yolox_l.pth", weights_only=True)["model"]
    frozen = (table["phases"] or [("", None, [])])[-1][2]
    for name, value in last["model"].items():
        if part_of(name) in frozen:  # parameters, statistics and their counters, raw and average
            assert torch.equal(value, initial[name]), name
            assert torch.equal(last["ema"]["weights"][name], initial[name]), name
    moved = {
        part_of(name)
        for name, value in last["model"].items()
        if not torch.equal(value, before["model"][name])
    }
    assert moved == {"backbone", "neck", "head"} - set(frozen)

    with (tmp_path / "run" / "metrics.csv").open() as file:
        evaluated = [bool(row["AP"]) for row in csv.DictReader(file)]
    assert evaluated == [(n % table["every"] == 0) or n == epochs for n in range(1, epochs + 1)]
