"""Moving of images between the splits of a YOLO data set."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from vistrain_trainer.data.rebalance.files import FileChanges
from vistrain_trainer.data.yolo.data_file import DataFile, Part
from vistrain_trainer.data.yolo.labels import label_of
from vistrain_trainer.data.yolo.reading import listed, pictures_in
from vistrain_trainer.errors import BadInput


def move_images(data: DataFile, pictures: Sequence[Path], source: str, target: str) -> FileChanges:
    """Folders: picture and label file go to the target's; lists: the line goes to the target's list.

    Raises:
        BadInput: one split is a folder and the other a list, or a file of that name is there already.
    """
    changes = FileChanges()
    left = set(pictures)
    for part in data.splits[source]:
        chosen = [path for path in pictures_in(part, data.root) if path in left]
        left -= set(chosen)
        if chosen:
            into = _like(part, data.splits[target], source, target)
            move = _move_lines if part.is_list else _move_files
            move(part, into, chosen, data, changes)
    return changes


def _like(part: Part, targets: Sequence[Part], source: str, target: str) -> Part:
    found = next((other for other in targets if other.is_list == part.is_list), None)
    if found is not None:
        return found
    kinds = ("a list of pictures", "a folder") if part.is_list else ("a folder", "a list of pictures")
    raise BadInput(
        field="--to",
        value=target,
        problem=f"{source} is {kinds[0]} ({part.path}), {target} is {kinds[1]} ({targets[0].path})",
        remedy="Make both folders, or both lists, in data.yaml",
    )


def _move_files(part: Part, into: Part, chosen: Sequence[Path], data: DataFile, changes: FileChanges) -> None:
    labelled = {label_of(path) for path in pictures_in(into, data.root)}
    for picture in chosen:
        place = into.path / picture.relative_to(part.path)
        label = label_of(place)
        # A label file that waits there, without a picture, would become this one's.
        taken = next((path for path in (place, label) if os.path.lexists(path)), None)
        if taken is not None or label in labelled:
            raise BadInput(
                field=str(picture),
                value=str(taken or label),
                problem="there is a file of that name in the other split",
                remedy="Rename one of them, with its labels",
            )
        labelled.add(label)
        for source, target in ((label_of(picture), label), (picture, place)):
            if os.path.lexists(source):  # a picture of background may be without labels
                _require_same_target(source, target)
                changes.moves.append((source, target))


def _require_same_target(source: Path, target: Path) -> None:
    """See that a link still leads to its file from its new place."""
    if source.is_symlink():
        link = source.readlink()
        if os.path.normpath(target.parent / link) != os.path.normpath(source.parent / link):
            raise BadInput(
                field=str(source),
                value=str(link),
                problem=f"the link would lead elsewhere from {target.parent}",
                remedy="Make it an absolute link, or put a copy there",
            )


def _move_lines(part: Part, into: Part, chosen: Sequence[Path], data: DataFile, changes: FileChanges) -> None:
    wanted = set(chosen)
    kept: list[str] = []
    taken: list[str] = []
    for line in part.path.read_bytes().decode().splitlines(keepends=True):
        path = listed(line.strip(), part.path.parent, data.root) if line.strip() else None
        (kept if path not in wanted else taken).append(line)
    before = changes.contents[into.path] if into.path in changes.contents else into.path.read_bytes()
    if before and not before.endswith(b"\n"):
        before += b"\n"
    lines = [_line(line.strip(), part, into, data.root) for line in taken]
    changes.contents[part.path] = "".join(kept).encode()
    changes.contents[into.path] = before + "".join(f"{line}\n" for line in lines).encode()


def _line(line: str, part: Part, into: Part, root: Path) -> str:
    """A line of a list as another list says it."""
    picture = listed(line, part.path.parent, root)
    assert picture is not None
    choices = [line]
    if picture.is_relative_to(into.path.parent):
        choices.append(f"./{picture.relative_to(into.path.parent).as_posix()}")
    return next((text for text in choices if listed(text, into.path.parent, root) == picture), str(picture))
