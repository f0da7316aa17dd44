"""One scene of a release: its world, its rows, its pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from vistrain_trainer.data.world.annotate import annotate
from vistrain_trainer.data.world.calibration import Calibration, calibrate
from vistrain_trainer.data.world.logs import Log
from vistrain_trainer.data.world.pictures import write_pictures
from vistrain_trainer.data.world.release_options import ReleaseOptions
from vistrain_trainer.data.world.scene_tables import SceneTables, SceneWriter
from vistrain_trainer.data.world.stage import Draw, Stage, make_stage, scene_generator
from vistrain_trainer.data.world.timing import TURN, firings

_PAUSE = 60 * 20 * TURN
"""Microseconds at least between scenes of a log."""
_SHOWN = {"none": (), "key": (True,), "all": (True, False)}


class ReleaseScene:
    """A scene of a release, a function of the options and of its name, place and time."""

    def __init__(self, options: ReleaseOptions, name: str, log: Log, start: int) -> None:
        self.options, self.name, self.log = options, name, log
        self.stage: Stage = make_stage(
            options.seed,
            name,
            start,
            samples=options.samples,
            dropped_samples=options.dropped_keyframes,
            density=options.density / (1 - options.dropped_annotations),
        )

    @cached_property
    def calibrations(self) -> list[Calibration]:
        """Of the sensors that take something."""
        options = self.options
        return calibrate(self._random(Draw.CALIBRATION), options.channels, options.height, options.width)

    @cached_property
    def tables(self) -> SceneTables:
        """Its rows."""
        options = self.options
        writer = SceneWriter(options.seed, self.name, self.log, self.stage)
        writer.scene("Synthetic drive")
        for calibration in self.calibrations:
            channel = calibration.channel
            random = self._random(Draw.FIRINGS, *channel.encode())
            taken = firings(random, self.stage.turns, channel, options.dropped_sweeps)
            writer.sensor(calibration, taken, options.height, options.width)
        if options.annotated:
            random = self._random(Draw.ANNOTATIONS)
            writer.annotations(annotate(self.stage, random, options.dropped_annotations))
        return writer.made

    def write_pictures(self, folder: Path, advance: Callable[[float], None]) -> dict[str, str]:
        """Render those asked for into a folder, and give the sha256 of each by its name.

        Args:
            advance: called with the share of the scene that is done now.
        """
        options = self.options
        shots = [shot for shot in self.tables.shots if shot.keyframe in _SHOWN[options.pictures]]
        size = options.height, options.width
        digests = {}
        for name, digest in write_pictures(
            folder, self.stage, self.calibrations, shots, seed=options.seed, size=size
        ):
            digests[name] = digest
            advance(1 / len(shots))
        if not shots:
            advance(1)
        return digests

    def _random(self, draw: Draw, *counters: int) -> np.random.Generator:
        return scene_generator(self.options.seed, self.name, draw, *counters)


def release_scenes(options: ReleaseOptions, logs: Sequence[Log]) -> Iterator[ReleaseScene]:
    """The scenes of logs, one at a time; those of a log follow each other with some time between."""
    step = options.samples * 20 * TURN + _PAUSE
    for log in logs:
        for position, name in enumerate(log.scenes):
            yield ReleaseScene(options, name, log, log.start + position * step)
