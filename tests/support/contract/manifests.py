"""Manifests of the corpus, and changing one value of them."""

from __future__ import annotations

import copy
import functools
from pathlib import Path
from typing import Any

from vistrain_api.manifest import read_yaml

ROOT = Path(__file__).parents[3]
CORPUS = ROOT / "tests" / "contract" / "corpus"
EXAMPLES = sorted((ROOT / "examples").glob("*.yaml"))
VALID = [*sorted((CORPUS / "valid").glob("*.yaml")), *EXAMPLES]

Manifest = dict[str, Any]
Path_ = tuple[str | int, ...]


class Absent:
    """In place of a value: the field is taken away."""

    def __repr__(self) -> str:
        return "absent"


ABSENT = Absent()


def read(path: Path) -> Manifest:
    """The manifest in a file."""
    manifest: Manifest = read_yaml(path.read_text())
    return manifest


@functools.cache
def base() -> Manifest:
    """A valid run that states little; not to be changed in place."""
    return read(CORPUS / "valid" / "minimal.yaml")


@functools.cache
def full() -> Manifest:
    """Every field of the schema with a value that by itself is within bounds; not to be changed in place."""
    return read(CORPUS / "full.yaml")


def steps(field: str) -> Path_:
    """`('spec', 'pod', 'env', 0, 'name')` of `spec.pod.env[0].name`."""
    parts: list[str | int] = []
    for part in field.split("."):
        name, *indices = part.replace("]", "").split("[")
        parts += [name, *map(int, indices)]
    return tuple(parts)


def field_of(path: Path_) -> str:
    """The inverse of `steps`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def get(manifest: Any, path: Path_) -> Any:
    """The value at a path."""
    for part in path:
        manifest = manifest[part]
    return manifest


def changed(manifest: Manifest, path: Path_, value: Any, *, grafted: bool = True) -> Manifest:
    """A copy with one value set or taken away.

    Objects that are missing on the way come from `full()` when `grafted`, else they are made empty.
    """
    result, source = copy.deepcopy(manifest), full()
    target: Any = result
    for part in path[:-1]:
        source = source[part]
        if isinstance(target, dict):
            target = target.setdefault(part, copy.deepcopy(source) if grafted else {})
        else:
            target = target[part]
    if isinstance(value, Absent):
        del target[path[-1]]
    else:
        target[path[-1]] = value
    return result
