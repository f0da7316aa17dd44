"""What is known of a data set before it is made: by it the same is told from another."""

from __future__ import annotations

from importlib.metadata import version

import msgspec
import numpy as np

from vistrain_trainer.data.manifest import (
    Counts,
    DatasetManifest,
    ImageSize,
    Pictures,
    SceneRef,
    Source,
    SplitRecord,
)
from vistrain_trainer.data.nuscenes.options import RATES, Layout, PrepareOptions
from vistrain_trainer.data.nuscenes.pictures import FOLDER
from vistrain_trainer.data.nuscenes.release import Release
from vistrain_trainer.data.nuscenes.scene_boxes import BoxSource
from vistrain_trainer.data.nuscenes.scene_lists import PresentScenes

_UNKNOWN = Counts(images=0, annotations=0, per_class={})


def heading(
    options: PrepareOptions, layout: Layout, release: Release, scenes: PresentScenes, source: BoxSource
) -> DatasetManifest:
    """A manifest without counts, digests and notes."""
    splits = {
        name: SplitRecord(
            counts=_UNKNOWN,
            scenes=tuple(
                SceneRef(name=release.scenes[row].name, token=release.scenes[row].token) for row in rows
            ),
            reserved=name in scenes.reserved,
        )
        for name, rows in scenes.scenes.items()
    }
    return DatasetManifest(
        format=layout,
        command=options.command(layout, release.version, release.cameras),
        version=version("vistrain-trainer"),
        source=Source(kind="nuscenes", version=release.version, digest=release.digest),
        classes=options.classes,
        splits=splits,
        pictures=_pictures(options, layout),
        digest="",
        cameras=release.cameras,
        split_lists=scenes.name,
        fps=float(RATES[source.sweeps]),
        sweeps=source.sweeps,
        visibility=options.bins,
        projection=options.projection,
        image_size=_image_size(scenes, source),
    )


def heading_of(manifest: DatasetManifest) -> DatasetManifest:
    """The heading of a data set that is made."""
    return msgspec.structs.replace(
        manifest,
        splits={
            name: msgspec.structs.replace(record, counts=_UNKNOWN) for name, record in manifest.splits.items()
        },
        digest="",
        frame_interval=None,
        dropped={},
        notes=(),
        files={},
    )


def _pictures(options: PrepareOptions, layout: Layout) -> Pictures:
    if options.pictures == "none":
        return Pictures(mode="none", root=str(options.root.absolute()))
    return Pictures(mode=options.pictures, root="." if layout == "mot" else FOLDER)


def _image_size(scenes: PresentScenes, source: BoxSource) -> ImageSize | None:
    """The size of all pictures; None where they differ."""
    rows = np.concatenate([source.all_frames(row) for rows in scenes.scenes.values() for row in rows])
    sizes = np.unique(source.release.frames.size[rows], axis=0).tolist()
    return ImageSize(width=sizes[0][0], height=sizes[0][1]) if len(sizes) == 1 else None
