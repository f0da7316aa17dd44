"""Which scenes of a release go into which split of a data set."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import yaml

from vistrain_trainer.data.nuscenes.release import Scene
from vistrain_trainer.data.nuscenes.splits import custom_560_140, official
from vistrain_trainer.errors import BadInput

OFFICIAL, CUSTOM = "official", "custom-560-140"
_RESERVED = "reserved"
_FIELD = "--splits"
_TRAINVAL = "v1.0-trainval"


@dataclass(frozen=True)
class SceneLists:
    """Names of scenes by split, whether the release has them or not."""

    name: str
    """official, custom-560-140, or the name of a file."""
    scenes: Mapping[str, tuple[str, ...]]
    reserved: tuple[str, ...] = ()
    """Splits that are held back for judging."""


@dataclass(frozen=True)
class PresentScenes:
    """The scenes of a release by split."""

    name: str
    """Of the lists."""
    scenes: dict[str, tuple[int, ...]]
    """Rows of `Release.scenes`, ascending; no split is empty."""
    reserved: frozenset[str]
    notes: tuple[str, ...]
    """How many scenes are not there, or in no split."""


def read_lists(given: str, version: str) -> SceneLists:
    """The lists of a name, or of a JSON or YAML file: {split: [scene names], …, reserved: [splits]}.

    Raises:
        BadInput: there is no such name or file, the file is of another form, a scene comes twice, or the
            lists are of another version.
    """
    if given == OFFICIAL:
        return SceneLists(given, official(version))
    if given != CUSTOM:
        return _read_file(Path(given))
    if version != _TRAINVAL:
        _refuse(
            given, f"it is a cut of {_TRAINVAL}, and this is {version}", f"say {OFFICIAL}, or name a file"
        )
    return SceneLists(given, custom_560_140(), reserved=("test",))


def present(lists: SceneLists, scenes: Sequence[Scene], version: str) -> PresentScenes:
    """The lists, without what the release lacks.

    Raises:
        BadInput: a scene is neither in the release nor in its version's official lists, or none is there.
    """
    rows = {scene.name: row for row, scene in enumerate(scenes)}
    found: dict[str, tuple[int, ...]] = {}
    notes = []
    for split, names in lists.scenes.items():
        here = tuple(sorted(rows[name] for name in names if name in rows))
        if len(here) < len(names):
            _require_known(lists, split, rows.keys(), version)
            notes.append(f"{split}: the release has {len(here) or 'none'} of its {len(names)} scenes")
        if here:
            found[split] = here
    listed = {row for here in found.values() for row in here}
    if not listed:
        _refuse(
            lists.name, "none of its scenes is in the release", "choose splits of the scenes that are there"
        )
    if len(listed) < len(scenes):
        notes.append(f"{len(scenes) - len(listed)} scenes of the release are in no split")
    return PresentScenes(lists.name, found, frozenset(lists.reserved) & found.keys(), tuple(notes))


def _require_known(lists: SceneLists, split: str, present: Collection[str], version: str) -> None:
    known = {*present}
    if lists.name not in (OFFICIAL, CUSTOM):
        with contextlib.suppress(BadInput):  # a version of one's own
            known.update(*official(version).values())
        unknown = [name for name in lists.scenes[split] if name not in known]
        if unknown:
            problem = f"{unknown[0]}, in {split}, is no scene of {version}"
            _refuse(lists.name, problem, "correct its name; it is like scene-0061")


def _read_file(path: Path) -> SceneLists:
    try:
        read = json.loads if path.suffix == ".json" else yaml.safe_load
        content = read(path.read_bytes())
    except FileNotFoundError:
        _refuse(
            str(path), "there is no such file", f"say {OFFICIAL} or {CUSTOM}, or name a JSON or YAML file"
        )
    except OSError as error:
        _refuse(str(path), f"it cannot be read: {error.strerror}", "name a file that can be read")
    except (yaml.YAMLError, ValueError) as error:
        _refuse(str(path), f"it is not JSON or YAML: {' '.join(str(error).split())}", _FORM)
    if not isinstance(content, dict):
        _refuse(str(path), "it is no mapping", _FORM)
    lists = {key: _names(path, key, value) for key, value in content.items()}
    reserved = lists.pop(_RESERVED, ())
    unknown = [split for split in reserved if split not in lists]
    if unknown:
        _refuse(str(path), f"{_RESERVED} names {unknown[0]}, which is no split of it", _FORM)
    _require_once(path, lists)
    return SceneLists(path.name, lists, reserved)


_FORM = "write {train: [scene-0061, …], val: […], test: […], reserved: [test]}"


def _names(path: Path, key: object, value: object) -> tuple[str, ...]:
    if not isinstance(key, str) or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}", key):
        _refuse(str(path), f"{key!r} is no name for a split: letters, digits, - and _", _FORM)
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        _refuse(str(path), f"{key} is no list of names", _FORM)
    return tuple(value)


def _require_once(path: Path, lists: Mapping[str, Sequence[str]]) -> None:
    split_of: dict[str, str] = {}
    for split, name in _pairs(lists):
        other = split_of.setdefault(name, split)
        if other != split:
            problem = f"{name} is in {other} and in {split}: what is learned from one would be judged by it"
            _refuse(str(path), problem, "leave it in one of them")
    repeated = next((split for split, names in lists.items() if len(set(names)) < len(names)), None)
    if repeated is not None:
        _refuse(str(path), f"a scene is in {repeated} twice", "name each once")


def _pairs(lists: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, str]]:
    return ((split, name) for split, names in lists.items() for name in names)


def _refuse(value: str, problem: str, remedy: str) -> NoReturn:
    raise BadInput(field=_FIELD, value=value, problem=problem, remedy=remedy)
