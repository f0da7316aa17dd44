"""Boxes are drawn where the objects are, in the colours of their classes."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from support.checks import found_by, run_check
from vistrain_trainer.checking.content import UNKNOWN, Boxes, CameraSequence, Frames, Split
from vistrain_trainer.checking.opening import read_content
from vistrain_trainer.checking.overlays import columns_of, draw_frame, mosaic
from vistrain_trainer.checking.pictures import picture_paths, read_picture
from vistrain_trainer.evaluation.canvas import LINE, colour_of

CAR, BUS = 0, 2
WIDTH, HEIGHT = 400, 200


def split_of(*boxes: tuple[int, list[float], int], keyframe: int = UNKNOWN) -> Split:
    """One picture with boxes: class, x, y, width, height, track."""
    count = len(boxes)
    return Split(
        "val",
        ("car", "truck", "bus"),
        (CameraSequence("scene-0001", "CAM_FRONT", "scene-0001_CAM_FRONT"),),
        Frames(
            ("a.png",),
            ("",),
            np.array([[WIDTH, HEIGHT]], np.int32),
            *(np.zeros(1, np.int32),) * 2,
            np.array([keyframe]),
            np.ones(1, np.uint8),
        ),
        Boxes(
            np.zeros(count, np.int32),
            np.array([box for _, box, _ in boxes], float).reshape(-1, 4),
            np.array([label for label, _, _ in boxes], np.int16),
            np.array([track for _, _, track in boxes], np.int32),
            *(np.full(count, np.nan, np.float32),) * 2,
        ),
    )


def bounds_of(picture: np.ndarray, colour: tuple[int, int, int]) -> list[int]:
    """First and last column and row with a colour, below the title: x1, y1, x2, y2."""
    rows, columns = np.nonzero((picture[LINE:] == colour).all(axis=2))
    return [int(columns.min()), int(rows.min()), int(columns.max()), int(rows.max())]


def test_the_line_runs_around_the_object():
    picture = np.full((HEIGHT, WIDTH, 3), 60, np.uint8)
    picture[50:111, 120:201] = (10, 10, 250)  # the object
    drawn = draw_frame(split_of((BUS, [120, 50, 80, 60], UNKNOWN)), 0, picture, (WIDTH, WIDTH))
    assert bounds_of(drawn, colour_of(BUS)) == [120, 50, 200, 110]
    inside = drawn[LINE + 51 : LINE + 110, 121:200]
    assert (inside == (10, 10, 250)).all()  # nothing but the object within
    outside = drawn[LINE:][[48, 112]][:, 118:203]
    assert (outside == 60).all()  # and nothing of it without


def test_a_picture_of_another_size_than_drawn_keeps_the_boxes_on_the_object():
    picture = np.full((HEIGHT, WIDTH, 3), 60, np.uint8)
    drawn = draw_frame(split_of((CAR, [120, 50, 80, 60], UNKNOWN)), 0, picture, (800, 1280))
    assert drawn.shape == (LINE + 400, 800, 3)
    assert bounds_of(drawn, colour_of(CAR)) == [240, 100, 400, 220]


def test_a_box_that_ends_at_the_border_has_all_its_lines():
    picture = np.full((HEIGHT, WIDTH, 3), 60, np.uint8)
    drawn = draw_frame(split_of((CAR, [300, 100, 100, 100], UNKNOWN)), 0, picture, (WIDTH, WIDTH))
    assert bounds_of(drawn, colour_of(CAR)) == [300, 100, WIDTH - 1, HEIGHT - 1]


def test_a_small_box_is_on_top_of_a_large_one_of_another_class():
    boxes = ((CAR, [150, 50.0, 20, 60], UNKNOWN), (BUS, [100, 20, 50, 150], UNKNOWN))
    drawn = draw_frame(split_of(*boxes), 0, None, (WIDTH, WIDTH))
    assert (drawn[LINE + 60 : LINE + 100, 150] == colour_of(CAR)).all()


def test_tracks_bear_their_numbers_and_titles_tell_key_from_interpolated():
    bare = draw_frame(split_of((CAR, [100, 80, 80, 60], UNKNOWN)), 0, None, (WIDTH, WIDTH))
    tracked = draw_frame(split_of((CAR, [100, 80, 80, 60], 17)), 0, None, (WIDTH, WIDTH))
    changed = np.nonzero((bare != tracked).any(axis=2))
    assert changed[1].min() >= 100
    assert changed[1].max() < 130
    assert changed[0].max() <= LINE + 80
    assert (tracked[LINE + 70, 101:103] == colour_of(CAR)).all()  # the tab
    grounds = {
        key: tuple(draw_frame(split_of(keyframe=key), 0, None, (WIDTH, WIDTH))[1, -1].tolist())
        for key in (UNKNOWN, 0, 1)
    }
    assert len(set(grounds.values())) == 3
    assert grounds[0][2] > grounds[0][0]  # amber
    assert grounds[1][1] > grounds[1][2]  # green


def test_boxes_without_a_picture_are_on_grey():
    drawn = draw_frame(split_of((CAR, [100, 80, 80, 60], UNKNOWN)), 0, None, (WIDTH, WIDTH))
    assert bounds_of(drawn, colour_of(CAR)) == [100, 80, 180, 140]
    assert (drawn[LINE + 2, 2] == drawn[LINE + 90, 110]).all()
    assert (drawn[LINE + HEIGHT - 16 :, :100] > 200).any()  # says so


def test_a_page_of_pictures_has_a_place_for_each():
    cells = [np.full((100, 160, 3), 10 * at, np.uint8) for at in range(1, 6)]
    page = mosaic(cells, 2)
    assert page.shape[1] == 2 * 160 + 4
    assert page.shape[0] == 3 * 100 + 2 * 4
    assert [int(page[50 + 104 * (at // 2), 80 + 164 * (at % 2), 0]) for at in range(5)] == [
        10,
        20,
        30,
        40,
        50,
    ]
    assert columns_of(cells) == 2
    assert columns_of(cells[:1]) == 1


def test_every_box_of_the_world_lies_on_something_that_is_not_the_empty_road(world):
    """The object's own pixels: what is inside a box differs from what is around it."""
    content = read_content(world)
    path_of = picture_paths(content, None)
    contrasts = []
    for split in content.splits.values():
        for row in np.flatnonzero(split.boxes.visibility > 0.9):
            frame = int(split.boxes.frame[row])
            picture = read_picture(path_of(split, frame))
            assert picture is not None
            x, y, w, h = split.boxes.box[row].round().astype(int)
            if min(w, h) < 8 or x < 4 or x + w > picture.shape[1] - 4:
                continue
            grey = picture.astype(float).mean(axis=2)
            middle = np.median(grey[y + h // 4 : y + 3 * h // 4, x + w // 4 : x + 3 * w // 4])
            beside = np.median(
                np.concatenate([grey[y + h // 4 : y + 3 * h // 4, at] for at in (x - 4, x + w + 3)])
            )
            contrasts.append(abs(middle - beside))
    assert len(contrasts) > 20
    assert np.median(contrasts) > 12


@pytest.fixture(scope="module")
def checked(world, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("checked") / "out"
    result = run_check(world, "--samples", 6, "--out", out)
    assert result.exit_code == 0, result.output
    return out


def test_single_pictures_and_a_page_of_them_are_written(checked, world):
    samples = json.loads((checked / "check.json").read_text())["samples"]
    content = read_content(world)
    assert len(samples) == 6
    for one in samples:
        drawn = cv2.imread(str(checked / one["file"])).astype(int)
        assert one["singles"] == [one["file"]]
        split = content.splits[one["split"]]
        name = one["caption"].removeprefix(f"{one['split']}: ").split(",")[0]
        frame = split.frames.name.index(name)
        rows = split.rows_of(frame)
        assert one["boxes"] == len(rows)
        scale = drawn.shape[1] / 224
        for row in rows:  # the left line of each box has the colour of its class
            x, y, _, h = split.boxes.box[row] * scale
            column = drawn[LINE + round(y) + 1 : LINE + round(y + h), max(0, round(x) - 1) : round(x) + 2]
            near = np.abs(column - colour_of(int(split.boxes.label[row]))).max(axis=2) < 90
            assert near.any(axis=1).mean() > 0.5, (name, row)
    page = cv2.imread(str(checked / "all-samples.jpg"))
    assert page.shape[1] == 2 * 480 + 4


def test_missing_pictures_are_grey_and_told(spoilt, tmp_path):
    folder = spoilt(lambda _: None)
    front = folder / "images" / "CAM_FRONT"
    front.rename(folder / "images" / "elsewhere")
    result = run_check(folder, "--samples", 10, "--out", tmp_path / "out", "--json")
    assert result.exit_code == 3
    found = found_by(result)
    assert {one["sequence"].endswith("CAM_FRONT"): one["missing"] for one in found["samples"]} == {
        True: 1,
        False: 0,
    }
    assert found["figures"]["missing-pictures"]["values"] == {"train": 8, "val": 2}
    texts = [one["text"] for one in found["sentences"]]
    assert "Of the 10 pictures shown, 5 could not be read and are grey." in texts


def test_pictures_that_were_asked_for_and_are_not_there_at_all(spoilt, tmp_path):
    folder = spoilt(lambda _: None)
    (folder / "images").rename(folder / "elsewhere")
    result = run_check(folder, "--samples", 3, "--out", tmp_path / "out")
    assert result.exit_code == 64
    assert "the picture is not there, nor is any other that was to be shown" in result.stderr
    assert "--samples 0" in result.stderr
    assert not (tmp_path / "out").exists()
    assert list(tmp_path.glob(".*")) == []  # nothing half made
    result = run_check(folder, "--out", tmp_path / "out", "--json")  # not asked for: shown on grey
    assert [one["missing"] for one in found_by(result)["samples"]] == [1] * 12


def test_pictures_of_a_data_set_without_its_own_are_below_a_root(spoilt, tmp_path):
    from vistrain_trainer.data.manifest import Pictures

    away = tmp_path / "away"
    folder = spoilt(lambda _: None, pictures=Pictures(mode="none", root=str(tmp_path / "gone")))
    (folder / "images").rename(away)
    found = found_by(run_check(folder, "--samples", 2, "--root", away, "--out", tmp_path / "out", "--json"))
    assert [one["missing"] for one in found["samples"]] == [0, 0]
    assert found["figures"]["missing-pictures"]["verdict"] == "no bound"
