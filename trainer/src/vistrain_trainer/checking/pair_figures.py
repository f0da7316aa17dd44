"""Figures of the pairs of an annotation and a camera: how many of them the cameras see."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from vistrain_trainer.checking import catalogue
from vistrain_trainer.checking.bounds import Bound
from vistrain_trainer.checking.content import Content
from vistrain_trainer.checking.figure import ALL, Figure
from vistrain_trainer.data.classes import PRESETS
from vistrain_trainer.data.manifest import DatasetManifest

EXPECTED = Bound(min=0.12, max=0.18)
"""Around the 15 to 16 % of all pairs that are visible and of a class in the whole of v1.0-trainval, with six
cameras and the classes of nuscenes-tracking."""
_CAMERAS, _SCENES = 6, 850
_OUTSIDE, _OTHER, _HIDDEN = "outsideThePicture", "otherClass", "visibility"
_UNSEEN = (_OUTSIDE, "lineOrPoint", "under1Pixel")
_REPEATED = "sameAsAnother"


def pair_figures(content: Content, kept: int, dropped: Mapping[str, int]) -> Iterator[Figure]:
    """Both of them; none where it is not known which pairs there were.

    Args:
        kept: boxes that are in the data set.
        dropped: boxes that are not, by reason; each is of one annotation and one picture.
    """
    seen = kept + dropped.get(_REPEATED, 0)
    unseen = sum(dropped.get(reason, 0) for reason in _UNSEEN)
    if _OUTSIDE not in dropped or seen + unseen == 0:
        return
    everything = seen + unseen + dropped.get(_OTHER, 0) + dropped.get(_HIDDEN, 0)
    bound = EXPECTED if _is_whole(content.manifest) else None
    yield Figure(catalogue.VISIBLE_SHARE, {ALL: seen / everything}, bound)
    yield Figure(catalogue.SEEN_SHARE, {ALL: seen / (seen + unseen)})


def _is_whole(manifest: DatasetManifest) -> bool:
    """Whether the expected share is of just such a data set."""
    scenes = sum(len(record.scenes) for record in manifest.splits.values())
    return (
        manifest.source.version == "v1.0-trainval"
        and scenes == _SCENES
        and len(manifest.cameras) == _CAMERAS
        and not manifest.visibility
        and set(manifest.classes) == set(PRESETS["nuscenes-tracking"])
    )
