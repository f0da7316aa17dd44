"""Whether what was written has each scene in one split only."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path, PurePosixPath

import msgspec

from vistrain_trainer.data.nuscenes.options import Layout
from vistrain_trainer.data.nuscenes.release import Release
from vistrain_trainer.errors import BadInput


class _Image(msgspec.Struct):
    scene_token: str


class _Document(msgspec.Struct):
    images: list[_Image]


def require_disjoint(folder: Path, layout: Layout, splits: Iterable[str], release: Release) -> None:
    """Read from the files of a data set which scenes are in its splits.

    Raises:
        BadInput: a scene, by its token, is in two of them.
        OSError: a file cannot be read.
    """
    split_of: dict[str, str] = {}
    tokens = _tokens(release) if layout != "coco" else {}
    for split in splits:
        for scene in sorted(_scenes(folder, layout, split, tokens)):
            other = split_of.setdefault(scene, split)
            if other != split:
                raise BadInput(
                    field="--splits",
                    value=scene,
                    problem=f"the scene of this token is in {other} and in {split}: what is learned from one "
                    "would be judged by it",
                    remedy="leave it in one of them",
                )


def _scenes(folder: Path, layout: Layout, split: str, tokens: dict[str, str]) -> set[str]:
    if layout == "coco":
        content = (folder / "annotations" / f"{split}.json").read_bytes()
        return {image.scene_token for image in msgspec.json.decode(content, type=_Document).images}
    if layout == "yolo":
        return {tokens[path.stem] for path in (folder / "labels" / split).iterdir()}
    return {tokens[_first_token(path)] for path in (folder / split).glob("*/frames.csv")}


def _first_token(path: Path) -> str:
    with path.open() as file:
        file.readline()
        return file.readline().split(",")[1]


def _tokens(release: Release) -> dict[str, str]:
    """Token of the scene by sample_data token, and by the picture's name without suffix."""
    frames = release.frames
    scene = release.samples.scene[frames.sample].tolist()
    of_scene = [each.token for each in release.scenes]
    found = {token.decode(): of_scene[row] for token, row in zip(frames.token.tolist(), scene, strict=True)}
    for name, row in zip(frames.file_name.tolist(), scene, strict=True):
        found[PurePosixPath(name.decode()).stem] = of_scene[row]
    return found
