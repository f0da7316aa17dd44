"""Rebalancing of a data set: read, choose, change."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from vistrain_trainer.data.digests import file_sha256
from vistrain_trainer.data.manifest import MANIFEST, encode
from vistrain_trainer.data.progress import Progress, silent
from vistrain_trainer.data.rebalance import coco_files, transaction, yolo_files
from vistrain_trainer.data.rebalance.choice import Choice, choose_images
from vistrain_trainer.data.rebalance.counting import apart, count_split, together
from vistrain_trainer.data.rebalance.files import FileChanges
from vistrain_trainer.data.rebalance.journal import (
    Change,
    FileMove,
    FileRewrite,
    MovedImage,
    read_journal,
)
from vistrain_trainer.data.rebalance.manifests import updated
from vistrain_trainer.data.rebalance.options import RebalanceOptions
from vistrain_trainer.data.sets.opening import home_of, open_set
from vistrain_trainer.data.sets.stated import DetectionSet, StatedSplit
from vistrain_trainer.data.yolo.data_file import DataFile
from vistrain_trainer.data.yolo.labels import Leniency
from vistrain_trainer.errors import BadInput


@dataclass(frozen=True)
class Plan:
    """A change that is decided and not yet made."""

    home: Path
    change: Change
    contents: tuple[bytes, ...]
    """Of each file that the change rewrites."""

    def carry_out(self) -> None:
        """Make the change. Raises OSError when the volume fails; the next command finishes it then."""
        transaction.begin(self.home, self.change, self.contents)


def plan(
    data: Sequence[str],
    options: RebalanceOptions,
    images: Sequence[str] = (),
    progress: Progress = silent,
) -> Plan:
    """Read a data set and decide what is moved; nothing is written.

    Args:
        data: as `open_set` takes it.
        images: folders of COCO's pictures.

    Raises:
        BadInput: the data set is faulty, or the change is impossible.
    """
    leniency = Leniency(polygons="to-boxes", duplicates="keep")
    found = open_set(data, images, leniency=leniency, progress=progress)
    choice = choose_images(found, options, progress)
    changes = _file_changes(found, options, choice)
    names = _names_after(found, options, choice, changes)
    source, target = found.splits[options.source], found.splits[options.target]
    left, moved = apart(source, choice.moved)
    after = {options.source: left, options.target: together(target, moved, names)}
    _update_manifest(found, options, after, moved, changes)
    numbers = [change.number for change in read_journal(found.home).changes]
    change = Change(
        number=max(numbers, default=0) + 1,
        state="applying",
        command=options.command(),
        version=version("vistrain-trainer"),
        class_name=options.class_name,
        unit=options.unit,
        count=options.count,
        seed=options.seed,
        source=options.source,
        target=options.target,
        keep_together=options.keep_together,
        before={name: count_split(found.splits[name], found.classes) for name in after},
        after={name: count_split(split, found.classes) for name, split in after.items()},
        moved=_moved_images(source, choice),
        renumbered=changes.renumbered,
        straddling=choice.straddling,
        moves=_moves(found.home, changes),
        rewrites=tuple(
            FileRewrite(path=_relative(path, found.home), before=file_sha256(path), after=_sha256(content))
            for path, content in changes.contents.items()
        ),
        folders=_new_folders(found.home, changes),
    )
    return Plan(found.home, change, tuple(changes.contents.values()))


def rebalance(
    data: Sequence[str],
    options: RebalanceOptions,
    images: Sequence[str] = (),
    progress: Progress = silent,
) -> Change:
    """Move samples of a class from one split to another; an interrupted change is finished first.

    Raises:
        BadInput: the data set is faulty, or the change is impossible; nothing is touched then.
        OSError: the volume failed; the next command finishes what was begun.
    """
    home = home_of(data)
    with transaction.alone(home):
        transaction.finish(home)
        decided = plan(data, options, images, progress)
        decided.carry_out()
    return read_journal(home).changes[-1]


def undo(data: Sequence[str]) -> Change:
    """Take back the last change of a data set.

    Raises:
        BadInput: there is none, or a file of it has changed since.
    """
    home = home_of(data)
    with transaction.alone(home):
        return transaction.undo(home)


def finish(data: Sequence[str]) -> Change | None:
    """Complete an interrupted change of a data set; which one, if any.

    Raises:
        BadInput: somebody changed a file of it meanwhile.
    """
    home = home_of(data)
    with transaction.alone(home):
        return transaction.finish(home)


def _file_changes(found: DetectionSet, options: RebalanceOptions, choice: Choice) -> FileChanges:
    source = found.splits[options.source]
    if isinstance(found.source, DataFile):
        pictures = [source.paths[at] for at in choice.moved]
        return yolo_files.move_images(found.source, pictures, options.source, options.target)
    ids = {source.images[at].id for at in choice.moved}
    return coco_files.move_images(found.source, ids, options.source, options.target)


def _names_after(
    found: DetectionSet, options: RebalanceOptions, choice: Choice, changes: FileChanges
) -> list[str]:
    """What the moved images are called in their new split."""
    source = found.splits[options.source]
    if not isinstance(found.source, DataFile):
        return [source.images[at].file_name for at in choice.moved]
    places = dict(changes.moves)
    base = str(source.paths[0]).removesuffix(source.images[0].file_name)
    paths = (places.get(source.paths[at], source.paths[at]) for at in choice.moved)
    return [path.relative_to(base).as_posix() for path in paths]


def _update_manifest(
    found: DetectionSet,
    options: RebalanceOptions,
    after: dict[str, StatedSplit],
    moved: StatedSplit,
    changes: FileChanges,
) -> None:
    if found.manifest is None:
        return
    home = found.home
    manifest = updated(
        found.manifest,
        options,
        after,
        set(moved.scenes),
        {_relative(source, home): _relative(target, home) for source, target in changes.moves},
        {_relative(path, home): _sha256(content) for path, content in changes.contents.items()},
    )
    changes.contents[home / MANIFEST] = encode(manifest)


def _moved_images(source: StatedSplit, choice: Choice) -> tuple[MovedImage, ...]:
    return tuple(
        MovedImage(name=source.images[at].file_name, instances=boxes, group=group if shared else None)
        for at, boxes, group, shared in zip(
            choice.moved.tolist(),
            choice.instances.tolist(),
            choice.group.tolist(),
            choice.shared.tolist(),
            strict=True,
        )
    )


def _moves(home: Path, changes: FileChanges) -> tuple[FileMove, ...]:
    for source, target in changes.moves:
        _require_one_volume(source, target)
    return tuple(
        FileMove(
            source=_relative(source, home),
            target=_relative(target, home),
            sha256=file_sha256(source),
        )
        for source, target in changes.moves
    )


def _require_one_volume(source: Path, target: Path) -> None:
    there = next(folder for folder in target.parents if folder.exists())
    if source.lstat().st_dev != there.stat().st_dev:
        raise BadInput(
            field=str(source),
            value=str(target),
            problem="the folders of the splits are on two volumes, where no file can be renamed",
            remedy="Put both on one volume",
        )


def _new_folders(home: Path, changes: FileChanges) -> tuple[str, ...]:
    """Folders that are to be made, each after the one that it is in."""
    missing = {folder for _, target in changes.moves for folder in target.parents if not folder.exists()}
    return tuple(_relative(folder, home) for folder in sorted(missing))


def _relative(path: Path, home: Path) -> str:
    return Path(os.path.relpath(path, home)).as_posix()


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
