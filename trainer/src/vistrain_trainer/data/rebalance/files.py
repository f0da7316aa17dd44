"""What of a data set's files a change is."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class FileChanges:
    """Files that get another place, or another content."""

    moves: list[tuple[Path, Path]] = field(default_factory=list)
    """From and to."""
    contents: dict[Path, bytes] = field(default_factory=dict)
    """New contents of files that are there."""
    renumbered: int = 0
    """Records that got a new id."""
