"""Images of which nothing is known but their files."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import simplejpeg

from vistrain_trainer.data.coco_file import ImageRecord
from vistrain_trainer.data.images import decode
from vistrain_trainer.errors import BadInput

SUFFIXES = (".jpg", ".jpeg", ".png")
_HEAD = 65_536
"""Bytes of a file that tell its size, unless something large is put before."""
_PNG = b"\x89PNG\r\n\x1a\n"


class ImageFolder:
    """The JPEG and PNG files of a folder and of those in it, by name; or a single file. Ids count from 1."""

    def __init__(self, path: Path) -> None:
        """List the files and read their sizes.

        Raises:
            BadInput: there is none, or one is no image.
        """
        self._folder = path if path.is_dir() else path.parent
        files = sorted(_listed(path)) if path.is_dir() else [path] if path.is_file() else []
        if not files:
            raise BadInput(
                field="--images",
                value=str(path),
                problem="there is no JPEG or PNG file in it" if path.is_dir() else "it does not exist",
                remedy="Name an image or a folder of images",
            )
        self.images = tuple(self._record(number, file) for number, file in enumerate(files, start=1))

    def __len__(self) -> int:
        return len(self.images)

    def labels(self, index: int) -> np.ndarray:
        """(0, 5): no box is known."""
        return np.zeros((0, 5), np.float32)

    def read_image(self, index: int) -> np.ndarray:
        """Read an image: (H, W, 3) uint8, BGR.

        Raises:
            BadInput: the file is missing or broken.
        """
        path = self._folder / self.images[index].file_name
        try:
            return decode(path.read_bytes())
        except (OSError, ValueError) as error:
            raise _unreadable(path, error) from None

    def _record(self, number: int, path: Path) -> ImageRecord:
        try:
            height, width = _size(path)
        except (OSError, ValueError) as error:
            raise _unreadable(path, error) from None
        return ImageRecord(number, path.relative_to(self._folder).as_posix(), width, height)


def _listed(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file()]


def _size(path: Path) -> tuple[int, int]:
    """(height, width) as the file states it."""
    with path.open("rb") as file:
        head = file.read(_HEAD)
        if head.startswith(_PNG) and len(head) >= 24:
            width, height = struct.unpack(">II", head[16:24])
            return height, width
        try:
            height, width = simplejpeg.decode_jpeg_header(head)[:2]
        except ValueError:
            height, width = simplejpeg.decode_jpeg_header(head + file.read())[:2]
    return height, width


def _unreadable(path: Path, error: OSError | ValueError) -> BadInput:
    return BadInput(
        field="--images",
        value=str(path),
        problem=f"it cannot be read: {error.strerror if isinstance(error, OSError) else error}",
        remedy="Remove it from the folder, or copy it again",
    )
