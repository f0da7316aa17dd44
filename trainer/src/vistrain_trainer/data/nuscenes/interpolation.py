"""3D boxes at the moments of pictures: interpolated ones between samples."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vistrain_trainer.data.nuscenes.quaternions import slerp
from vistrain_trainer.data.nuscenes.release import Release


@dataclass(frozen=True)
class BoxesAt:
    """Boxes in the global frame, by frame; those of one frame in the order of its sample's annotations."""

    frame: np.ndarray
    """(n,) int64, row of `Release.frames`."""
    annotation: np.ndarray
    """(n,) int64, row of `Release.annotations`: a keyframe's own, or the later of the two."""
    translation: np.ndarray
    """(n, 3) metres."""
    size: np.ndarray
    """(n, 3) width, length, height in metres."""
    rotation: np.ndarray
    """(n, 4) quaternions w, x, y, z."""
    visibility: np.ndarray
    """(n,) int8: the lower bin of the two."""


def boxes_at(release: Release, frames: slice | np.ndarray) -> BoxesAt:
    """The boxes at some frames.

    Between samples the middle moves on a straight line, and the rotation on the shorter arc, from the
    sample before to the frame's own, by the *samples'* times; the size is the later box's. A frame
    outside that time has the nearer box. An instance that either sample lacks is left out, and so are
    all of a sweep whose sample is the first.

    Args:
        frames: rows of `Release.frames`, in any order.
    """
    rows = np.arange(len(release.frames.token))[frames]
    sample = release.frames.sample[rows]
    starts = release.samples.annotations
    count = starts[sample + 1] - starts[sample]
    frame = np.repeat(rows, count)
    annotation = np.arange(int(count.sum())) + np.repeat(starts[sample] - np.cumsum(count) + count, count)
    table = release.annotations
    earlier = np.where(release.frames.keyframe[frame], annotation, table.previous[annotation])
    kept = earlier >= 0
    frame, annotation, earlier = frame[kept], annotation[kept], earlier[kept]
    translation, rotation = table.translation[annotation], table.rotation[annotation]
    moved = np.flatnonzero(earlier != annotation)
    if len(moved):
        share = _share(release, frame[moved])
        before, after = earlier[moved], annotation[moved]
        start = table.translation[before]
        translation[moved] = start + share[:, None] * (translation[moved] - start)
        rotation[moved] = slerp(table.rotation[before], table.rotation[after], share)
    return BoxesAt(
        frame=frame,
        annotation=annotation,
        translation=translation,
        size=table.size[annotation],
        rotation=rotation,
        visibility=np.minimum(table.visibility[annotation], table.visibility[earlier]),
    )


def _share(release: Release, frame: np.ndarray) -> np.ndarray:
    """(n,) of the way from the sample before to the frame's own at which the frame was taken, 0 to 1."""
    sample = release.frames.sample[frame]
    end = release.samples.timestamp[sample]
    start = release.samples.timestamp[release.samples.previous[sample]]
    return np.asarray(np.clip((release.frames.timestamp[frame] - start) / (end - start), 0.0, 1.0))
