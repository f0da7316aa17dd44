"""Painting of sky and ground."""

from __future__ import annotations

import cv2
import numpy as np

from vistrain_trainer.data.randomness import Purpose, generator
from vistrain_trainer.data.world.catalogue import Colour
from vistrain_trainer.data.world.projection import View, cut_polygon
from vistrain_trainer.data.world.road import HALF_WIDTH
from vistrain_trainer.data.world.scene import Moment

HAZE: Colour = (205, 200, 195)
SHIFT = 4
"""Binary digits of a pixel's fraction, as OpenCV's polygons take them."""

_ZENITH: Colour = (225, 175, 130)
_GRASS: Colour = (70, 110, 95)
_PAVEMENT: Colour = (135, 140, 145)
_TARMAC: Colour = (88, 86, 84)
_MARKING: Colour = (200, 205, 205)
_NOISE = generator(0, Purpose.WORLD).standard_normal((256, 256)).astype(np.float32)


def paint_background(view: View, moment: Moment) -> np.ndarray:
    """A (H, W, 3) float32 picture, BGR 0–255, of the empty world."""
    rays = _rays(view)
    canvas = _sky(rays)
    ground = np.full_like(canvas, _GRASS)
    _paint_road(ground, view, moment)
    down = rays[..., 2] < -1e-3
    distance = np.where(down, -view.eye[2] / np.where(down, rays[..., 2], -1), np.inf)
    at = view.eye[:2] + rays[..., :2] * np.where(down, distance, 0)[..., None]
    texture = 9 * _noise(at, 0.4) + 7 * _noise(at, 2.5)
    ground += (texture * np.exp(-distance / 25))[..., None]
    share = haze_share(distance * np.linalg.norm(rays, axis=-1), moment.sight)[..., None]
    return np.asarray(
        np.where(down[..., None], ground * (1 - share) + share * np.array(HAZE), canvas), np.float32
    )


def haze_share(distance: np.ndarray | float, sight: float) -> np.ndarray:
    """How much of a colour the haze replaces at a distance, where it swallows everything at ``sight``."""
    return np.asarray(np.clip(np.asarray(distance) / sight, 0, 1) ** 2 * 0.75)


def to_fixed(pixels: np.ndarray) -> np.ndarray:
    """Pixels as whole numbers of 1/16 for OpenCV, kept within what it can hold.

    Ours count from the corner of the first pixel, OpenCV's from its middle.
    """
    return np.round((pixels.clip(-4000, 8000) - 0.5) * (1 << SHIFT)).astype(np.int32)


def _rays(view: View) -> np.ndarray:
    camera = view.camera
    columns, rows = np.meshgrid(np.arange(camera.width) + 0.5, np.arange(camera.height) + 0.5)
    seen = np.stack([columns, rows, np.ones_like(rows)], axis=-1) @ np.linalg.inv(camera.intrinsic).T
    return np.asarray(seen @ camera.pose.rotation.T @ view.ego.rotation.T)


def _sky(rays: np.ndarray) -> np.ndarray:
    height = (rays[..., 2] / np.linalg.norm(rays, axis=-1)).clip(0, 0.5)[..., None] * 2
    return np.asarray(np.array(HAZE) * (1 - height) + np.array(_ZENITH) * height, np.float32)


def _paint_road(canvas: np.ndarray, view: View, moment: Moment) -> None:
    road, reach = moment.road, moment.sight + 10
    along = moment.ego_distance + np.arange(-reach, reach + 2, 2.0)
    bands = [(-10.6, 10.6, _PAVEMENT), (-HALF_WIDTH, HALF_WIDTH, _TARMAC)]
    bands += [(at - 0.07, at + 0.07, _MARKING) for at in (-5.4, -3.6, 3.6, 5.4)]
    for right_offset, left_offset, colour in bands:
        edges = np.stack([road.points(along, right_offset), road.points(along, left_offset)])
        depth = view.to_camera(_on_ground(edges.reshape(-1, 2)))[:, 2].reshape(2, -1).max(axis=0)
        for here in np.flatnonzero(np.maximum(depth[:-1], depth[1:]) > 0):
            _fill(canvas, view, edges[[0, 0, 1, 1], [here, here + 1, here + 1, here]], colour)
    dashes = np.arange(np.floor(along[0] / 6) * 6, along[-1], 6.0)
    for start in dashes:
        ends = np.array([start, start + 3.0])
        right, left = road.points(ends, -0.08), road.points(ends, 0.08)
        _fill(canvas, view, np.concatenate([right, left[::-1]]), _MARKING)


def _fill(canvas: np.ndarray, view: View, corners: np.ndarray, colour: Colour) -> None:
    polygon = cut_polygon(view.to_camera(_on_ground(corners)))
    if len(polygon) >= 3:
        cv2.fillConvexPoly(canvas, to_fixed(view.to_pixels(polygon)), colour, cv2.LINE_8, SHIFT)


def _on_ground(points: np.ndarray) -> np.ndarray:
    return np.concatenate([points, np.zeros((len(points), 1))], axis=1)


def _noise(at: np.ndarray, grain: float) -> np.ndarray:
    cells = np.floor(at / grain).astype(np.int64) & 255
    return np.asarray(_NOISE[cells[..., 1], cells[..., 0]])
