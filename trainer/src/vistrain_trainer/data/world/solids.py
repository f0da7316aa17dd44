"""The things in a scene as polygons to paint."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from vistrain_trainer.data.world.catalogue import Colour
from vistrain_trainer.data.world.ground import HAZE, haze_share
from vistrain_trainer.data.world.pose import Pose
from vistrain_trainer.data.world.projection import FACES, NEAR, View, cuboid_corners, cut_polygon
from vistrain_trainer.data.world.scene import Building, Moment, Placed

SUN = np.array([0.35, 0.55, 0.75]) / np.linalg.norm([0.35, 0.55, 0.75])
"""Towards the sun, in the global frame."""
AMBIENT = 0.62
"""Light on a face that looks away from the sun."""


@dataclass(frozen=True)
class Polygon:
    """A flat face: (n, 3) points in the camera's frame, all in front of it."""

    distance: float
    """Metres from the camera to the face's middle."""
    points: np.ndarray
    colour: tuple[float, float, float]


@dataclass(frozen=True)
class Solid:
    """A thing to paint. Polygons are in the order of painting, the furthest part first."""

    distance: float
    """What it is sorted by, in metres."""
    polygons: list[Polygon]
    placed: Placed | None
    """None for scenery."""


def solids(moment: Moment, view: View) -> list[Solid]:
    """Everything that may be seen, the furthest first. Road users beyond the haze are left out."""
    found = [_building(building, view, moment.sight) for building in moment.buildings]
    for placed in moment.objects:
        distance = float(np.linalg.norm(placed.pose.translation - view.eye))
        if distance < moment.sight:
            found.append(Solid(distance, list(_parts(placed, view, moment.sight)), placed))
    return sorted((solid for solid in found if solid.polygons), key=lambda solid: -solid.distance)


def _building(building: Building, view: View, sight: float) -> Solid:
    width, length, height = building.size
    low, high = np.array([-length / 2, -width / 2, 0.0]), np.array([length / 2, width / 2, height])
    # Sorted behind every road user: buildings stand off the road.
    distance = float(np.linalg.norm(building.pose.translation - view.eye)) + 2 * sight
    return Solid(distance, _faces(building.pose, low, high, building.colour, view, sight), None)


def _parts(placed: Placed, view: View, sight: float) -> Iterator[Polygon]:
    thing, pose = placed.thing, placed.pose
    width, length, height = thing.size
    scale = np.array([length, width, height])
    parts = []
    for part in thing.kind.parts:
        low, high = (np.array(ends) * scale for ends in zip(part.x, part.y, part.z, strict=True))
        middle = pose.to_parent(((low + high) / 2)[None])[0]
        parts.append((float(np.linalg.norm(middle - view.eye)), low, high, part.paint or thing.colour))
    for _, low, high, colour in sorted(parts, key=lambda part: -part[0]):
        yield from _faces(pose, low, high, colour, view, sight)


def _faces(
    pose: Pose, low: np.ndarray, high: np.ndarray, colour: Colour, view: View, sight: float
) -> list[Polygon]:
    """The faces of a cuboid that look at the camera, shaded and hazed."""
    corners = pose.to_parent(cuboid_corners(low, high))
    middle = corners.mean(axis=0)
    seen = view.to_camera(corners)
    found: list[Polygon] = []
    if (seen[:, 2] < NEAR).all():
        return found
    for face in FACES:
        centre = corners[face].mean(axis=0)
        outward = (centre - middle) / np.linalg.norm(centre - middle)
        if outward @ (view.eye - centre) <= 0:
            continue
        points = cut_polygon(seen[face])
        if len(points) < 3:
            continue
        distance = float(np.linalg.norm(centre - view.eye))
        light = AMBIENT + (1 - AMBIENT) * max(0.0, float(outward @ SUN))
        haze = float(haze_share(distance, sight))
        blue, green, red = (
            float(own * light * (1 - haze) + far * haze) for own, far in zip(colour, HAZE, strict=True)
        )
        found.append(Polygon(distance, points, (blue, green, red)))
    return sorted(found, key=lambda polygon: -polygon.distance)
