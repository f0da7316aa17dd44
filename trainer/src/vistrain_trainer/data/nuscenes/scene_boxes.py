"""The boxes of a scene in its cameras' pictures, as a data set has them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vistrain_trainer.data.classes import class_of
from vistrain_trainer.data.nuscenes.interpolation import boxes_at
from vistrain_trainer.data.nuscenes.projection import Mode, Views, project
from vistrain_trainer.data.nuscenes.release import Release

MIN_SIDE = 1.0
"""Pixels; boxes narrower or lower, after clipping to the picture, are dropped."""


@dataclass(frozen=True)
class SceneBoxes:
    """What a scene's pictures show."""

    frames: np.ndarray
    """(m,) rows of `Release.frames`: by camera, then time."""
    frame: np.ndarray
    """(n,) place in `frames`, ascending."""
    annotation: np.ndarray
    """(n,) rows of `Release.annotations`: of a keyframe its own, between keyframes the later one."""
    label: np.ndarray
    """(n,) index of the class."""
    boxes: np.ndarray
    """(n, 4) float64 x1, y1, x2, y2 in pixels, inside the picture."""
    visibility: np.ndarray
    """(n,) int8 bin 1–4; 0 where the tables state none."""
    distance: np.ndarray
    """(n,) metres from the camera to the box's middle."""
    dropped: dict[str, int]
    """Boxes left out, by reason, in the order in which they are looked at."""


class BoxSource:
    """Boxes of a release, chosen and projected scene by scene."""

    def __init__(
        self,
        release: Release,
        classes: Sequence[str],
        *,
        sweeps: bool,
        bins: Sequence[int] = (),
        projection: Mode = "devkit",
    ) -> None:
        """Choose.

        Args:
            classes: in the order of their indices.
            sweeps: whether pictures between keyframes are taken.
            bins: of visibility, whose boxes are kept; all boxes when empty.
        """
        self.release = release
        self.classes = tuple(classes)
        self.sweeps = sweeps
        self._bins = np.array(bins, np.int8)
        self._projection = projection
        names = [class_of(category) for category in release.categories]
        index = np.array([classes.index(name) if name in classes else -1 for name in names], np.int8)
        self._label = index[release.instances.category]

    def frames(self, scene: int, camera: int) -> np.ndarray:
        """Rows of `Release.frames`, in order of time."""
        span = self.release.scenes[scene].frames[camera]
        rows = np.arange(span.start, span.stop)
        return rows if self.sweeps else rows[self.release.frames.keyframe[span]]

    def all_frames(self, scene: int) -> np.ndarray:
        """Rows of `Release.frames` of every camera, by camera, then time."""
        return np.concatenate([self.frames(scene, camera) for camera in range(len(self.release.cameras))])

    def boxes(self, scene: int) -> SceneBoxes:
        """The boxes of a scene."""
        release = self.release
        frames = self.all_frames(scene)
        found = boxes_at(release, frames)
        starts, sample = release.samples.annotations, release.frames.sample[frames]
        stated = int((starts[sample + 1] - starts[sample]).sum())
        dropped = {"notInBothKeyframes": stated - len(found.frame)} if self.sweeps else {}

        label = self._label[release.annotations.instance[found.annotation]]
        kept = _keep(np.arange(len(label)), label >= 0, dropped, "otherClass")
        if len(self._bins):
            kept = _keep(kept, np.isin(found.visibility[kept], self._bins), dropped, "visibility")

        frame = np.searchsorted(frames, found.frame[kept])
        views = Views.of(release, frames).take(frame)
        seen = project(
            found.translation[kept], found.size[kept], found.rotation[kept], views, self._projection
        )
        dropped["lineOrPoint"] = int(seen.degenerate.sum())
        dropped["outsideThePicture"] = len(kept) - int(seen.seen.sum()) - dropped["lineOrPoint"]
        shown = np.flatnonzero(seen.seen)
        sides = seen.boxes[shown, 2:] - seen.boxes[shown, :2]
        shown = _keep(shown, (sides >= MIN_SIDE).all(axis=1), dropped, "under1Pixel")
        kept = kept[shown]
        return SceneBoxes(
            frames=frames,
            frame=frame[shown],
            annotation=found.annotation[kept],
            label=label[kept],
            boxes=seen.boxes[shown] + 0.0,  # no -0
            visibility=found.visibility[kept],
            distance=seen.distance[shown],
            dropped=dropped,
        )


def _keep(rows: np.ndarray, holds: np.ndarray, dropped: dict[str, int], reason: str) -> np.ndarray:
    dropped[reason] = len(rows) - int(holds.sum())
    return np.asarray(rows[holds])
