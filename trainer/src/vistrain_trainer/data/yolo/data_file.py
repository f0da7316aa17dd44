"""data.yaml: names of the classes, places of the splits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from vistrain_trainer.errors import BadInput

SPLITS = ("train", "val", "test")
DATA_FILES = ("data.yaml", "data.yml")
_OTHER_NAMES = {"val": "validation"}
_POSE = ("kpt_shape", "flip_idx")


@dataclass(frozen=True)
class Part:
    """A folder of pictures, or a text file that lists them."""

    path: Path
    is_list: bool


@dataclass(frozen=True)
class DataFile:
    """What a data.yaml says of detection; its other keys are left alone."""

    path: Path
    root: Path
    """Folder that the splits are relative to."""
    names: tuple[str, ...]
    """In the order of the class index."""
    splits: dict[str, tuple[Part, ...]]


def read_data_file(path: Path) -> DataFile:
    """Read a data.yaml.

    Raises:
        BadInput: it cannot be read, its names are faulty, or a split is not there.
    """
    path = path.absolute()
    content = _parse(path)
    pose = [key for key in _POSE if key in content]
    if pose:
        raise BadInput(
            field=f"{path}: {pose[0]}",
            value=content[pose[0]],
            problem="it describes key points, not boxes",
            remedy="Give a data set of boxes",
        )
    names = _names(content, path)
    root = _root(content, path)
    splits = {}
    for split in SPLITS:
        key = split if content.get(split) is not None else _OTHER_NAMES.get(split, split)
        if content.get(key) is not None:
            splits[split] = _parts(content[key], root, f"{path}: {key}")
    if not splits:
        raise BadInput(
            field=str(path),
            value=", ".join(map(str, content)) or "nothing",
            problem="none of train, val and test is in it",
            remedy="Name the folder of each split's pictures",
        )
    return DataFile(path, root, names, splits)


def encode_data_file(names: Sequence[str], splits: dict[str, str]) -> bytes:
    """A data.yaml; the splits are relative to its own folder."""
    # Without `path` every reader takes the file's own folder, wherever the data set is moved to.
    content = {**splits, "nc": len(names), "names": dict(enumerate(names))}
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True).encode()


def _parse(path: Path) -> dict[Any, Any]:
    try:
        content = yaml.safe_load(path.read_bytes())
    except OSError as error:
        problem = f"it cannot be read: {error.strerror}"
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        problem = f"it is not YAML: {' '.join(str(error).split())}"
    else:
        if isinstance(content, dict):
            return content
        problem = "it is no mapping"
    raise BadInput(field="data.yaml", value=str(path), problem=problem, remedy="Give a YOLO data.yaml")


def _names(content: dict[Any, Any], path: Path) -> tuple[str, ...]:
    given = content.get("names")
    at = f"{path}: names"
    if isinstance(given, dict):
        numbered = {str(number): name for number, name in given.items()}
        wanted = list(map(str, range(len(given))))
        if sorted(numbered) != sorted(wanted):
            raise BadInput(
                field=at, value=list(given), problem="are not numbered 0, 1, …", remedy="Number every class"
            )
        given = [numbered[number] for number in wanted]
    if not isinstance(given, list) or not given:
        raise BadInput(field=at, value=given, problem="is no list of names", remedy="List the class names")
    names = []
    for number, name in enumerate(given):
        if isinstance(name, bool) or not isinstance(name, (str, int, float)):
            raise BadInput(
                field=at, value=name, problem=f"name {number} is no text to YAML", remedy="Put it in quotes"
            )
        names.append(str(name))
    if len(set(names)) != len(names):
        raise BadInput(field=at, value=names, problem="a name comes twice", remedy="Name each class once")
    count = content.get("nc")
    if count is not None and count != len(names):
        raise BadInput(
            field=f"{path}: nc",
            value=count,
            problem=f"names lists {len(names)} classes",
            remedy="Correct nc, or leave it out",
        )
    return tuple(names)


def _root(content: dict[Any, Any], path: Path) -> Path:
    given = content.get("path")
    if given is None or given == "":
        return path.parent
    root = path.parent / str(given)
    if not root.is_dir():
        raise BadInput(
            field=f"{path}: path",
            value=given,
            problem=f"there is no folder {root}",
            remedy="Correct it, or leave it out when the splits are relative to data.yaml",
        )
    return root


def _parts(given: object, root: Path, field: str) -> tuple[Part, ...]:
    entries = given if isinstance(given, list) else [given]
    parts = []
    for entry in entries:
        if not isinstance(entry, str) or not entry:
            raise BadInput(field=field, value=entry, problem="is no path", remedy="Give a folder or a list")
        place = root / entry
        if not place.exists() and entry.startswith("../"):
            # Exports of Roboflow say ../train/images of what lies beside data.yaml.
            place = root / entry.removeprefix("../")
        if not place.exists():
            raise BadInput(
                field=field,
                value=entry,
                problem=f"there is no {root / entry}",
                remedy=f"Give a folder of pictures, or a file that lists them, relative to {root}",
            )
        parts.append(Part(place, place.is_file()))
    if not parts:
        raise BadInput(
            field=field, value=given, problem="names no folder", remedy="Name one, or leave it out"
        )
    return tuple(parts)
