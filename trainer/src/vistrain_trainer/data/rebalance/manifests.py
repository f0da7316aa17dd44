"""The manifest of a data set whose images changed their split."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import msgspec

from vistrain_trainer.data.manifest import DatasetManifest, SceneRef, SplitRecord, digest_of
from vistrain_trainer.data.rebalance.options import RebalanceOptions
from vistrain_trainer.data.sets.counts import counts_of
from vistrain_trainer.data.sets.stated import StatedSplit

_PICTURES = "images"
"""What the pictures' own digest is called among those of the files."""


def updated(
    manifest: DatasetManifest,
    options: RebalanceOptions,
    splits: Mapping[str, StatedSplit],
    moved_scenes: Collection[str],
    renamed: Mapping[str, str],
    digests: Mapping[str, str],
) -> DatasetManifest:
    """The manifest with other counts, scenes, files and digest.

    Args:
        splits: the source and the target as they will be.
        moved_scenes: tokens or names of the scenes that were moved.
        renamed: new path of each file that moved, by old path, relative to the manifest.
        digests: sha256 of each file with a new content.
    """
    files = {renamed.get(name, name): digest for name, digest in manifest.files.items()}
    files |= {name: digest for name, digest in digests.items() if name in files}
    pictures = {_PICTURES: manifest.pictures.digest} if manifest.pictures.digest else {}
    records = dict(manifest.splits)
    scenes = {name: records[name].scenes for name in splits if name in records}
    if scenes.keys() == splits.keys():
        scenes = _moved(scenes, options, moved_scenes)
    for name, split in splits.items():
        if name in records:
            counts = counts_of(split, manifest.classes, records[name].counts)
            records[name] = SplitRecord(counts=counts, scenes=scenes[name], reserved=records[name].reserved)
    return msgspec.structs.replace(
        manifest,
        files=files,
        digest=digest_of({**files, **pictures}),
        splits=records,
        notes=(*manifest.notes, f"rebalanced by `{options.command()}`"),
    )


def _moved(
    scenes: Mapping[str, Sequence[SceneRef]], options: RebalanceOptions, moved: Collection[str]
) -> dict[str, tuple[SceneRef, ...]]:
    going = [scene for scene in scenes[options.source] if {scene.name, scene.token} & set(moved)]
    staying = [scene for scene in scenes[options.source] if scene not in going]
    target = sorted({*scenes[options.target], *going}, key=lambda scene: scene.name)
    return {options.source: tuple(staying), options.target: tuple(target)}
