"""Pictures put into a data set's folder."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Literal

Mode = Literal["none", "link", "copy"]


def place(picture: Path, target: Path, final: Path, mode: Mode) -> None:
    """Link or copy a picture; one that is there already is left as it is.

    A link is relative, so that it holds when the volume with both is mounted elsewhere.

    Args:
        target: where it is put now.
        final: where it will be when the folder has its name.

    Raises:
        OSError: it cannot be read or written.
    """
    if mode == "none" or target.is_symlink() or target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    if mode == "link":
        target.symlink_to(os.path.relpath(picture.resolve(), final.parent.resolve()))
        return
    partial = target.with_name(f".{target.name}.partial")
    shutil.copyfile(picture, partial)
    partial.replace(target)
