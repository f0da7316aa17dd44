"""The pictures of a scene of a release, as its tables name them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import simplejpeg

from vistrain_trainer.data.randomness import Purpose, generator
from vistrain_trainer.data.world.calibration import Calibration
from vistrain_trainer.data.world.coco import QUALITY
from vistrain_trainer.data.world.projection import View
from vistrain_trainer.data.world.renderer import render
from vistrain_trainer.data.world.scene_tables import Shot
from vistrain_trainer.data.world.stage import Stage


def write_pictures(
    folder: Path,
    stage: Stage,
    calibrations: Iterable[Calibration],
    shots: Iterable[Shot],
    seed: int,
    *,
    size: tuple[int, int],
) -> Iterator[tuple[str, str]]:
    """Render shots and write them under a folder; yields name and sha256 of each when written.

    Args:
        calibrations: of the cameras at least.
        size: height, width in pixels.
    """
    height, width = size
    cameras = {one.channel: one.camera(height, width) for one in calibrations if one.intrinsic is not None}
    for shot in shots:
        view = View(cameras[shot.camera], stage.ego_pose(shot.timestamp))
        noise = generator(seed, Purpose.NOISE, shot.timestamp, *shot.camera.encode())
        picture, _ = render(stage.moment(shot.timestamp), view, noise)
        path = folder / shot.file_name
        path.parent.mkdir(parents=True, exist_ok=True)
        coded = simplejpeg.encode_jpeg(picture, quality=QUALITY, colorspace="BGR", colorsubsampling="420")
        path.write_bytes(coded)
        yield shot.file_name, hashlib.sha256(coded).hexdigest()
