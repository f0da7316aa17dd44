"""Options and arguments that several commands of `vistrain prepare` have, each in one wording."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer


class Polygons(StrEnum):
    """What is done about polygons among boxes."""

    refuse = "refuse"
    to_boxes = "to-boxes"


class Duplicates(StrEnum):
    """What is done about boxes that come twice."""

    refuse = "refuse"
    drop = "drop"


Data = Annotated[
    list[str],
    typer.Argument(
        metavar="DATA...",
        help="data.yaml, prepared folder, or COCO annotation files (train.json, or train=FILE).",
        show_default=False,
    ),
]
Images = Annotated[
    list[str] | None,
    typer.Option(
        "--images",
        metavar="DIR",
        help="Folder of COCO's pictures, or SPLIT=DIR; by default images/ beside annotations/.",
        show_default=False,
    ),
]


def names(text: str) -> tuple[str, ...]:
    """Names with commas between."""
    return tuple(name.strip() for name in text.split(",") if name.strip())
