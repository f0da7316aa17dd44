"""The kinds of road users in the world: size, colour, build, where they move."""

from __future__ import annotations

from dataclasses import dataclass

Colour = tuple[int, int, int]
"""Blue, green, red, 0–255."""


@dataclass(frozen=True)
class Part:
    """A cuboid of an object's build, in shares of the object's length, width and height.

    x runs forward from −½ to ½, y to the left from −½ to ½, z upward from 0 to 1. ``paint`` is a colour, or
    None for the object's own.
    """

    x: tuple[float, float]
    y: tuple[float, float]
    z: tuple[float, float]
    paint: Colour | None = None


@dataclass(frozen=True)
class Kind:
    """A class of objects. Sizes in metres, speeds in m/s."""

    category: str
    """nuScenes' category name."""
    length: float
    width: float
    height: float
    colours: tuple[Colour, ...]
    parts: tuple[Part, ...]
    lanes: tuple[str, ...]
    """Names of the lanes (`vistrain_trainer.data.world.road.LANES`) where it is found."""


_GLASS: Colour = (70, 50, 40)
_TYRE: Colour = (25, 25, 25)
_WHITE: Colour = (225, 225, 225)
_SKIN: Colour = (140, 170, 215)
_FULL = (-0.5, 0.5)


def _wheels(front: float, rear: float, size: float) -> tuple[Part, ...]:
    return tuple(Part((at - size, at + size), _FULL, (0.0, 0.24), _TYRE) for at in (rear, front))


KINDS: dict[str, Kind] = {
    "car": Kind(
        "vehicle.car", 4.5, 1.9, 1.6,
        colours=((40, 40, 200), (60, 30, 170), (50, 60, 225)),
        parts=(
            *_wheels(0.3, -0.3, 0.08),
            Part(_FULL, _FULL, (0.15, 0.6)),
            Part((-0.36, 0.18), (-0.45, 0.45), (0.6, 0.92), _GLASS),
            Part((-0.3, 0.1), (-0.43, 0.43), (0.92, 1.0)),
        ),
        lanes=("own", "oncoming", "parked right", "parked left"),
    ),
    "truck": Kind(
        "vehicle.truck", 7.5, 2.6, 3.2,
        colours=((210, 90, 20), (190, 60, 30), (225, 110, 40)),
        parts=(
            *_wheels(0.34, -0.3, 0.07),
            Part((-0.5, 0.2), _FULL, (0.22, 1.0), _WHITE),
            Part((0.22, 0.5), (-0.48, 0.48), (0.12, 0.55)),
            Part((0.24, 0.46), (-0.46, 0.46), (0.55, 0.85)),
        ),
        lanes=("own", "oncoming", "parked right", "parked left"),
    ),
    "trailer": Kind(
        "vehicle.trailer", 10.0, 2.8, 3.6,
        colours=((150, 40, 120), (170, 60, 140), (140, 50, 95)),
        parts=(*_wheels(-0.2, -0.36, 0.05), Part(_FULL, _FULL, (0.2, 1.0))),
        lanes=("oncoming", "parked right", "parked left"),
    ),
    "bus": Kind(
        "vehicle.bus.rigid", 10.5, 2.9, 3.4,
        colours=((30, 205, 235), (40, 190, 220), (20, 215, 250)),
        parts=(
            *_wheels(0.32, -0.3, 0.05),
            Part(_FULL, _FULL, (0.12, 0.48)),
            Part((-0.49, 0.49), (-0.48, 0.48), (0.48, 0.8), _GLASS),
            Part(_FULL, _FULL, (0.8, 1.0)),
        ),
        lanes=("own", "oncoming", "parked right", "parked left"),
    ),
    "construction_vehicle": Kind(
        "vehicle.construction", 6.0, 2.7, 3.0,
        colours=((10, 120, 245), (0, 105, 230), (20, 135, 255)),
        parts=(
            Part((-0.45, 0.25), _FULL, (0.0, 0.28), _TYRE),
            Part((-0.5, 0.2), (-0.45, 0.45), (0.28, 0.6)),
            Part((-0.25, 0.1), (-0.4, 0.1), (0.6, 0.95), _GLASS),
            Part((0.1, 0.22), (0.1, 0.35), (0.4, 1.0)),
            Part((0.2, 0.42), (0.1, 0.35), (0.85, 1.0)),
            Part((0.4, 0.5), (-0.2, 0.4), (0.1, 0.95), (60, 60, 60)),
        ),
        lanes=("own", "parked right", "parked left"),
    ),
    "bicycle": Kind(
        "vehicle.bicycle", 1.8, 0.7, 1.75,
        colours=((60, 200, 40), (80, 220, 60), (40, 180, 30)),
        parts=(
            Part((0.12, 0.5), (-0.1, 0.1), (0.0, 0.36), _TYRE),
            Part((-0.5, -0.12), (-0.1, 0.1), (0.0, 0.36), _TYRE),
            Part((-0.2, 0.12), (-0.3, 0.3), (0.3, 0.5), (90, 60, 50)),
            Part((-0.2, 0.15), _FULL, (0.5, 0.84)),
            Part((-0.08, 0.12), (-0.22, 0.22), (0.84, 1.0), _SKIN),
        ),
        lanes=("cycle right", "cycle left"),
    ),
    "motorcycle": Kind(
        "vehicle.motorcycle", 2.1, 0.9, 1.6,
        colours=((200, 40, 225), (215, 60, 240), (180, 30, 205)),
        parts=(
            Part((0.2, 0.5), (-0.14, 0.14), (0.0, 0.38), _TYRE),
            Part((-0.5, -0.2), (-0.14, 0.14), (0.0, 0.38), _TYRE),
            Part((-0.35, 0.3), (-0.3, 0.3), (0.25, 0.55), (45, 45, 45)),
            Part((-0.25, 0.1), _FULL, (0.5, 0.84)),
            Part((-0.12, 0.08), (-0.22, 0.22), (0.84, 1.0), _WHITE),
        ),
        lanes=("own", "oncoming", "cycle left"),
    ),
    "pedestrian": Kind(
        "human.pedestrian.adult", 0.6, 0.7, 1.75,
        colours=((200, 200, 20), (215, 185, 40), (180, 210, 0)),
        parts=(
            Part((-0.3, 0.3), (-0.35, 0.35), (0.0, 0.48), (80, 45, 40)),
            Part((-0.45, 0.45), _FULL, (0.48, 0.86)),
            Part((-0.25, 0.25), (-0.22, 0.22), (0.86, 1.0), _SKIN),
        ),
        lanes=("pavement right", "pavement left"),
    ),
}  # fmt: skip
"""Every kind by its class name."""
