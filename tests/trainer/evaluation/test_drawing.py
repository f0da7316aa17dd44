"""Pictures show what is there and what is found: lines where boxes are, broken where something is wrong."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from vistrain_trainer.evaluation.boxes import NOTHING, ImageTruth
from vistrain_trainer.evaluation.canvas import colour_of
from vistrain_trainer.evaluation.drawing import draw_detections, draw_matches
from vistrain_trainer.evaluation.matches import ImageMatches

CLASSES = tuple(f"class {number}" for number in range(30))
GREY = np.full((500, 1000, 3), 90, np.uint8)  # wide enough to be drawn on as it is
TITLE, GAP = 20, 4


def decoded(content: bytes) -> np.ndarray:
    return np.asarray(cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)).astype(int)


def share_of_line(picture: np.ndarray, kind: int, x: int, y1: int, y2: int) -> float:
    """How much of a vertical line has the colour of a class."""
    line = picture[y1 : y2 + 1, x - 1 : x + 2]
    return float((np.abs(line - colour_of(kind)).max(axis=2) < 60).any(axis=1).mean())


def matches(
    truth: ImageTruth, missed: list[bool], rows: list[list[float]], false: list[bool]
) -> ImageMatches:
    return ImageMatches(
        truth, np.array(missed, bool), np.array(rows, np.float64).reshape(-1, 7), np.array(false, bool)
    )


def test_whole_lines_are_right_and_broken_ones_wrong() -> None:
    truth = ImageTruth(
        np.array([[100.0, 100, 80, 200], [400.0, 100, 80, 200]]), np.array([0, 3]), np.zeros(2, bool)
    )
    rows = [[1, 100, 100, 80, 200, 0.9, 0], [1, 700, 100, 80, 200, 0.4, 2]]
    picture = decoded(draw_matches(GREY, matches(truth, [False, True], rows, [False, True]), CLASSES, 0.25))
    assert picture.shape == (TITLE + 500 + 20, 2 * 1000 + GAP, 3)
    top, bottom, right = 100 + TITLE, 300 + TITLE, 1000 + GAP
    assert share_of_line(picture, 0, 100, top, bottom) > 0.95
    assert 0.3 < share_of_line(picture, 3, 400, top, bottom) < 0.7
    assert share_of_line(picture, 0, right + 100, top, bottom) > 0.95
    assert 0.3 < share_of_line(picture, 2, right + 700, top, bottom) < 0.7
    assert share_of_line(picture, 3, right + 400, top, bottom) == 0  # what is missed is not on the right
    assert share_of_line(picture, 2, 700, top, bottom) == 0


@pytest.mark.parametrize(("width", "drawn"), [(100, 800), (1000, 1000), (4000, 1280)])
def test_small_images_are_enlarged_and_large_ones_made_smaller(width: int, drawn: int) -> None:
    image = np.full((width // 2, width, 3), 90, np.uint8)
    rows = np.array([[1, 0.25 * width, 0.1 * width, 0.5 * width, 0.3 * width, 0.5, 4]])
    picture = decoded(draw_detections(image, rows, CLASSES, 0.25))
    assert picture.shape[1] == drawn
    line = share_of_line(picture, 4, drawn // 4, TITLE + drawn // 10, TITLE + 2 * drawn // 5)
    assert line > 0.8  # the tab with the score lies above


def test_nothing_there_and_nothing_found() -> None:
    nothing = ImageMatches(NOTHING, np.zeros(0, bool), np.zeros((0, 7)), np.zeros(0, bool))
    assert decoded(draw_matches(GREY, nothing, CLASSES, 0.5)).shape[1] == 2004


def test_a_legend_of_many_classes_takes_more_lines() -> None:
    rows = np.array([[1, 10.0 * kind, 10, 8, 8, 0.5, kind] for kind in range(30)])
    assert decoded(draw_detections(GREY, rows, CLASSES, 0.5)).shape[0] >= TITLE + 500 + 60


def test_classes_have_colours_of_their_own_and_equal_pictures_equal_bytes() -> None:
    assert len({colour_of(kind) for kind in range(80)}) == 80
    rows = np.array([[1, 10.0, 10, 80, 80, 0.5, 3]])
    assert draw_detections(GREY, rows, CLASSES, 0.5) == draw_detections(GREY, rows, CLASSES, 0.5)
    assert draw_detections(GREY, rows, ("Mühlrad", *CLASSES), 0.5)  # letters that OpenCV lacks
