"""Pictures that viewers turn, as Pillow turns them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from vistrain_trainer.data.picture_file import read_shape, turn_boxes, turn_boxes_back, turn_picture


def write(path: Path, orientation: int, pixels: np.ndarray) -> Path:
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(pixels).save(path, exif=exif)
    return path


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_a_box_goes_with_its_pixels(tmp_path: Path, orientation: int, suffix: str) -> None:
    pixels = np.zeros((30, 50, 3), np.uint8)
    pixels[4:10, 7:20] = 255
    path = write(tmp_path / f"a{suffix}", orientation, pixels)
    shape = read_shape(path)
    assert (shape.width, shape.height, shape.orientation) == (50, 30, orientation)

    upright = turn_picture(pixels, orientation)
    with Image.open(path) as picture:
        assert ImageOps.exif_transpose(picture).size == shape.upright
        if suffix == ".png":
            np.testing.assert_array_equal(upright, np.asarray(ImageOps.exif_transpose(picture)))
    assert upright.shape[:2] == shape.upright[::-1]

    box = np.array([[7.0, 4.0, 13.0, 6.0]])
    x, y, width, height = turn_boxes(box, shape)[0].astype(int)
    assert (upright[y : y + height, x : x + width] == 255).all()
    assert (upright == 255).sum() == 3 * width * height
    np.testing.assert_array_equal(turn_boxes_back(turn_boxes(box, shape), shape), box)


@pytest.mark.parametrize("orientation", [0, 9, 4711])
def test_an_unknown_orientation_turns_nothing(tmp_path: Path, orientation: int) -> None:
    path = write(tmp_path / "a.jpg", orientation, np.zeros((30, 50, 3), np.uint8))
    assert read_shape(path) == (50, 30, 1)


def test_what_is_no_picture_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_text("no picture")
    with pytest.raises(ValueError, match="it is no picture"):
        read_shape(tmp_path / "a.jpg")
    with pytest.raises(FileNotFoundError):
        read_shape(tmp_path / "b.jpg")
