"""Images without annotations, found and read."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from vistrain_trainer.data.image_folder import ImageFolder
from vistrain_trainer.errors import BadInput

GREEN = np.full((40, 60, 3), (10, 200, 30), np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "CAM_BACK").mkdir()
    cv2.imwrite(str(tmp_path / "b.png"), GREEN)
    cv2.imwrite(str(tmp_path / "a.JPG"), GREEN[:, :50])
    cv2.imwrite(str(tmp_path / "CAM_BACK" / "c.jpeg"), GREEN[:30])
    (tmp_path / "notes.txt").write_text("no image")
    return tmp_path


def test_files_come_by_name_with_the_sizes_they_have(folder: Path) -> None:
    found = ImageFolder(folder)
    assert [tuple(image) for image in found.images] == [
        (1, "CAM_BACK/c.jpeg", 60, 30),
        (2, "a.JPG", 50, 40),
        (3, "b.png", 60, 40),
    ]
    for index, image in enumerate(found.images):
        assert found.read_image(index).shape == (image.height, image.width, 3)
        assert found.labels(index).shape == (0, 5)
    assert np.array_equal(found.read_image(2), GREEN)


def test_a_single_file(folder: Path) -> None:
    assert [image.file_name for image in ImageFolder(folder / "b.png").images] == ["b.png"]


def test_a_size_that_stands_late_in_the_file(folder: Path) -> None:
    """Behind a picture of the picture, as cameras put one there."""
    content = (folder / "a.JPG").read_bytes()
    segment = b"\xff\xec" + (60_000).to_bytes(2, "big") + bytes(59_998)
    (folder / "a.JPG").write_bytes(content[:2] + segment * 3 + content[2:])
    assert ImageFolder(folder / "a.JPG").images[0][2:] == (50, 40)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [("d.jpg", b"no image", "cannot be read"), ("d.png", b"", "cannot be read")],
)
def test_what_is_no_image_is_told(folder: Path, name: str, content: bytes, said: str) -> None:
    (folder / name).write_bytes(content)
    with pytest.raises(BadInput, match=f"{name}: it {said}"):
        ImageFolder(folder)


def test_a_broken_image_is_told_when_it_is_read(folder: Path) -> None:
    content = (folder / "b.png").read_bytes()
    (folder / "b.png").write_bytes(content[:60])
    found = ImageFolder(folder)
    with pytest.raises(BadInput, match=r"b\.png: it cannot be read"):
        found.read_image(2)


def test_nothing_to_look_at(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="there is no JPEG or PNG file in it"):
        ImageFolder(tmp_path)
    with pytest.raises(BadInput, match="it does not exist"):
        ImageFolder(tmp_path / "gone")
