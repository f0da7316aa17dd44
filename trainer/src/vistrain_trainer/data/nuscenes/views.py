"""Cameras at the moments of pictures, as projections that can be computed with at once."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from vistrain_trainer.data.nuscenes.quaternions import matrices
from vistrain_trainer.data.nuscenes.release import Release


@dataclass(frozen=True)
class Views:
    """The views of (n) boxes, which are (k) different ones. Components come first, rows of them last.

    A place in the global frame is seen at (matrix · (place - ego) + shift): its x and y are pixels times
    depth, its z is the depth before the camera in metres.
    """

    row: np.ndarray
    """(n,) which view a box has, 0 to k - 1."""
    ego: np.ndarray
    """(3, k) the vehicle in the global frame, metres."""
    camera: np.ndarray
    """(3, k) the camera in the global frame, metres."""
    matrix: np.ndarray
    """(3, 3, k)."""
    shift: np.ndarray
    """(3, k)."""
    planes: np.ndarray
    """(5, 4, k) what a camera sees is on the positive side of all: (a, b, c) of length 1 · place + d is the
    distance in metres from the plane through the camera that faces it, and from those through the picture's
    left, right, top and bottom."""
    size: np.ndarray
    """(2, k) width and height in pixels."""

    @classmethod
    def of(cls, release: Release, frames: slice | np.ndarray) -> Views:
        """A view for each of some rows of `Release.frames`."""
        rows, calibrations = release.frames, release.calibrations
        kind = rows.calibration[frames]
        return cls.make(
            rows.ego_translation[frames],
            rows.ego_rotation[frames],
            calibrations.translation[kind],
            calibrations.rotation[kind],
            calibrations.intrinsic[kind],
            rows.size[frames],
        )

    @classmethod
    def make(
        cls,
        ego_translation: np.ndarray,
        ego_rotation: np.ndarray,
        translation: np.ndarray,
        rotation: np.ndarray,
        intrinsic: np.ndarray,
        size: np.ndarray,
    ) -> Views:
        """Views from poses of vehicles ((n, 3), (n, 4)) and cameras on them ((n, 3), (n, 4), (n, 3, 3)).

        Args:
            size: (n, 2) width and height of the pictures.
        """
        ego, mount = matrices(ego_rotation), matrices(rotation)
        lens = np.moveaxis(intrinsic, 0, -1).astype(np.float64)
        from_vehicle = np.einsum("ijn,kjn->ikn", lens, mount)  # a rotation's inverse is its transpose
        matrix = np.einsum("ijn,kjn->ikn", from_vehicle, ego)
        shift = -np.einsum("ijn,nj->in", from_vehicle, translation)
        limits = np.ascontiguousarray(size.T, np.float64)
        vehicle = np.ascontiguousarray(ego_translation.T, np.float64)
        return cls(
            row=np.arange(len(size)),
            ego=vehicle,
            camera=vehicle + np.einsum("ijn,nj->in", ego, translation),
            matrix=matrix,
            shift=shift,
            planes=_planes(matrix, shift - np.einsum("ijn,jn->in", matrix, vehicle), limits),
            size=limits,
        )

    def take(self, rows: slice | np.ndarray) -> Views:
        """The views of those boxes, in that order; one may come often."""
        return replace(self, row=self.row[rows])


def _planes(matrix: np.ndarray, shift: np.ndarray, size: np.ndarray) -> np.ndarray:
    """(5, 4, k): a place is left of a picture where its pixels times depth are below 0, and so on."""
    x, y, depth = np.concatenate([matrix, shift[:, None]], axis=1)
    planes = np.stack([depth, x, size[0] * depth - x, y, size[1] * depth - y])
    return np.asarray(planes / np.sqrt((planes[:, None, :3] ** 2).sum(axis=2)))
