"""Carrying out of a change so that a kill at any moment can be made good."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from vistrain_trainer.data.digests import file_sha256
from vistrain_trainer.data.rebalance.journal import (
    FORMAT_VERSION,
    JOURNAL,
    Change,
    FileMove,
    Journal,
    encode,
    read_journal,
    unfinished,
)
from vistrain_trainer.engine.files import replace_file, sync_folder, write_durably
from vistrain_trainer.engine.stages import stage
from vistrain_trainer.errors import BadInput

WORK = ".rebalance"
"""Folder beside the journal: contents before and after, by number of the change."""


@contextlib.contextmanager
def alone(home: Path) -> Iterator[None]:
    """Keep other changes of a data set away.

    Raises:
        BadInput: another is at work.
    """
    descriptor = os.open(home, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise BadInput(
            field="DATA",
            value=str(home),
            problem="another command is changing the data set",
            remedy="Wait for it to end",
        ) from None
    finally:
        os.close(descriptor)


def begin(home: Path, change: Change, contents: Sequence[bytes]) -> None:
    """Carry out a change: everything that it needs is written first, then the journal, then it is done.

    Args:
        contents: of each file that the change rewrites, in its order.
    """
    work = _work(home, change)
    shutil.rmtree(work, ignore_errors=True)
    for name in ("before", "after"):
        (work / name).mkdir(parents=True)
    for at, (rewrite, content) in enumerate(zip(change.rewrites, contents, strict=True)):
        write_durably(work / "after" / str(at), content)
        _keep(home / rewrite.path, work / "before" / str(at))
        stage("rebalance.step")
    for folder in (work / "before", work / "after", work, work.parent, home):
        sync_folder(folder)
    _write(home, [*read_journal(home).changes, change])
    finish(home)


def finish(home: Path) -> Change | None:
    """Complete a change that was interrupted, or its undoing; which one, if any.

    Raises:
        BadInput: somebody changed a file of it meanwhile.
    """
    journal = read_journal(home)
    _discard_leftovers(home, journal)
    change = unfinished(journal)
    if change is None:
        return None
    others = [other for other in journal.changes if other.number != change.number]
    if change.state == "applying":
        _forward(home, change)
        _write(home, [*others, msgspec.structs.replace(change, state="applied")])
    else:
        _backward(home, change)
        _write(home, others)
    return change


def undo(home: Path) -> Change:
    """Take back the last change: every file gets the place and the bytes that it had.

    Raises:
        BadInput: there is none, or a file of it has changed since.
    """
    finish(home)
    journal = read_journal(home)
    if not journal.changes:
        raise BadInput(
            field="--undo",
            value=str(home / JOURNAL),
            problem="no rebalancing of this data set is recorded",
            remedy="Name the data set as it was named for the rebalancing",
        )
    *others, last = journal.changes
    _require_unchanged(home, last)
    _write(home, [*others, msgspec.structs.replace(last, state="reverting")])
    finish(home)
    return last


def _forward(home: Path, change: Change) -> None:
    for folder in change.folders:
        (home / folder).mkdir(exist_ok=True)
        stage("rebalance.step")
    for move in change.moves:
        _rename(home, move.source, move.target)
    staged = _work(home, change) / "after"
    for at, rewrite in enumerate(change.rewrites):
        _put(staged / str(at), home / rewrite.path, rewrite.after)
    _sync(home, change)
    shutil.rmtree(staged, ignore_errors=True)
    stage("rebalance.step")


def _backward(home: Path, change: Change) -> None:
    kept = _work(home, change) / "before"
    for at, rewrite in enumerate(change.rewrites):
        _put(kept / str(at), home / rewrite.path, rewrite.before)
    for move in reversed(change.moves):
        _rename(home, move.target, move.source)
    for folder in reversed(change.folders):
        with contextlib.suppress(OSError):  # gone already, or somebody put something there
            (home / folder).rmdir()
        stage("rebalance.step")
    _sync(home, change)
    shutil.rmtree(_work(home, change), ignore_errors=True)
    stage("rebalance.step")
    with contextlib.suppress(OSError):  # there are earlier changes
        (home / WORK).rmdir()
    stage("rebalance.step")


def _rename(home: Path, source: str, target: str) -> None:
    """Once done, doing it again does nothing."""
    here, there = os.path.lexists(home / source), os.path.lexists(home / target)
    if here == there:
        problem = "both are there" if here else "neither is there"
        raise _meddled(home / source, f"a file was to be renamed to {home / target}, and {problem}")
    if here:
        (home / source).rename(home / target)
    stage("rebalance.step")


def _put(prepared: Path, path: Path, digest: str) -> None:
    """Once done, doing it again does nothing."""
    if prepared.exists():
        prepared.replace(path)
    elif not path.is_file() or file_sha256(path) != digest:
        raise _meddled(path, "its new content is gone, and it has another one")
    stage("rebalance.step")


def _require_unchanged(home: Path, change: Change) -> None:
    for move in change.moves:
        problem = _moved_since(home, move)
        if problem:
            raise _changed(home / move.target, problem)
    for rewrite in change.rewrites:
        path = home / rewrite.path
        if not path.is_file() or file_sha256(path) != rewrite.after:
            raise _changed(path, "it is not as the rebalancing left it")
    kept = _work(home, change) / "before"
    for at, rewrite in enumerate(change.rewrites):
        if not (kept / str(at)).is_file() or file_sha256(kept / str(at)) != rewrite.before:
            raise _changed(kept / str(at), f"it is no longer what {rewrite.path} was before")


def _moved_since(home: Path, move: FileMove) -> str:
    if os.path.lexists(home / move.source):
        return f"there is a new file at {home / move.source}, where it was"
    if not (home / move.target).is_file():
        return "it is no longer there"
    return "" if file_sha256(home / move.target) == move.sha256 else "its content is another"


def _changed(path: Path, problem: str) -> BadInput:
    return BadInput(
        field="--undo",
        value=str(path),
        problem=f"{problem}: the data set has changed since the rebalancing",
        remedy="Nothing was touched. Restore the file, or move the samples back by hand",
    )


def _meddled(path: Path, problem: str) -> BadInput:
    return BadInput(
        field=JOURNAL,
        value=str(path),
        problem=f"an interrupted rebalancing cannot be finished: {problem}",
        remedy="Put the file where the journal has it, before or after, and run the command again",
    )


def _keep(path: Path, kept: Path) -> None:
    """A second name keeps the very bytes: the file itself is replaced, never written to."""
    try:
        kept.hardlink_to(path)
    except OSError:  # no second names on this volume
        shutil.copy2(path, kept)


def _write(home: Path, changes: Sequence[Change]) -> None:
    """The journal; none when there is no change, so that a data set is as it was."""
    if changes:
        replace_file(home / JOURNAL, encode(Journal(changes=tuple(changes), format_version=FORMAT_VERSION)))
    else:
        (home / JOURNAL).unlink(missing_ok=True)
        sync_folder(home)
    stage("rebalance.step")


def _discard_leftovers(home: Path, journal: Journal) -> None:
    """What a kill before the journal was written left behind."""
    for path in home.glob(f".{JOURNAL}.*"):
        path.unlink()
    known = {_work(home, change) for change in journal.changes}
    for path in (home / WORK).glob("*"):
        if path not in known:
            shutil.rmtree(path, ignore_errors=True)
    with contextlib.suppress(OSError):
        (home / WORK).rmdir()


def _sync(home: Path, change: Change) -> None:
    paths = [path for move in change.moves for path in (move.source, move.target)]
    paths += [rewrite.path for rewrite in change.rewrites]
    for folder in {(home / path).parent for path in paths}:
        if folder.is_dir():
            sync_folder(folder)


def _work(home: Path, change: Change) -> Path:
    return home / WORK / f"{change.number:04d}"
