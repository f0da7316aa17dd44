"""The scenes of a volume that are held back for judging, and how a picture of one is known."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from vistrain_trainer.data.volume_manifests import FoundManifest


@dataclass(frozen=True)
class HeldBack:
    """A scene that is held back."""

    token: str
    name: str
    manifest: Path
    """The manifest that says so."""


class Reserve:
    """The scenes that some manifests hold back.

    A picture is of such a scene when its own scene token says so. Otherwise its names tell: the base name of
    its file, and the token of its sample. Since two data sets may have files of equal names, a picture whose
    scene some manifest lists is judged by that one; any other is judged by all.
    """

    def __init__(self, manifests: Sequence[FoundManifest]) -> None:
        self._manifests = tuple(one for one in manifests if one.reserve)
        self._listing: dict[str, list[FoundManifest]] = {}
        for one in manifests:
            for token in one.scenes:
                self._listing.setdefault(token, []).append(one)

    def __bool__(self) -> bool:
        return bool(self._manifests)

    def by_token(self, scene: str) -> HeldBack | None:
        """The scene of a token, when it is held back."""
        return next((_held(one, scene) for one in self._manifests if scene in one.reserve), None)

    def by_name(self, scene: str, names: Iterable[str]) -> HeldBack | None:
        """The scene that a picture of these names is of, when it is held back.

        Args:
            scene: token that is stated of the picture; empty when none is.
            names: base name, sample token.

        Raises:
            BadInput: it is not known which pictures are held back.
        """
        judges = self._listing.get(scene, self._manifests)
        for name in names:
            for one in judges:
                token = one.reserved_pictures.get(name)
                if token is not None:
                    return _held(one, token)
        return None


def _held(one: FoundManifest, token: str) -> HeldBack:
    scene = one.scenes.get(token)
    return HeldBack(token, token if scene is None else scene.name, one.path)
