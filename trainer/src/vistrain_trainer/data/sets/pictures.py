"""Pictures put into a data set's folder."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Literal

from vistrain_trainer.data.artifact import Making, named

Mode = Literal["none", "link", "copy"]


def place(picture: Path, making: Making, name: str, mode: Literal["link", "copy"]) -> None:
    """Link or copy a picture; one that is there already is left as it is.

    A link is relative, so that it holds when the volume with both is mounted elsewhere.

    Args:
        picture: its absolute path, through no link but those that are to be kept.
        name: of the picture in the data set.

    Raises:
        OSError: it cannot be read or written; it is named.
    """
    target = making.now / name
    if os.path.lexists(target):
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with named(target):
        if mode == "link":
            target.symlink_to(os.path.relpath(picture, (making.resolved / name).parent))
            return
        partial = target.with_name(f".{target.name}.partial")
        shutil.copyfile(picture, partial)
        partial.replace(target)
