"""Digests of files."""

from __future__ import annotations

import hashlib
from pathlib import Path

from vistrain_trainer.errors import BadInput


def sha256_of(path: Path) -> str:
    """sha256 of a file, hexadecimal.

    Raises:
        BadInput: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise BadInput(
            field=str(path),
            value=path.name,
            problem=f"it cannot be read: {error.strerror}",
            remedy="Copy it there, or make it readable",
        ) from error
