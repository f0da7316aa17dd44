"""Moving of images between the annotation files of a COCO data set."""

from __future__ import annotations

import json
import os
from collections.abc import Collection
from itertools import count
from typing import Any

from vistrain_trainer.data import coco_file
from vistrain_trainer.data.rebalance.files import FileChanges
from vistrain_trainer.data.sets.stated import CocoFile
from vistrain_trainer.errors import BadInput


def move_images(files: dict[str, CocoFile], images: Collection[int], source: str, target: str) -> FileChanges:
    """Records go from one file to the other; ids stay where the other has them free.

    Pictures follow where the splits have folders of their own.

    Args:
        images: ids of the images that are moved.

    Raises:
        BadInput: a picture of that name is there already.
    """
    old, new = (coco_file.read_document(files[name].path, name) for name in (source, target))
    changes = FileChanges()
    chosen = set(images)
    image_ids = _FreeIds(new["images"], old["images"])
    annotation_ids = _FreeIds(new["annotations"], old["annotations"])
    categories = _categories(old, new)
    moved: dict[int, int] = {}
    for record in _taken(old, "images", lambda record: record["id"] in chosen):
        moved[record["id"]] = image_ids.give(record["id"])
        new["images"].append({**record, "id": moved[record["id"]]})
        _move_picture(files[source], files[target], record["file_name"], changes)
    for record in _taken(old, "annotations", lambda record: record["image_id"] in chosen):
        new["annotations"].append(
            {
                **record,
                "id": annotation_ids.give(record.get("id")),
                "image_id": moved[record["image_id"]],
                "category_id": categories[record["category_id"]],
            }
        )
    changes.renumbered = image_ids.renumbered + annotation_ids.renumbered
    changes.contents = {files[source].path: _encode(old), files[target].path: _encode(new)}
    return changes


class _FreeIds:
    """Ids that records of a file do not have yet; fresh ones are those that the other file has not either."""

    def __init__(self, records: list[dict[str, Any]], others: list[dict[str, Any]]) -> None:
        self._taken = {record.get("id") for record in records}
        known = self._taken | {record.get("id") for record in others}
        whole = [number for number in known if isinstance(number, int)]
        self._fresh = count(max(whole, default=0) + 1)
        self.renumbered = 0

    def give(self, wanted: object) -> Any:
        """The id itself where it is free, or else a fresh one."""
        given = wanted
        while given in self._taken:
            given = next(self._fresh)
        self.renumbered += given != wanted
        self._taken.add(given)
        return given


def _taken(document: dict[str, Any], key: str, is_chosen: Any) -> list[dict[str, Any]]:
    """Records that are taken out of a list."""
    chosen = [record for record in document[key] if is_chosen(record)]
    document[key] = [record for record in document[key] if not is_chosen(record)]
    return chosen


def _categories(old: dict[str, Any], new: dict[str, Any]) -> dict[int, int]:
    """The other file's category id of each of one's own, by name."""
    by_name = {category["name"]: category["id"] for category in new["categories"]}
    return {category["id"]: by_name[category["name"]] for category in old["categories"]}


def _move_picture(source: CocoFile, target: CocoFile, name: str, changes: FileChanges) -> None:
    if source.pictures is None or target.pictures is None or source.pictures == target.pictures:
        return
    place = target.pictures / name
    if os.path.lexists(place):
        raise BadInput(
            field=str(source.pictures / name),
            value=str(place),
            problem="there is a picture of that name in the other split",
            remedy="Rename one of them, in its record too",
        )
    changes.moves.append((source.pictures / name, place))


def _encode(document: dict[str, Any]) -> bytes:
    return (json.dumps(document, separators=(",", ":"), ensure_ascii=False) + "\n").encode()
