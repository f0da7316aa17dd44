"""Figures of the scenes: which split they are in, and whether they may be there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath

from vistrain_trainer.checking import catalogue
from vistrain_trainer.checking.bounds import NOTHING
from vistrain_trainer.checking.content import Content, Split
from vistrain_trainer.checking.figure import ALL, NAMED, Figure, Kind
from vistrain_trainer.data.volume_manifests import FoundManifest

_NO_SCENE = ""


def scene_figures(content: Content) -> Iterator[Figure]:
    """All of them; those that need scenes only where pictures or manifest tell them."""
    tokens = {
        name: {scene.token for scene in record.scenes} for name, record in content.manifest.splits.items()
    }
    found = {name: _scenes(content, split) or tokens[name] for name, split in content.splits.items()}
    if any(found.values()):
        yield _shared(content, found)
    found_manifest = FoundManifest(content.manifest_path, content.manifest)
    if found_manifest.reserve:
        yield _reserved(content, found, found_manifest)
    if any(tokens.values()):
        foreign = {name: sorted(found[name] - tokens[name]) for name in content.splits}
        yield _figure(content, catalogue.FOREIGN_SCENES, foreign)


def _scenes(content: Content, split: Split) -> set[str]:
    """Tokens of a split's scenes; the names of those whose token is not known."""
    by_name = {
        scene.name: scene.token for record in content.manifest.splits.values() for scene in record.scenes
    }
    known = (one.token or by_name.get(one.scene, one.scene) for one in split.sequences)
    return {scene for scene in known if scene != _NO_SCENE}


def _shared(content: Content, found: dict[str, set[str]]) -> Figure:
    splits_of: dict[str, list[str]] = {}
    for name, scenes in found.items():
        for scene in scenes:
            splits_of.setdefault(scene, []).append(name)
    shared = sorted(scene for scene, splits in splits_of.items() if len(splits) > 1)
    places = tuple(f"{_name(content, scene)} in {' and '.join(splits_of[scene])}" for scene in shared[:NAMED])
    return Figure(
        catalogue.SHARED_SCENES, {ALL: float(len(shared))}, NOTHING, {ALL: places} if places else {}
    )


def _reserved(content: Content, found: dict[str, set[str]], manifest: FoundManifest) -> Figure:
    held = {}
    for name, split in content.splits.items():
        if content.manifest.splits[name].reserved:
            continue
        named = {PurePosixPath(picture).name for picture in split.frames.name}
        by_name = {token for picture, token in manifest.reserved_pictures.items() if picture in named}
        held[name] = sorted((found[name] & manifest.reserve) | by_name)
    return _figure(content, catalogue.RESERVED_SCENES, held)


def _figure(content: Content, kind: Kind, scenes: dict[str, list[str]]) -> Figure:
    return Figure(
        kind,
        {name: float(len(these)) for name, these in scenes.items()},
        NOTHING,
        {
            name: tuple(_name(content, one) for one in these[:NAMED])
            for name, these in scenes.items()
            if these
        },
    )


def _name(content: Content, token: str) -> str:
    """A scene's name with its token, where the manifest or the pictures know it."""
    names = {one.token: one.scene for split in content.splits.values() for one in split.sequences}
    names |= {one.token: one.name for record in content.manifest.splits.values() for one in record.scenes}
    return f"{names[token]} ({token})" if names.get(token) else token
