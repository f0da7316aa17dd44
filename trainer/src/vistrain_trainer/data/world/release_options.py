"""What a synthetic release is to be like."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import Literal

from vistrain_trainer.data.nuscenes.splits import official
from vistrain_trainer.data.world.calibration import CHANNELS
from vistrain_trainer.data.world.cameras import RIG
from vistrain_trainer.data.world.traffic import MOST
from vistrain_trainer.errors import BadInput

VALIDATION_SHARE = 0.2
"""Share of the scenes, rounded, that bear names of the validation split."""
PICTURES = ("none", "key", "all")
SENSORS = ("cameras", "all")


@dataclass(frozen=True)
class ReleaseOptions:
    """What to make. The tables are a function of these alone, on any machine."""

    version: str
    """v1.0-mini, v1.0-trainval or v1.0-test."""
    scenes: int
    samples: int
    """Moments half a second apart, a few of which are left out, in each scene."""
    cameras: tuple[str, ...]
    height: int
    """Pixels of a picture."""
    width: int
    seed: int
    pictures: Literal["none", "key", "all"] = "key"
    """Which are rendered: none, of keyframes, or of sweeps too. The tables are the same."""
    sensors: Literal["cameras", "all"] = "all"
    """Whether there are rows of LiDAR and radars; their files are never made."""
    density: float = 34.0
    """Annotations in a sample on average, about."""
    dropped_sweeps: float = 0.005
    """Share of what is no keyframe that is lost."""
    dropped_keyframes: float = 0.01
    """Share of the samples that are left out, so that their neighbours are a second apart."""
    dropped_annotations: float = 0.01
    """Share of the annotations that are left out, so that objects vanish and come back."""

    def __post_init__(self) -> None:
        splits = official(self.version)
        most, least = sum(len(names) for names in splits.values()), len(splits)
        _require(
            least <= self.scenes <= most,
            "--scenes",
            self.scenes,
            f"give {least} to {most}: scenes of {self.version} bear its official names",
        )
        _require(self.samples >= 1, "--samples", self.samples, "give at least 1")
        _require(self.seed >= 0, "--seed", self.seed, "give 0 or more")
        _require(
            min(self.height, self.width) >= 32,
            "--image-size",
            f"{self.height}x{self.width}",
            "give HEIGHTxWIDTH of at least 32x32 pixels",
        )
        _require(0 < self.density <= MOST, "--density", self.density, f"give more than 0, at most {MOST:g}")
        for name in ("dropped_sweeps", "dropped_keyframes", "dropped_annotations"):
            value = getattr(self, name)
            _require(0 <= value < 1, f"--{name.replace('_', '-')}", value, "give a share from 0 to below 1")
        for name, value, known in (
            ("--pictures", self.pictures, PICTURES),
            ("--sensors", self.sensors, SENSORS),
            *(("--cameras", camera, tuple(RIG)) for camera in self.cameras),
        ):
            _require(value in known, name, value, f"choose from {', '.join(known)}")
        _require(
            0 < len(set(self.cameras)) == len(self.cameras),
            "--cameras",
            ",".join(self.cameras),
            "give at least one, and none twice",
        )

    @property
    def channels(self) -> tuple[str, ...]:
        """The sensors that take something."""
        others = CHANNELS[len(RIG) :] if self.sensors == "all" else ()
        return (*(channel for channel in RIG if channel in self.cameras), *others)

    @property
    def annotated(self) -> bool:
        """Whether there are annotations: the version for testing has none."""
        return self.version != "v1.0-test"

    def splits(self) -> dict[str, tuple[str, ...]]:
        """Names of the scenes in ascending order, by official split."""
        lists = official(self.version)
        if len(lists) == 1:
            return {split: names[: self.scenes] for split, names in lists.items()}
        (train, training), (val, validation) = lists.items()
        most = min(len(validation), max(1, round(self.scenes * VALIDATION_SHARE)))
        held = max(most, self.scenes - len(training))
        return {train: training[: self.scenes - held], val: validation[:held]}

    def command(self) -> str:
        """The command that makes the same release, but for its folder."""
        return shlex.join(
            [
                "vistrain", "prepare", "synthetic", "--format", "nuscenes", "--version", self.version,
                "--scenes", str(self.scenes), "--samples", str(self.samples),
                "--cameras", ",".join(self.cameras), "--image-size", f"{self.height}x{self.width}",
                "--seed", str(self.seed), "--pictures", self.pictures, "--sensors", self.sensors,
                "--density", f"{self.density:g}", "--dropped-sweeps", f"{self.dropped_sweeps:g}",
                "--dropped-keyframes", f"{self.dropped_keyframes:g}",
                "--dropped-annotations", f"{self.dropped_annotations:g}",
            ]
        )  # fmt: skip


def _require(holds: bool, name: str, value: object, remedy: str) -> None:
    if not holds:
        raise BadInput(field=name, value=value, problem="is out of bounds", remedy=remedy)
