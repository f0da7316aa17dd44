"""Folders compared byte for byte."""

from __future__ import annotations

from pathlib import Path


def snapshot(folder: Path) -> dict[str, bytes | str | None]:
    """Every entry by its path: a file's content, a link's target, none for a folder."""

    def content(path: Path) -> bytes | str | None:
        if path.is_symlink():
            return str(path.readlink())
        return path.read_bytes() if path.is_file() else None

    return {path.relative_to(folder).as_posix(): content(path) for path in sorted(folder.rglob("*"))}
