"""Projection equal to the devkit's own, on random views and on every picture of a release."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations

import numpy as np
import pytest
from nuscenes.nuscenes import NuScenes
from nuscenes.scripts import export_2d_annotations_as_json as devkit_export
from nuscenes.utils.data_classes import Box
from nuscenes.utils.geometry_utils import view_points
from pyquaternion import Quaternion
from shapely.geometry import MultiPoint, box

from vistrain_trainer.data.nuscenes import projection
from vistrain_trainer.data.nuscenes.interpolation import boxes_at
from vistrain_trainer.data.nuscenes.projection import NEAR, Projected, Views, project
from vistrain_trainer.data.nuscenes.release import Release

WIDTH, HEIGHT = 1600, 900
PIXEL = 1e-6
"""The most that a side may differ from the devkit's."""


@dataclass(frozen=True)
class Cases:
    """Random boxes before random cameras on random vehicles, many of them partly behind."""

    translation: np.ndarray
    size: np.ndarray
    rotation: np.ndarray
    ego: tuple[np.ndarray, np.ndarray]
    mount: tuple[np.ndarray, np.ndarray]
    intrinsic: np.ndarray

    def __len__(self) -> int:
        return len(self.translation)

    def views(self) -> Views:
        size = np.tile((WIDTH, HEIGHT), (len(self), 1))
        return Views.make(*self.ego, *self.mount, self.intrinsic, size)

    def project(self, mode: str = "devkit") -> Projected:
        return project(self.translation, self.size, self.rotation, self.views(), mode)

    def in_camera(self, at: int) -> np.ndarray:
        """(3, 8) corners in the camera's frame, by the devkit's classes."""
        cuboid = Box(self.translation[at], self.size[at], Quaternion(self.rotation[at]))
        for translation, rotation in (self.ego, self.mount):
            cuboid.translate(-translation[at])
            cuboid.rotate(Quaternion(rotation[at]).inverse)
        return cuboid.corners()


def in_global(middle: np.ndarray, ego: tuple[np.ndarray, ...], mount: tuple[np.ndarray, ...]) -> np.ndarray:
    """(n, 3) places of the cameras' frames, in the global one."""
    places = zip(middle, *ego, *mount, strict=True)
    return np.array(
        [
            Quaternion(turned).rotate(Quaternion(tilted).rotate(place) + beside) + away
            for place, away, turned, beside, tilted in places
        ]
    )


@pytest.fixture(scope="module")
def cases() -> Cases:
    random = np.random.default_rng(0)
    n = 6000
    turns = random.normal(size=(3, n, 4))
    turns /= np.linalg.norm(turns, axis=2, keepdims=True)
    ego = random.normal(scale=1000, size=(n, 3)), turns[0]
    mount = random.normal(size=(n, 3)), turns[1]
    intrinsic = np.zeros((n, 3, 3))
    intrinsic[:, 0, 0], intrinsic[:, 1, 1] = random.uniform(300, 1500, (2, n))
    intrinsic[:, 0, 1] = random.normal(size=n) * (random.random(n) < 0.3)
    intrinsic[:, 0, 2], intrinsic[:, 1, 2] = random.uniform(0, WIDTH, n), random.uniform(0, HEIGHT, n)
    intrinsic[:, 2, 2] = 1
    middle = random.normal(size=(n, 3)) * random.choice([1, 5, 30], size=(n, 1))
    middle[:, 2] += random.choice([0, 2, 10], size=n)
    size = np.exp(random.normal(size=(n, 3))) * random.choice([1e-4, 0.02, 1, 1, 10, 100], size=(n, 1))
    return Cases(in_global(middle, ego, mount), size, turns[2], ego, mount, intrinsic)


@pytest.fixture(scope="module")
def whole_numbers() -> Cases:
    """Quarter turns and whole metres: corners lie exactly in the camera's plane, on the border, on a line."""
    random = np.random.default_rng(1)
    n = 3000
    turns = np.array(
        [
            *np.eye(4),
            *([a, b, c, d] for a in (0.5, -0.5) for b in (0.5, -0.5) for c, d in ((0.5, 0.5), (-0.5, 0.5))),
        ]
    )
    ego = random.integers(-500, 500, size=(n, 3)) * 1.0, turns[random.integers(len(turns), size=n)]
    mount = random.integers(-2, 2, size=(n, 3)) * 0.5, turns[random.integers(len(turns), size=n)]
    intrinsic = np.tile([[800.0, 0, 800], [0, 800, 400], [0, 0, 1]], (n, 1, 1))
    middle = random.integers(-4, 5, size=(n, 3)) * 1.0
    size = random.integers(1, 5, size=(n, 3)) * 2.0
    turn = turns[random.integers(len(turns), size=n)]
    return Cases(in_global(middle, ego, mount), size, turn, ego, mount, intrinsic)


def devkit_box(corners: np.ndarray, intrinsic: np.ndarray) -> tuple[float, ...] | str | None:
    """What the devkit's export makes of (3, 8) corners in the camera's frame; `crash` where it crashes."""
    before = corners[:, corners[2] > 0]
    pixels = view_points(before, intrinsic, normalize=True).T[:, :2].tolist()
    if not pixels:
        return None
    try:
        return devkit_export.post_process_coords(pixels, (WIDTH, HEIGHT))
    except AttributeError:  # a point or a line has no exterior
        return "crash"


def compare(cases: Cases) -> dict[str, int]:
    """Hold ours to the devkit's; how many there were of each kind."""
    ours = cases.project()
    kinds = {"behind": 0, "partly behind": 0, "cut": 0, "around": 0, "crash": 0}
    for at in range(len(cases)):
        corners = cases.in_camera(at)
        theirs = devkit_box(corners, cases.intrinsic[at])
        assert ours.degenerate[at] == (theirs == "crash")
        assert ours.seen[at] == isinstance(theirs, tuple)
        if isinstance(theirs, tuple):
            assert np.abs(ours.boxes[at] - theirs).max() < PIXEL
            kinds["around"] += theirs == (0, 0, WIDTH, HEIGHT)
            kinds["cut"] += bool(set(theirs) & {0, WIDTH, HEIGHT})
            kinds["partly behind"] += bool((corners[2] <= 0).any())
        else:
            assert not ours.boxes[at].any()
        kinds["behind"] += bool((corners[2] <= 0).all())
        kinds["crash"] += theirs == "crash"
    return kinds


def test_random_boxes_project_as_by_the_devkit(cases: Cases) -> None:
    kinds = compare(cases)
    # The draw holds all that may go wrong.
    assert min(kinds.values()) >= 5, kinds


def test_boxes_on_the_border_and_in_the_cameras_plane_project_as_by_the_devkit(whole_numbers: Cases) -> None:
    kinds = compare(whole_numbers)
    assert min(kinds.values()) >= 50, kinds


def test_distance_is_from_the_camera(cases: Cases) -> None:
    ours = cases.project()
    seen = np.flatnonzero(ours.seen)[:100]
    middles = np.array([cases.in_camera(at).mean(axis=1) for at in seen])
    assert ours.distance[seen] == pytest.approx(np.linalg.norm(middles, axis=1), abs=1e-9)
    assert not ours.distance[~ours.seen].any()


def test_boxes_project_alike_alone_and_in_any_company(cases: Cases, monkeypatch: pytest.MonkeyPatch) -> None:
    together = cases.project()
    monkeypatch.setattr(projection, "BLOCK", 7)
    rows = np.random.default_rng(2).integers(len(cases), size=500)
    views = cases.views().take(rows)
    apart = project(cases.translation[rows], cases.size[rows], cases.rotation[rows], views)
    for name, column in vars(apart).items():
        assert np.array_equal(column, getattr(together, name)[rows])


def test_clipped_boxes_are_those_of_the_part_before_the_near_plane(cases: Cases) -> None:
    """Against shapely's hull of corners and cut lines, each found one by one."""
    ours = cases.project("clipped")
    compared = 0
    for at in range(1500):
        corners = cases.in_camera(at).T
        points = [corner for corner in corners if corner[2] >= NEAR]
        # Lines between any corners: those inside the box add nothing to its hull.
        for one, other in permutations(corners, 2):
            if one[2] >= NEAR > other[2]:
                points.append(one + (NEAR - one[2]) / (other[2] - one[2]) * (other - one))
        if not points:
            assert not ours.seen[at]
            continue
        pixels = view_points(np.array(points).T, cases.intrinsic[at], normalize=True)[:2].T
        part = MultiPoint(pixels).convex_hull.intersection(box(0, 0, WIDTH, HEIGHT))
        assert ours.seen[at] == (part.area > 0)
        if part.area > 0:
            compared += bool((corners[:, 2] < NEAR).any())
            assert ours.boxes[at] == pytest.approx(part.bounds, abs=PIXEL)
    assert compared > 50


def test_both_modes_agree_where_nothing_is_behind(cases: Cases) -> None:
    before = np.array([cases.in_camera(at)[2].min() >= NEAR for at in range(len(cases))])
    devkit, clipped = cases.project("devkit"), cases.project("clipped")
    assert before.sum() > 500
    assert np.array_equal(devkit.boxes[before], clipped.boxes[before])


def test_every_keyframe_of_a_release_projects_as_by_get_2d_boxes(
    release: Release, devkit: NuScenes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devkit_export, "nusc", devkit, raising=False)
    keyframes = np.flatnonzero(release.frames.keyframe)
    at = boxes_at(release, keyframes)
    ours = project(at.translation, at.size, at.rotation, Views.of(release, at.frame))
    compared = 0
    for frame in keyframes:
        seen = np.flatnonzero((at.frame == frame) & ours.seen)
        token = release.frames.token[frame].decode()
        theirs = devkit_export.get_2d_boxes(token, ["", "1", "2", "3", "4"])
        tokens = [release.annotations.token[row].decode() for row in at.annotation[seen]]
        assert tokens == [record["sample_annotation_token"] for record in theirs]
        if tokens:
            corners = np.array([record["bbox_corners"] for record in theirs])
            assert np.abs(ours.boxes[seen] - corners).max() < PIXEL
        compared += len(tokens)
    assert compared > 300
