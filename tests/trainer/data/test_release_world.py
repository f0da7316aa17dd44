"""The world that a release tells of: when sensors fire, what hides what, pictures that agree with tables."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nuscenes.nuscenes import NuScenes
from nuscenes.utils.geometry_utils import BoxVisibility, view_points

from vistrain_trainer.data.nuscenes.splits import official
from vistrain_trainer.data.world.annotate import annotate
from vistrain_trainer.data.world.cameras import RIG
from vistrain_trainer.data.world.categories import CATEGORIES, SORTS, attribute
from vistrain_trainer.data.world.exact import sine_cosine
from vistrain_trainer.data.world.logs import make_logs
from vistrain_trainer.data.world.projection import View
from vistrain_trainer.data.world.quaternions import from_angles, matrices, multiply, rotated
from vistrain_trainer.data.world.release import ReleaseOptions, write_release
from vistrain_trainer.data.world.release_scene import ReleaseScene, release_scenes
from vistrain_trainer.data.world.renderer import render
from vistrain_trainer.data.world.scene import Moment, Placed, travelled
from vistrain_trainer.data.world.stage import make_stage
from vistrain_trainer.data.world.timing import OFFSETS, firings, make_turns
from vistrain_trainer.data.world.traffic import EVERY_LANE
from vistrain_trainer.data.world.visibility import bins, visible_shares

START = 1_532_402_900_000_000
OPTIONS = ReleaseOptions(
    version="v1.0-mini",
    scenes=2,
    samples=2,
    cameras=("CAM_FRONT",),
    height=225,
    width=420,
    seed=4,
    pictures="all",
    sensors="cameras",
    dropped_sweeps=0.0,
    dropped_annotations=0.0,
)


@given(st.floats(-60_000, 60_000))
def test_sines_are_those_of_the_c_library_to_the_last_digits(angle: float) -> None:
    sine, cosine = sine_cosine(angle)
    assert float(sine) == pytest.approx(np.sin(angle), abs=1e-15)
    assert float(cosine) == pytest.approx(np.cos(angle), abs=1e-15)


angles = st.tuples(st.floats(-3.1, 3.1), st.floats(-1.5, 1.5), st.floats(-3.1, 3.1))


@given(angles, angles)
def test_quaternions_multiply_as_matrices_do(first: tuple[float, ...], second: tuple[float, ...]) -> None:
    one, two = (from_angles(*(np.array(angle) for angle in turn)) for turn in (first, second))
    product = matrices(one) @ matrices(two)
    np.testing.assert_allclose(matrices(multiply(one, two)), product, atol=1e-12)
    np.testing.assert_allclose(rotated(one, np.array([1.0, 2, 3])), matrices(one) @ [1, 2, 3], atol=1e-12)
    assert np.linalg.norm(one) == pytest.approx(1)


@given(st.integers(0, 2**32))
@settings(max_examples=60, deadline=None)
def test_cameras_keep_to_twelve_a_second_and_to_four_to_six_a_sample(seed: int) -> None:
    random = np.random.default_rng(seed)
    turns = make_turns(random, START, 40, dropped=0.0)
    for channel in OFFSETS:
        taken = firings(random, turns, channel, dropped=0.005)
        times = taken.timestamp
        assert 1e6 * (len(times) - 1) / (times[-1] - times[0]) == pytest.approx(12, abs=0.6)
        whole = firings(random, turns, channel, dropped=0.0)
        assert np.abs(np.diff(whole.timestamp) - 75_000).max() < 27_100  # 50 or 100 ms
        between = np.bincount(whole.sample)[1:-1]
        assert between.min() >= 4
        assert between.max() <= 6


def test_a_sample_that_is_left_out_leaves_its_pictures_as_sweeps_of_the_next() -> None:
    turns = make_turns(np.random.default_rng(1), START, 40, dropped=0.3)
    taken = firings(np.random.default_rng(2), turns, "CAM_BACK", dropped=0.0)
    assert 20 < len(turns.sample_times) < 40
    assert turns.sample[0]
    assert turns.sample[-1]
    assert np.diff(turns.sample_times).max() < 1_110_000  # never two in a row
    assert taken.keyframe.sum() == len(turns.sample_times)
    assert 10 <= np.bincount(taken.sample)[1:-1].max() <= 12


CAR, BUS = (1.9, 4.5, 1.6), (2.9, 10.5, 3.4)


@pytest.mark.parametrize(
    ("near", "far", "expected"),
    [
        ((10, 0, CAR), (10, 8, CAR), [4, 4]),  # side by side
        ((10, 0, BUS), (25, 0, CAR), [4, 1]),  # behind a bus
        ((10, 0, CAR), (25, 0, BUS), [4, 2]),  # a bus looks out over a car
        ((10, 0, CAR), (-25, 0, CAR), [4, 4]),  # on the other side
        ((-10, 0.5, BUS), (-25, 1, CAR), [4, 1]),  # across the seam of the bearings
        ((10, 1.2, CAR), (24, 0, CAR), [4, 3]),  # a third behind
    ],
)
def test_what_is_nearer_hides_what_is_further(
    near: tuple[float, float, tuple[float, ...]],
    far: tuple[float, float, tuple[float, ...]],
    expected: list[int],
) -> None:
    for order in ((near, far), (far, near)):
        place = np.array([one[:2] for one in order], float)
        size = np.array([one[2] for one in order])
        found = bins(visible_shares(place, np.array([[1.0, 0]] * 2), size)).tolist()
        assert (found if order[0] is near else found[::-1]) == expected


def test_bins_begin_at_their_lower_bounds() -> None:
    assert bins(np.array([0.0, 0.39, 0.4, 0.6, 0.79, 0.8, 1.0])).tolist() == [1, 1, 2, 3, 3, 4, 4]


def test_every_category_is_met_and_says_what_it_does() -> None:
    assert tuple(kind.category for kind, _ in SORTS) == CATEGORIES
    assert attribute("vehicle.car", 3.0, parked=False) == "vehicle.moving"
    assert attribute("vehicle.car", 0.0, parked=False) == "vehicle.stopped"
    assert attribute("vehicle.bus.bendy", 0.0, parked=True) == "vehicle.parked"
    assert attribute("vehicle.bicycle", 3.0, parked=False) == "cycle.with_rider"
    assert attribute("human.pedestrian.child", 1.0, parked=False) == "pedestrian.moving"
    assert attribute("movable_object.barrier", 0.0, parked=True) == ""


def test_a_vehicle_pitches_and_rolls_a_little_and_boxes_turn_between_samples() -> None:
    stage = make_stage(0, "scene-0061", START, samples=20, dropped_samples=0.0, density=34)
    times = stage.turns.sample_times
    _, ego = stage.ego_poses(times)
    tilt = np.rad2deg(np.arcsin(matrices(ego)[:, 2, :2]))
    assert (np.abs(tilt).max(axis=0) > 0.1).all()
    assert np.abs(tilt).max() < 1.3
    rotation = stage.traffic.poses(stage.seconds(times)).rotation
    turn = 2 * np.arccos(np.abs((rotation[:, 1:] * rotation[:, :-1]).sum(axis=-1)).clip(max=1))
    assert np.rad2deg(turn).max() > 10


def test_a_picture_shows_the_world_at_its_own_time() -> None:
    stage = make_stage(0, "scene-0061", START, samples=4, dropped_samples=0.0, density=34)
    early, late = (stage.moment(START + time) for time in (0, 1_000_000))
    moved = [
        np.linalg.norm(a.pose.translation - b.pose.translation)
        for a, b in zip(early.objects, late.objects, strict=True)
    ]
    assert min(moved) == 0
    assert max(moved) > 3


def test_logs_take_turns_at_the_locations_and_scenes_do_not_overlap() -> None:
    options = replace(OPTIONS, version="v1.0-trainval", scenes=30, samples=2)
    logs = make_logs(0, sorted(sum(options.splits().values(), ())))
    assert [len(log.scenes) for log in logs] == [8, 8, 8, 6]
    assert len({log.location for log in logs}) == 4
    assert logs[1].name.startswith("n008-2018-07-2")
    assert logs[1].name.endswith("-0400")
    spans = [scene.stage.turns.timestamp[[0, -1]] for scene in release_scenes(options, logs)]
    assert (np.diff(np.concatenate(spans)) > 0).all()


@pytest.mark.parametrize(
    ("scenes", "expected"), [(2, (1, 1)), (5, (4, 1)), (100, (80, 20)), (850, (700, 150))]
)
def test_scenes_are_four_to_one_as_far_as_the_lists_go(scenes: int, expected: tuple[int, int]) -> None:
    splits = replace(OPTIONS, version="v1.0-trainval", scenes=scenes).splits()
    assert tuple(len(names) for names in splits.values()) == expected
    for split, names in splits.items():
        assert set(names) <= set(official("v1.0-trainval")[split])


class Still(np.random.Generator):
    """No noise of a sensor."""

    def standard_normal(self, size=None, **_):  # type: ignore[no-untyped-def,override]
        return np.zeros(size, np.float32)


@pytest.fixture(scope="module")
def pictured(tmp_path_factory: pytest.TempPathFactory) -> NuScenes:
    folder = tmp_path_factory.mktemp("pictured") / "nuscenes"
    write_release(OPTIONS, folder)
    return NuScenes("v1.0-mini", str(folder), verbose=False)


def scene_of(name: str, options: ReleaseOptions = OPTIONS) -> ReleaseScene:
    logs = make_logs(options.seed, sorted(sum(options.splits().values(), ())))
    return next(scene for scene in release_scenes(options, logs) if scene.name == name)


BLOCKS = ("vehicle.car", "vehicle.truck", "vehicle.bus.rigid", "vehicle.trailer", "movable_object.barrier")


def test_pictures_show_what_the_tables_say(pictured: NuScenes) -> None:
    """What an object adds to a picture lies where the devkit projects its box."""
    judged, stands = {True: 0, False: 0}, 0
    for name in (scene["name"] for scene in pictured.scene):
        world = scene_of(name)
        camera = world.calibrations[0].camera(OPTIONS.height, OPTIONS.width)
        for token in (row.token for row in world.tables.rows["sample_data"]):
            row = pictured.get("sample_data", token)
            path, boxes, intrinsic = pictured.get_sample_data(token, BoxVisibility.NONE)
            moment = world.stage.moment(row["timestamp"])
            view = View(camera, world.stage.ego_pose(row["timestamp"]))
            whole, seen = render(moment, view, Still(np.random.PCG64(0)))
            by_token = {one.instance.token: one for one in seen}
            assert np.abs(cv2.imread(path).astype(int) - whole).mean() < 3
            shown = []
            for box, placed in zip(boxes, pictured.get_boxes(token), strict=True):
                corners = view_points(box.corners(), intrinsic, normalize=True)[:2]
                low, high = corners.min(axis=1), corners.max(axis=1)
                inside = (low > 1).all() and (high < [OPTIONS.width - 1, OPTIONS.height - 1]).all()
                ahead, meant = box.corners()[2].min() > 1, nearest(moment, placed.center)
                there = by_token.get(meant.thing.token)
                if there is None or not (inside and ahead):
                    continue
                speed = np.linalg.norm(pictured.box_velocity(box.token))
                if row["is_key_frame"] and speed < 0.01:  # a camera fires some moments beside the sample
                    stands += 1
                    np.testing.assert_allclose(there.box, np.r_[low, high], atol=0.2)
                if there.visibility > 0.95 and box.name in BLOCKS and (high - low).min() > 16:
                    shown.append(((high - low).min(), meant, np.r_[low, high]))
            if not shown:
                continue
            _, meant, hull = max(shown, key=lambda one: one[0])
            others = tuple(one for one in moment.objects if one is not meant)
            without, _ = render(replace(moment, objects=others), view, Still(np.random.PCG64(0)))
            rows, columns = np.nonzero((whole != without).any(axis=-1))
            painted = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
            off = np.abs(painted - hull) / np.tile(hull[2:] - hull[:2], 2)
            # As in nuScenes the box is the cuboid's hull, which no build quite fills. Between the samples it
            # stands where interpolation puts it, which is not quite where the object is.
            assert off.max() < (0.2 if row["is_key_frame"] else 0.3), (meant, painted, hull)
            judged[row["is_key_frame"]] += 1
    assert stands > 10
    assert judged[True] >= 3
    assert judged[False] >= 10


def nearest(moment: Moment, place: np.ndarray) -> Placed:
    return min(moment.objects, key=lambda one: float(np.linalg.norm(one.pose.translation - place)))


def test_visibility_is_about_what_pictures_show() -> None:
    options = replace(OPTIONS, samples=2, cameras=tuple(RIG), height=225, width=400)
    equal, near, total = 0, 0, 0
    for name in sum(options.splits().values(), ()):
        world = scene_of(name, options)
        annotated = annotate(world.stage, np.random.default_rng(0), dropped=0.0)
        for sample, timestamp in enumerate(world.stage.turns.sample_times.tolist()):
            best: dict[str, float] = {}
            for calibration in world.calibrations:
                view = View(calibration.camera(225, 400), world.stage.ego_pose(timestamp))
                for seen in render(world.stage.moment(timestamp), view, Still(np.random.PCG64(0)))[1]:
                    token = seen.instance.token
                    best[token] = max(seen.visibility, best.get(token, 0.0))
            here = annotated.sample == sample
            shown = bins(np.array([best[str(thing)] for thing in annotated.thing[here]]))
            off = np.abs(shown - annotated.visibility[here])
            equal, near, total = equal + (off == 0).sum(), near + (off < 2).sum(), total + len(off)
    assert total > 80
    assert equal / total > 0.8
    assert near / total > 0.95


@pytest.mark.parametrize("density", [34, 120])
def test_nobody_stands_in_anybody(density: float) -> None:
    """Objects of a lane keep apart, seen along the road, and nobody enters the ego vehicle."""
    stage = make_stage(2, "scene-0061", START, samples=40, dropped_samples=0.0, density=density)
    traffic = stage.traffic
    offsets = np.array([lane.offset for lane in EVERY_LANE.values()])
    lanes = np.abs(traffic.offset[:, None] - offsets).argmin(axis=1)
    for seconds in (0.0, 10.0, 20.0):
        along = travelled(traffic.start, traffic.speed, traffic.swell, traffic.period, seconds)
        own = lanes == list(EVERY_LANE).index("own")
        ahead = np.abs(along[own] - stage.ego.distance(seconds))
        assert (ahead > 2.5 + traffic.size[own, 1] / 2).all()
        for lane in range(len(offsets)):
            here = np.flatnonzero(lanes == lane)
            here = here[np.argsort(along[here])]
            room = np.diff(along[here]) - (traffic.size[here[1:], 1] + traffic.size[here[:-1], 1]) / 2
            assert (room > 0).all()
