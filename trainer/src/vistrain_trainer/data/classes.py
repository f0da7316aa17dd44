"""The classes that nuScenes' categories count as, and the ordered lists of them that people train on."""

from __future__ import annotations

from collections.abc import Sequence

from vistrain_trainer.errors import BadInput

PRESETS: dict[str, tuple[str, ...]] = {
    "nuscenes-tracking": ("car", "truck", "bus", "trailer", "pedestrian", "motorcycle", "bicycle"),
    "nuscenes-vehicles": (
        "car",
        "truck",
        "trailer",
        "bus",
        "construction_vehicle",
        "bicycle",
        "motorcycle",
    ),
}
"""Ordered class lists; the order is part of a data set's identity."""

# As nuScenes' detection challenge maps them. Categories that are not here belong to no class: among them
# strollers, wheelchairs, personal mobility and emergency vehicles.
_CATEGORIES = {
    "car": ("vehicle.car",),
    "truck": ("vehicle.truck",),
    "bus": ("vehicle.bus.bendy", "vehicle.bus.rigid"),
    "trailer": ("vehicle.trailer",),
    "construction_vehicle": ("vehicle.construction",),
    "pedestrian": (
        "human.pedestrian.adult",
        "human.pedestrian.child",
        "human.pedestrian.construction_worker",
        "human.pedestrian.police_officer",
    ),
    "motorcycle": ("vehicle.motorcycle",),
    "bicycle": ("vehicle.bicycle",),
    "traffic_cone": ("movable_object.trafficcone",),
    "barrier": ("movable_object.barrier",),
}
CLASSES = tuple(_CATEGORIES)
"""Every class that there is."""
_CLASS_OF = {category: name for name, categories in _CATEGORIES.items() for category in categories}


def class_of(category: str) -> str | None:
    """The class of a category such as vehicle.bus.rigid; None where it belongs to none."""
    return _CLASS_OF.get(category)


def group_of(name: str) -> str:
    """What a class is a kind of, by nuScenes' tree: vehicle, human or movable_object."""
    return _CATEGORIES[name][0].partition(".")[0]


def named_classes(text: str) -> tuple[str, ...]:
    """The classes of a preset, or those named with commas between."""
    return PRESETS.get(text) or tuple(name.strip() for name in text.split(","))


def require_classes(names: Sequence[str], field: str) -> None:
    """Refuse a list of classes that cannot be had.

    Raises:
        BadInput: a name is no class, comes twice, or there is none.
    """
    unknown = [name for name in names if name not in _CATEGORIES]
    if not unknown and 0 < len(set(names)) == len(names):
        return
    raise BadInput(
        field=field,
        value=",".join(names),
        problem=f"{unknown[0]!r} is no class" if unknown else "a class is missing or comes twice",
        remedy=f"choose from {', '.join(CLASSES)}, or name {' or '.join(PRESETS)}",
    )
