"""Images of which nothing is known but their files."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from vistrain_trainer.data.images import decode
from vistrain_trainer.errors import BadInput

SUFFIXES = (".jpg", ".jpeg", ".png")


class NamedImage(NamedTuple):
    """An image file."""

    id: int
    """From 1, in the order of the names."""
    file_name: str
    """Relative to the folder."""


class ImageFolder:
    """The JPEG and PNG files of a folder and of those in it, by name; or a single file."""

    def __init__(self, path: Path) -> None:
        """List the files.

        Raises:
            BadInput: there is none.
        """
        self._folder = path if path.is_dir() else path.parent
        files = sorted(_listed(path)) if path.is_dir() else [path] if path.is_file() else []
        self.images = tuple(
            NamedImage(number, file.relative_to(self._folder).as_posix())
            for number, file in enumerate(files, start=1)
        )
        if not self.images:
            raise BadInput(
                field="--images",
                value=str(path),
                problem="there is no JPEG or PNG file in it" if path.is_dir() else "it does not exist",
                remedy="Name an image or a folder of images",
            )

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
            why = error.strerror if isinstance(error, OSError) else error
            raise BadInput(
                field="--images",
                value=str(path),
                problem=f"it cannot be read: {why}",
                remedy="Remove it from the folder, or copy it again",
            ) from None


def _listed(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file()]
