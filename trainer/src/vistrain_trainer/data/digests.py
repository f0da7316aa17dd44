"""Digests of files."""

from __future__ import annotations

import hashlib
from pathlib import Path

from vistrain_trainer.errors import BadInput


def file_sha256(path: Path) -> str:
    """sha256 of a file, hexadecimal. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_of(path: Path) -> str:
    """sha256 of a user's file, hexadecimal.

    Raises:
        BadInput: it cannot be read.
    """
    try:
        return file_sha256(path)
    except OSError as error:
        raise BadInput(
            field=str(path),
            value=path.name,
            problem=f"it cannot be read: {error.strerror}",
            remedy="Copy it there, or make it readable",
        ) from error
