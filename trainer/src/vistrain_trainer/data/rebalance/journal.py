"""The journal beside a data set: which samples were moved, so that it can be undone."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from vistrain_trainer.errors import BadInput

JOURNAL = "rebalance.json"
FORMAT_VERSION = 1


class _Record(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    pass


class ClassCounts(_Record, frozen=True, kw_only=True):
    """A class in a split."""

    instances: int
    images: int


class SplitCounts(_Record, frozen=True, kw_only=True):
    """A split before or after a change."""

    images: int
    annotations: int
    per_class: dict[str, ClassCounts]
    digest: str
    """sha256 over its images and boxes, hexadecimal."""


class MovedImage(_Record, frozen=True, kw_only=True):
    """An image that changed its split."""

    name: str
    """As it was called before."""
    instances: int
    """Boxes of the class that the change is about."""
    group: int | None = None
    """Number of the group of near-duplicates, or of the scene, that it moved with; none when alone."""


class FileMove(_Record, frozen=True, kw_only=True):
    """A file that has another place now; paths are relative to the journal."""

    source: str
    target: str
    sha256: str


class FileRewrite(_Record, frozen=True, kw_only=True):
    """A file that has another content now."""

    path: str
    before: str
    """sha256, hexadecimal."""
    after: str


class Change(_Record, frozen=True, kw_only=True):
    """One rebalancing."""

    number: int
    """From 1."""
    state: Literal["applying", "applied", "reverting"]
    """applying and reverting: the next command finishes it."""
    command: str
    """The command that does the same to the same data set, but for folders."""
    version: str
    """Of vistrain-trainer."""
    class_name: str
    unit: Literal["images", "instances"]
    count: int
    seed: int
    source: str
    """Split that samples were taken from."""
    target: str
    keep_together: int | None
    """Greatest Hamming distance of perceptual hashes within a group; none when pictures were not compared."""
    before: dict[str, SplitCounts]
    after: dict[str, SplitCounts]
    moved: tuple[MovedImage, ...]
    renumbered: int = 0
    """COCO: images and annotations whose id was taken in the target, and which have a new one."""
    straddling: int
    """Groups with members in both splits that were left so."""
    moves: tuple[FileMove, ...]
    rewrites: tuple[FileRewrite, ...]
    folders: tuple[str, ...]
    """Folders that were made for it."""


class Journal(_Record, frozen=True, kw_only=True):
    """The changes of a data set, oldest first; only the last can be unfinished."""

    changes: tuple[Change, ...]
    format_version: int


def read_journal(home: Path) -> Journal:
    """The journal of a data set, empty when there is none.

    Raises:
        BadInput: it cannot be read, or is of another version.
    """
    path = home / JOURNAL
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Journal)
        if found.format_version == FORMAT_VERSION:
            return found
        problem = f"it is of format version {found.format_version}; this Vistrain reads {FORMAT_VERSION}"
    except FileNotFoundError:
        return Journal(changes=(), format_version=FORMAT_VERSION)
    except OSError as error:
        problem = f"it cannot be read: {error.strerror}"
    except msgspec.MsgspecError as error:
        problem = f"it is no journal of rebalancing: {error}"
    raise BadInput(
        field=JOURNAL,
        value=str(path),
        problem=problem,
        remedy="Restore it; if another program wrote it, give it another name",
    )


def encode(journal: Journal) -> bytes:
    """The journal as it is written."""
    return msgspec.json.format(msgspec.json.encode(journal), indent=2) + b"\n"


def unfinished(journal: Journal) -> Change | None:
    """The change that was interrupted."""
    return next((change for change in journal.changes if change.state != "applied"), None)


def require_settled(home: Path) -> None:
    """See that no change of a data set is half made.

    Raises:
        BadInput: one is.
    """
    change = unfinished(read_journal(home))
    if change is not None:
        raise BadInput(
            field=JOURNAL,
            value=str(home / JOURNAL),
            problem=f"moving samples of {change.class_name} from {change.source} to {change.target} was "
            "interrupted, so that splits are neither as before nor as they will be",
            remedy="Run `vistrain prepare rebalance` on the data set with --finish, or with --undo",
        )
