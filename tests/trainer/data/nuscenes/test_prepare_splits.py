"""Splits and classes against the nuScenes devkit, of which they are facts."""

from __future__ import annotations

import numpy as np
import pytest
from nuscenes.eval.detection.utils import category_to_detection_name
from nuscenes.utils import splits as devkit

from vistrain_trainer.data.classes import CLASSES, PRESETS, class_of, group_of, named_classes, require_classes
from vistrain_trainer.data.nuscenes.splits import custom_560_140, official
from vistrain_trainer.data.world.categories import CATEGORIES
from vistrain_trainer.errors import BadInput


@pytest.mark.parametrize(
    ("version", "split", "name"),
    [
        ("v1.0-trainval", "train", "train"),
        ("v1.0-trainval", "val", "val"),
        ("v1.0-mini", "train", "mini_train"),
        ("v1.0-mini", "val", "mini_val"),
        ("v1.0-test", "test", "test"),
    ],
)
def test_official_lists_are_the_devkits_in_its_order(version: str, split: str, name: str) -> None:
    assert list(official(version)[split]) == getattr(devkit, name)


def test_no_version_has_other_splits() -> None:
    lists = {version: set(official(version)) for version in ("v1.0-trainval", "v1.0-mini", "v1.0-test")}
    assert lists == {
        "v1.0-trainval": {"train", "val"},
        "v1.0-mini": {"train", "val"},
        "v1.0-test": {"test"},
    }
    with pytest.raises(BadInput, match=r"v2\.0: is no version of nuScenes"):
        official("v2.0")


def test_the_custom_cut_is_drawn_as_the_originals_drew_it() -> None:
    state = np.random.get_state()
    np.random.seed(42)
    drawn = list(np.random.permutation(devkit.train))
    np.random.set_state(state)
    cut = custom_560_140()
    assert list(cut["train"]) == drawn[:560]
    assert list(cut["val"]) == drawn[560:]
    assert list(cut["test"]) == devkit.val


def test_categories_are_classed_as_the_devkit_classes_them() -> None:
    for category in (*CATEGORIES, "vehicle.bus", "vehicle", "car", ""):
        assert class_of(category) == category_to_detection_name(category)
    assert {class_of(category) for category in CATEGORIES} - {None} == set(CLASSES)
    assert {group_of(name) for name in CLASSES} == {"vehicle", "human", "movable_object"}


def test_presets_keep_their_two_orders() -> None:
    assert named_classes("nuscenes-tracking") == (
        "car", "truck", "bus", "trailer", "pedestrian", "motorcycle", "bicycle",
    )  # fmt: skip
    assert named_classes("nuscenes-vehicles") == (
        "car", "truck", "trailer", "bus", "construction_vehicle", "bicycle", "motorcycle",
    )  # fmt: skip
    assert named_classes("bus, car") == ("bus", "car")
    for classes in PRESETS.values():
        require_classes(classes, "--classes")


@pytest.mark.parametrize("classes", [("car", "vehicle.bus"), ("car", "car"), ()])
def test_classes_that_cannot_be_had_are_refused(classes: tuple[str, ...]) -> None:
    with pytest.raises(BadInput, match=r"choose from car, truck, bus, .*barrier, or name nuscenes-tracking"):
        require_classes(classes, "--classes")
