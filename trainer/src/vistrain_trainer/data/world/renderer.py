"""Rendering of a scene as one camera sees it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from vistrain_trainer.data.world.ground import SHIFT, paint_background, to_fixed
from vistrain_trainer.data.world.projection import View, box_corners, image_box
from vistrain_trainer.data.world.scene import Moment, Thing
from vistrain_trainer.data.world.solids import Solid, solids

NOISE = 2.5
"""Standard deviation of the sensor's noise, in levels of 255."""


@dataclass(frozen=True)
class SeenBox:
    """An object in a picture."""

    instance: Thing
    box: tuple[float, float, float, float]
    """x1, y1, x2, y2 in pixels: the hull of its cuboid inside the image, hidden parts included."""
    visibility: float
    """The share of its painted pixels inside the image that nothing nearer hides, 0–1."""
    distance: float
    """Metres from the camera to its middle on the ground."""


def render(moment: Moment, view: View, random: np.random.Generator) -> tuple[np.ndarray, list[SeenBox]]:
    """Draw a (H, W, 3) uint8 BGR picture, and give the objects in it, the furthest first.

    Nearer things hide further ones, by the distance of their middles.

    Args:
        random: for the sensor's noise alone.
    """
    canvas = paint_background(view, moment)
    drawn = solids(moment, view)
    painted, visible = _paint(canvas, view, drawn)
    boxes = []
    for solid, whole, left in zip(drawn, painted, visible, strict=True):
        if solid.placed is None or whole == 0:
            continue
        box = image_box(view, box_corners(solid.placed.pose, solid.placed.thing.size))
        if box is not None:
            boxes.append(SeenBox(solid.placed.thing, box, left / whole, solid.distance))
    noise = random.standard_normal(canvas.shape, dtype=np.float32) * NOISE
    return (canvas * moment.daylight + noise).round().clip(0, 255).astype(np.uint8), boxes


def _paint(canvas: np.ndarray, view: View, drawn: list[Solid]) -> tuple[list[int], list[int]]:
    """Paint in order; give for each solid the pixels painted and those of them that stay visible."""
    owner = np.zeros(canvas.shape[:2], np.int32)
    painted = []
    for number, solid in enumerate(drawn, start=1):
        outlines = [to_fixed(view.to_pixels(polygon.points)) for polygon in solid.polygons]
        for outline, polygon in zip(outlines, solid.polygons, strict=True):
            cv2.fillConvexPoly(canvas, outline, polygon.colour, cv2.LINE_8, SHIFT)
            cv2.fillConvexPoly(owner, outline, number, cv2.LINE_8, SHIFT)
        painted.append(int(np.count_nonzero(owner == number)))
    visible = np.bincount(owner.ravel(), minlength=len(drawn) + 1)[1:]
    return painted, [int(count) for count in visible]
