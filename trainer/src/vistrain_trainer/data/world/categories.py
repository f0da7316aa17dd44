"""nuScenes' categories as a release has them: names, attributes, and how often and how each is met here."""

from __future__ import annotations

from dataclasses import replace

from vistrain_trainer.data.world.catalogue import KINDS, Colour, Kind, Part

CATEGORIES = (
    "human.pedestrian.adult",
    "human.pedestrian.child",
    "human.pedestrian.wheelchair",
    "human.pedestrian.stroller",
    "human.pedestrian.personal_mobility",
    "human.pedestrian.police_officer",
    "human.pedestrian.construction_worker",
    "animal",
    "vehicle.car",
    "vehicle.motorcycle",
    "vehicle.bicycle",
    "vehicle.bus.bendy",
    "vehicle.bus.rigid",
    "vehicle.truck",
    "vehicle.construction",
    "vehicle.emergency.ambulance",
    "vehicle.emergency.police",
    "vehicle.trailer",
    "movable_object.barrier",
    "movable_object.trafficcone",
    "movable_object.pushable_pullable",
    "movable_object.debris",
    "static_object.bicycle_rack",
)
"""All of them, in the order of the table."""

ATTRIBUTES = (
    "vehicle.moving",
    "vehicle.stopped",
    "vehicle.parked",
    "cycle.with_rider",
    "cycle.without_rider",
    "pedestrian.sitting_lying_down",
    "pedestrian.standing",
    "pedestrian.moving",
)
"""All of them, in the order of the table."""

_PAVEMENT = ("pavement right", "pavement left")
_VERGE = ("verge right", "verge left")
_ORANGE: Colour = (30, 110, 240)
_WHITE: Colour = (225, 225, 225)
_BLUE: Colour = (190, 70, 20)
_GREY: Colour = (120, 120, 120)
_BLOCK = (Part((-0.5, 0.5), (-0.5, 0.5), (0.0, 1.0)),)


def _plain(
    category: str, size: tuple[float, float, float], colour: Colour, lanes: tuple[str, ...] = _VERGE
) -> Kind:
    length, width, height = size
    return Kind(category, length, width, height, (colour,), _BLOCK, lanes)


_ADULT, _CAR, _TRUCK, _BUS = (KINDS[name] for name in ("pedestrian", "car", "truck", "bus"))

SORTS: tuple[tuple[Kind, float], ...] = (
    (_ADULT, 8.0),
    (replace(_ADULT, category="human.pedestrian.child", length=0.45, width=0.5, height=1.2), 1.0),
    (replace(_ADULT, category="human.pedestrian.wheelchair", length=1.0, width=0.7, height=1.3), 0.3),
    (_plain("human.pedestrian.stroller", (1.0, 0.6, 1.1), (90, 40, 90), _PAVEMENT), 0.6),
    (replace(_ADULT, category="human.pedestrian.personal_mobility", length=1.1), 0.3),
    (replace(_ADULT, category="human.pedestrian.police_officer", colours=(_BLUE,)), 0.5),
    (replace(_ADULT, category="human.pedestrian.construction_worker", colours=(_ORANGE,)), 1.0),
    (_plain("animal", (0.8, 0.3, 0.6), (50, 70, 110)), 0.5),
    (_CAR, 8.0),
    (KINDS["motorcycle"], 2.0),
    (KINDS["bicycle"], 2.0),
    (replace(_BUS, category="vehicle.bus.bendy", length=17.0), 0.5),
    (_BUS, 1.0),
    (_TRUCK, 2.5),
    (KINDS["construction_vehicle"], 1.0),
    (replace(_TRUCK, category="vehicle.emergency.ambulance", length=6.0, height=2.7, colours=(_WHITE,)), 0.2),
    (replace(_CAR, category="vehicle.emergency.police", colours=(_WHITE,)), 0.4),
    (KINDS["trailer"], 1.5),
    (_plain("movable_object.barrier", (0.6, 2.2, 1.0), _ORANGE), 3.0),
    (_plain("movable_object.trafficcone", (0.4, 0.4, 0.9), _ORANGE), 3.0),
    (_plain("movable_object.pushable_pullable", (0.8, 0.6, 1.0), _GREY), 1.0),
    (_plain("movable_object.debris", (0.9, 0.9, 0.5), (60, 80, 90)), 0.5),
    (_plain("static_object.bicycle_rack", (5.0, 2.0, 1.2), _GREY), 0.5),
)
"""What is met in the world, one kind for each category, each with its weight among those of a lane."""


def attribute(category: str, speed: float, *, parked: bool) -> str:
    """The attribute of an object that moves so fast (m/s); empty where the category has none."""
    moving = abs(speed) > 0.5
    if category in ("vehicle.bicycle", "vehicle.motorcycle"):
        return "cycle.with_rider"
    if category.startswith("vehicle."):
        return "vehicle.parked" if parked else "vehicle.moving" if moving else "vehicle.stopped"
    if category.startswith("human.") and category != "human.pedestrian.stroller":
        return "pedestrian.moving" if moving else "pedestrian.standing"
    return ""
