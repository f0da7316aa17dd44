"""Samples are spread over scenes × cameras, the same ones each time; wrong names are refused."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from support.checks import found_by, run_check
from vistrain_trainer.checking.choice import choose
from vistrain_trainer.checking.opening import read_content
from vistrain_trainer.errors import BadInput


@pytest.fixture(scope="module")
def content(world):
    return read_content(world)


def sequences(content, choice):
    return [
        (
            content.splits[pick.split].sequences[pick.sequence].scene,
            content.splits[pick.split].sequences[pick.sequence].camera,
        )
        for pick in choice.picks
    ]


def test_every_sequence_has_its_share(content):
    choice = choose(content, 20, (), ())
    assert (choice.scenes, choice.cameras, choice.sequences) == (5, 2, 10)
    assert set(Counter(sequences(content, choice)).values()) == {2}
    frames = [(pick.split, pick.frames) for pick in choice.picks]
    assert len(set(frames)) == 20  # both samples of each


def test_few_samples_are_spread_over_cameras_splits_and_scenes(content):
    choice = choose(content, 4, (), ())
    chosen = sequences(content, choice)
    assert Counter(camera for _, camera in chosen) == {"CAM_FRONT": 2, "CAM_BACK": 2}
    assert {pick.split for pick in choice.picks} == {"train", "val"}
    assert len({scene for scene, _ in chosen}) >= 3
    assert choose(content, 4, (), ()) == choice


def test_scenes_and_cameras_restrict_the_choice(content):
    choice = choose(content, 100, ("scene-0002", "scene-0005"), ("CAM_BACK",))
    assert (choice.scenes, choice.cameras, choice.sequences) == (2, 1, 2)
    assert choice.of_sequences == 10
    assert set(sequences(content, choice)) == {("scene-0002", "CAM_BACK"), ("scene-0005", "CAM_BACK")}
    assert len(choice.picks) == 4  # there are no more


def test_frames_of_a_strip_are_consecutive(content):
    choice = choose(content, 10, (), (), each=2)
    for pick in choice.picks:
        split = content.splits[pick.split]
        assert len(pick.frames) == 2
        assert set(split.frames.sequence[list(pick.frames)]) == {pick.sequence}
        first, second = split.frames.timestamp[list(pick.frames)]
        assert second - first == 500_000


def test_a_strip_is_no_longer_than_its_sequence(content):
    choice = choose(content, 10, (), (), each=6)
    assert {len(pick.frames) for pick in choice.picks} == {2}


@pytest.mark.parametrize(
    ("scenes", "cameras", "message"),
    [
        (("scene-1",), (), "--scene: scene-1: the data set has no such one. Did you mean scene-0001?"),
        ((), ("LIDAR",), "Choose from CAM_BACK, CAM_FRONT"),
    ],
)
def test_what_is_not_there_is_refused_with_what_is(content, scenes, cameras, message):
    with pytest.raises(BadInput) as caught:
        choose(content, 4, scenes, cameras)
    assert message in str(caught.value)


def test_the_command_says_of_how_many_sequences(world, tmp_path):
    arguments = ("--scene", "scene-0001,scene-0003", "--camera", "CAM_FRONT", "--samples", 3)
    result = run_check(world, *arguments, "--out", tmp_path / "out")
    assert "3 samples of 2 of 10 sequences: 2 scenes with 1 camera" in result.stdout
    found = found_by(run_check(world, *arguments, "--out", tmp_path / "out", "--json"))
    assert found["sequences"] == {"chosenFrom": 2, "scenes": 2, "cameras": 1, "ofAll": 10}
    assert {one["sequence"] for one in found["samples"]} == {"scene-0001_CAM_FRONT", "scene-0003_CAM_FRONT"}
    stored = json.loads((tmp_path / "out" / "check.json").read_text())
    assert stored == found
