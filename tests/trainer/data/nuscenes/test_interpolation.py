"""Boxes between keyframes equal to the devkit's, but for instances that only one of them has."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies
from nuscenes.nuscenes import NuScenes
from pyquaternion import Quaternion

from vistrain_trainer.data.nuscenes.interpolation import BoxesAt, boxes_at
from vistrain_trainer.data.nuscenes.quaternions import matrices, slerp
from vistrain_trainer.data.nuscenes.release import Release

METRE, RADIAN = 1e-6, 1e-6


@pytest.fixture(scope="module")
def at(release: Release) -> BoxesAt:
    return boxes_at(release, slice(None))


def test_every_frame_has_the_boxes_of_get_boxes(release: Release, devkit: NuScenes, at: BoxesAt) -> None:
    """An instance in one of two keyframes: the devkit repeats the later box, we leave it out."""
    between = omitted = 0
    for frame in range(len(release.frames.token)):
        rows = np.flatnonzero(at.frame == frame)
        ours = {release.annotations.token[at.annotation[row]].decode(): row for row in rows}
        record = devkit.get("sample_data", release.frames.token[frame].decode())
        sample = devkit.get("sample", record["sample_token"])
        if record["is_key_frame"]:
            earlier = None
        else:
            anns = devkit.get("sample", sample["prev"])["anns"] if sample["prev"] else []
            earlier = {devkit.get("sample_annotation", token)["instance_token"] for token in anns}
        expected = []
        for box in devkit.get_boxes(record["token"]):
            instance = devkit.get("sample_annotation", box.token)["instance_token"]
            if earlier is not None and instance not in earlier:
                omitted += 1
                continue
            expected.append(box.token)
            row = ours[box.token]
            assert np.abs(at.translation[row] - box.center).max() < METRE
            assert np.array_equal(at.size[row], box.wlh)
            assert Quaternion.absolute_distance(Quaternion(at.rotation[row]), box.orientation) < RADIAN
            between += earlier is not None
        assert list(ours) == expected
    assert between > 1000
    assert omitted > 50


def test_visibility_is_the_lower_of_both(release: Release, devkit: NuScenes, at: BoxesAt) -> None:
    lowered = 0
    for row in range(0, len(at.frame), 7):
        later = devkit.get("sample_annotation", release.annotations.token[at.annotation[row]].decode())
        bins = [int(later["visibility_token"])]
        if not release.frames.keyframe[at.frame[row]]:
            bins.append(int(devkit.get("sample_annotation", later["prev"])["visibility_token"]))
        assert at.visibility[row] == min(bins)
        lowered += min(bins) < bins[0]
    assert lowered > 5


def test_frames_may_come_in_any_order_and_choice(release: Release, at: BoxesAt) -> None:
    frames = np.random.default_rng(1).permutation(len(release.frames.token))[:60]
    some = boxes_at(release, frames)
    wanted = np.concatenate([np.flatnonzero(at.frame == frame) for frame in frames])
    assert np.array_equal(some.frame, at.frame[wanted])
    assert np.array_equal(some.annotation, at.annotation[wanted])
    assert np.array_equal(some.translation, at.translation[wanted])
    assert np.array_equal(some.rotation, at.rotation[wanted])


def test_sweeps_before_the_first_keyframe_have_no_boxes(release: Release, at: BoxesAt) -> None:
    first = release.samples.previous[release.frames.sample] < 0
    early = np.flatnonzero(first & ~release.frames.keyframe)
    assert not np.isin(at.frame, early).any()


def test_a_frame_after_the_last_sample_has_its_boxes(release: Release, at: BoxesAt) -> None:
    """Cameras run on after the last sample: time is clamped, nothing is extrapolated."""
    sample = release.frames.sample[at.frame]
    late = (
        release.frames.timestamp[at.frame] >= release.samples.timestamp[sample]
    ) & ~release.frames.keyframe[at.frame]
    assert late.sum() > 10
    assert np.array_equal(at.translation[late], release.annotations.translation[at.annotation[late]])


numbers = strategies.floats(-1, 1)
quaternions = strategies.tuples(numbers, numbers, numbers, numbers).filter(lambda q: np.linalg.norm(q) > 1e-3)


@given(quaternions, quaternions, strategies.floats(0, 1), strategies.sampled_from([1.0, 1e-2, 1e-5]))
def test_slerp_is_pyquaternions(first: tuple, second: tuple, share: float, spread: float) -> None:
    """From rotations far apart to nearly equal ones; of opposite ones either way round is right."""
    near = np.array(first) + spread * np.array(second)
    if np.linalg.norm(near) < 1e-3:
        return
    one, other = Quaternion(first).unit, Quaternion(near).unit
    ours = slerp(np.array([one.q]), np.array([other.q]), np.array([share]))[0]
    if abs(np.dot(one.q, other.q)) > 1e-9:
        theirs = Quaternion.slerp(one, other, share)
        assert Quaternion.absolute_distance(Quaternion(ours), theirs) < RADIAN
    assert np.linalg.norm(ours) == pytest.approx(1)


@given(quaternions)
def test_matrices_are_pyquaternions(rotation: tuple) -> None:
    ours = matrices(np.array([rotation]))[..., 0]
    assert np.abs(ours - Quaternion(rotation).rotation_matrix).max() < 1e-12
