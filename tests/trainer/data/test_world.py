"""The synthetic world: state as a function of time, projection, pictures that agree with their boxes."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vistrain_trainer.data.classes import PRESETS
from vistrain_trainer.data.world.cameras import RIG, make_rig
from vistrain_trainer.data.world.catalogue import KINDS
from vistrain_trainer.data.world.pose import Pose
from vistrain_trainer.data.world.projection import View, box_corners, image_box
from vistrain_trainer.data.world.renderer import render
from vistrain_trainer.data.world.road import LANES, Lane
from vistrain_trainer.data.world.scene import Drive, Instance, Scene
from vistrain_trainer.data.world.simulation import make_scene

CLASSES = PRESETS["nuscenes-vehicles"]
FRONT = make_rig(["CAM_FRONT"], 256, 448)[0]


def noiseless() -> np.random.Generator:
    class Silent(np.random.Generator):
        def standard_normal(self, size=None, **_):  # type: ignore[no-untyped-def,override]
            return np.zeros(size, np.float32)

    return Silent(np.random.PCG64(0))


@pytest.fixture(scope="module")
def scene() -> Scene:
    return replace(make_scene(0, 0, 6, CLASSES), daylight=1.0)


def put(scene: Scene, class_name: str, ahead: float, lane: str = "own") -> Instance:
    """An instance that stands so many metres ahead of the ego vehicle at the start of the scene."""
    like = next(one for one in scene.instances if one.class_name == class_name)
    return replace(like, drive=Drive(scene.ego_drive.distance(0) + ahead, 0.0), lane=LANES[lane])


def test_a_scene_is_a_function_of_its_seed_and_number() -> None:
    one, same, other = (make_scene(seed, 1, 4, CLASSES) for seed in (3, 3, 4))
    assert (one.token, one.sample_times) == (same.token, same.sample_times)
    for a, b in zip(one.instances, same.instances, strict=True):
        np.testing.assert_array_equal(a.pose(1.0).translation, b.pose(1.0).translation)
        assert (a.token, a.size, a.colour, a.class_name) == (b.token, b.size, b.colour, b.class_name)
    assert one.token != other.token
    assert {a.token for a in one.instances}.isdisjoint({b.token for b in other.instances})


def test_samples_are_half_a_second_apart_and_scenes_do_not_overlap() -> None:
    first, second = make_scene(0, 0, 20, CLASSES), make_scene(0, 1, 20, CLASSES)
    assert set(np.diff(first.sample_times)) == {500_000}
    assert first.sample_times[-1] < second.sample_times[0]


def test_all_classes_asked_for_occur_and_no_other() -> None:
    for preset in PRESETS.values():
        seen = {one.class_name for number in range(6) for one in make_scene(0, number, 4, preset).instances}
        assert seen == set(preset)
    assert {one.class_name for one in make_scene(0, 0, 4, ("bus", "bicycle")).instances} == {"bus", "bicycle"}


def test_sizes_are_those_of_the_class(scene: Scene) -> None:
    for one in scene.instances:
        kind = KINDS[one.class_name]
        np.testing.assert_allclose(one.size, (kind.width, kind.length, kind.height), rtol=0.081)


def test_velocity_is_the_rate_of_the_position(scene: Scene) -> None:
    for one in scene.instances:
        ahead, behind = one.pose(1.2 + 0.05).translation, one.pose(1.2 - 0.05).translation
        np.testing.assert_allclose(one.velocity(1.2), (ahead - behind) / 0.1, atol=0.15)


def test_moving_objects_face_their_way(scene: Scene) -> None:
    moving = [one for one in scene.instances if np.linalg.norm(one.velocity(1.0)) > 0.5]
    assert len(moving) > 3
    for one in moving:
        forward = one.pose(1.0).rotation[:, 0]
        velocity = one.velocity(1.0)
        assert forward @ velocity / np.linalg.norm(velocity) > 0.99


def lane_of(lane: Lane) -> str:
    return min(LANES, key=lambda name: abs(LANES[name].offset - lane.offset))


def test_nobody_stands_in_anybody() -> None:
    """Objects overlap neither each other nor the ego vehicle, at any sample, seen along the road."""
    for number in range(5):
        scene = make_scene(1, number, 10, CLASSES)
        for timestamp in scene.sample_times:
            seconds = scene.seconds(timestamp)
            ego = scene.ego_drive.distance(seconds)
            spans = sorted(
                (lane_of(one.lane), one.drive.distance(seconds), one.size[1]) for one in scene.instances
            )
            for (lane, at, length), (next_lane, next_at, next_length) in pairwise(spans):
                assert lane != next_lane or next_at - at > (length + next_length) / 2
            own = [span for span in spans if span[0] == lane_of(scene.ego_lane)]
            assert all(abs(at - ego) > 2.5 + length / 2 for _, at, length in own)


def test_quaternions_turn_as_their_matrices_do() -> None:
    pose = Pose.on_ground(3.0, 4.0, 0.7)
    np.testing.assert_allclose(pose.quaternion(), [np.cos(0.35), 0, 0, np.sin(0.35)], atol=1e-12)
    points = np.array([[1.0, 2.0, 3.0]])
    np.testing.assert_allclose(pose.from_parent(pose.to_parent(points)), points, atol=1e-12)


@pytest.mark.parametrize(("name", "expected"), [("CAM_FRONT", 0), ("CAM_BACK", 180), ("CAM_FRONT_LEFT", 55)])
def test_cameras_look_where_they_are_mounted(name: str, expected: float) -> None:
    (camera,) = make_rig([name], 900, 1600)
    forward = camera.pose.rotation[:, 2]
    assert np.rad2deg(np.arctan2(forward[1], forward[0])) % 360 == pytest.approx(expected)
    np.testing.assert_allclose(camera.pose.rotation[:, 1], [0, 0, -1], atol=1e-12)  # y points down
    assert camera.intrinsic[0, 0] == RIG[name].focal


box_positions = st.tuples(st.floats(6, 60), st.floats(-25, 25), st.floats(-3.14, 3.14))


@given(box_positions, st.tuples(st.floats(0.5, 3), st.floats(0.5, 12), st.floats(1, 4)))
@settings(max_examples=200, deadline=None)
def test_boxes_in_front_project_as_homogeneous_matrices_do(
    position: tuple[float, float, float], size: tuple[float, float, float]
) -> None:
    ego = Pose.on_ground(500.0, 700.0, 2.1)
    view = View(FRONT, ego)
    along = ego.to_parent(np.array([[position[0] + 12, position[1], 0.0]]))[0]
    corners = box_corners(Pose.on_ground(along[0], along[1], position[2]), size)

    def matrix(pose: Pose) -> np.ndarray:
        whole = np.eye(4)
        whole[:3, :3], whole[:3, 3] = pose.rotation, pose.translation
        return whole

    to_camera = np.linalg.inv(matrix(ego) @ matrix(FRONT.pose))
    seen = FRONT.intrinsic @ (to_camera @ np.c_[corners, np.ones(8)].T)[:3]
    pixels = seen[:2] / seen[2]
    low, high = pixels.min(axis=1), pixels.max(axis=1)
    expected = np.r_[low.clip(0, (448, 256)), high.clip(0, (448, 256))]
    box = image_box(view, corners)
    if box is None:
        assert expected[0] >= expected[2] or expected[1] >= expected[3]
    else:
        np.testing.assert_allclose(box, expected, atol=1e-6)


def test_a_box_beside_the_camera_is_cut_at_the_near_plane() -> None:
    ego = Pose.on_ground(0.0, 0.0, 0.0)
    corners = box_corners(Pose.on_ground(3.0, -3.0, 0.0), (2.0, 10.0, 3.0))
    box = image_box(View(FRONT, ego), corners)
    assert box is not None
    assert box[2:] == (448.0, 256.0)
    behind = box_corners(Pose.on_ground(-20.0, 0.0, 0.0), (2.0, 4.0, 2.0))
    assert image_box(View(FRONT, ego), behind) is None


@pytest.mark.parametrize("class_name", CLASSES)
def test_an_object_is_painted_where_its_box_is(scene: Scene, class_name: str) -> None:
    alone = replace(scene, buildings=(), instances=(put(scene, class_name, 14.0),))
    empty = replace(alone, instances=())
    view = View(FRONT, scene.ego_pose(scene.start))
    picture, boxes = render(alone.moment(scene.start), view, noiseless())
    background, none = render(empty.moment(scene.start), view, noiseless())
    assert none == []
    rows, columns = np.nonzero((picture != background).any(axis=-1))
    painted = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    (seen,) = boxes
    assert seen.visibility == 1.0
    # The box is the cuboid's hull, as in nuScenes; wheels set back and slender parts leave it a little open.
    left, top, right, bottom = seen.box
    assert min(painted[0] - left, painted[1] - top, right - painted[2], bottom - painted[3]) >= -1
    extent = (painted[2] - painted[0]) * (painted[3] - painted[1])
    assert extent / ((right - left) * (bottom - top)) > 0.8


def test_what_is_nearer_hides_what_is_further(scene: Scene) -> None:
    view = View(FRONT, scene.ego_pose(scene.start))
    hidden = replace(scene, buildings=(), instances=(put(scene, "car", 26.0), put(scene, "bus", 12.0)))
    _, (far, near) = render(hidden.moment(scene.start), view, noiseless())
    assert (far.instance.class_name, near.instance.class_name) == ("car", "bus")
    assert far.visibility < 0.1
    assert near.visibility == 1.0
    aside = replace(hidden, instances=(put(scene, "car", 30.0, "parked left"), put(scene, "bus", 20.0)))
    assert all(seen.visibility > 0.7 for seen in render(aside.moment(scene.start), view, noiseless())[1])


def test_ego_motion_brings_standing_objects_nearer(scene: Scene) -> None:
    standing = replace(scene, buildings=(), instances=(put(scene, "truck", 40.0, "parked right"),))
    distances, widths = [], []
    for timestamp in scene.sample_times[:4]:
        (seen,) = render(standing.moment(timestamp), View(FRONT, scene.ego_pose(timestamp)), noiseless())[1]
        distances.append(seen.distance)
        widths.append(seen.box[2] - seen.box[0])
    assert distances == sorted(distances, reverse=True)
    assert widths == sorted(widths)


def test_haze_ends_the_world(scene: Scene) -> None:
    view = View(FRONT, scene.ego_pose(scene.start))
    far = replace(scene, buildings=(), instances=(put(scene, "bus", 60.0),))
    assert render(far.moment(scene.start), view, noiseless())[1] == []


def test_six_cameras_see_what_is_around(scene: Scene) -> None:
    parked = replace(scene, buildings=(), instances=(put(scene, "truck", -8.0, "parked left"),))
    seen = {
        camera.name: render(
            parked.moment(scene.start), View(camera, scene.ego_pose(scene.start)), noiseless()
        )[1]
        for camera in make_rig(list(RIG), 128, 224)
    }
    assert seen["CAM_BACK_LEFT"]
    assert not seen["CAM_FRONT"]
    assert not seen["CAM_FRONT_RIGHT"]
