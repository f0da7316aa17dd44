"""Which objects of a scene are annotated at which sample, and how."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vistrain_trainer.data.world.categories import SORTS, attribute
from vistrain_trainer.data.world.quaternions import rotated
from vistrain_trainer.data.world.stage import Stage
from vistrain_trainer.data.world.traffic import RADIUS, Poses
from vistrain_trainer.data.world.visibility import bins, visible_shares

_VEHICLE = np.array([kind.category.startswith("vehicle.") for kind, _ in SORTS])

_CAMERAS = np.array([1.15, 0.0, 0.0])
"""Metres: about the middle of the cameras in the ego frame, on the ground."""


@dataclass(frozen=True)
class Annotated:
    """k annotations of a scene, by object, then by time."""

    thing: np.ndarray
    """(k,) row of the scene's traffic."""
    sample: np.ndarray
    """(k,) row of the scene's samples."""
    translation: np.ndarray
    """(k, 3) middle of the box, metres, to the millimetre."""
    size: np.ndarray
    """(k, 3) width, length, height in metres."""
    rotation: np.ndarray
    """(k, 4)"""
    visibility: np.ndarray
    """(k,) bin 1 to 4."""
    attribute: list[str]
    """Names; empty where the category has none."""
    lidar: np.ndarray
    """(k,) points inside."""
    radar: np.ndarray
    """(k,) points inside."""


def annotate(stage: Stage, random: np.random.Generator, dropped: float) -> Annotated:
    """Annotate what is within `RADIUS` of the ego vehicle.

    Args:
        dropped: share of the annotations that are left out, so that objects vanish and come back.
    """
    times = stage.turns.sample_times
    seconds = stage.seconds(times)
    poses = stage.traffic.poses(seconds)
    place, turned = stage.ego_poses(times)
    offset = poses.ground[..., :2] - place[:, :2]
    distance = np.sqrt((offset * offset).sum(axis=-1))
    within = distance <= RADIUS
    shares = _shares(stage, poses, offset - rotated(turned, _CAMERAS)[:, :2], within)
    thing, sample = np.nonzero(within & (random.random(within.shape) >= dropped))
    share, size, sort = shares[thing, sample], stage.traffic.size[thing], stage.traffic.sort[thing]
    area = size[:, 1] * size[:, 2]
    paces, parked = stage.traffic.paces(seconds)[thing, sample], stage.traffic.speed[thing] == 0
    radar = random.random(len(thing)) * 5 * share * _VEHICLE[sort]
    return Annotated(
        thing=thing,
        sample=sample,
        translation=np.round(stage.traffic.centres(poses)[thing, sample], 3),
        size=size,
        rotation=poses.rotation[thing, sample],
        visibility=bins(share),
        attribute=[
            attribute(SORTS[row][0].category, speed, parked=stands)
            for row, speed, stands in zip(sort.tolist(), paces.tolist(), parked.tolist(), strict=True)
        ],
        lidar=(3000 * area * share / np.square(distance[thing, sample].clip(1))).astype(np.int64),
        radar=radar.astype(np.int64),
    )


def _shares(stage: Stage, poses: Poses, offset: np.ndarray, within: np.ndarray) -> np.ndarray:
    w, x, y, z = np.moveaxis(poses.rotation, -1, 0)
    forward = np.stack([1 - 2 * (y * y + z * z), 2 * (x * y + w * z)], axis=-1)
    shares = np.zeros(within.shape)
    for sample, near in enumerate(within.T):
        shares[near, sample] = visible_shares(
            offset[near, sample], forward[near, sample], stage.traffic.size[near]
        )
    return shares
