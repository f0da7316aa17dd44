"""The rows that one scene adds to the tables of a release."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from vistrain_trainer.data.world.annotate import Annotated
from vistrain_trainer.data.world.calibration import CHANNELS, Calibration, modality
from vistrain_trainer.data.world.categories import SORTS
from vistrain_trainer.data.world.logs import Log
from vistrain_trainer.data.world.scene import token
from vistrain_trainer.data.world.stage import Draw, Stage, scene_generator
from vistrain_trainer.data.world.tables import (
    CalibratedSensor,
    EgoPose,
    Instance,
    Row,
    Sample,
    SampleAnnotation,
    SampleData,
    Scene,
)
from vistrain_trainer.data.world.timing import Firings

GAP = 150_000
"""Microseconds between pictures of a camera above which one is missing."""
_FILE_FORMATS = {"camera": ("jpg", ".jpg"), "lidar": ("pcd", ".pcd.bin"), "radar": ("pcd", ".pcd")}


@dataclass(frozen=True)
class Shot:
    """A picture that the tables name."""

    camera: str
    timestamp: int
    file_name: str
    keyframe: bool


@dataclass
class SceneTables:
    """What a scene adds."""

    name: str
    token: str
    rows: dict[str, list[Row]] = field(default_factory=dict)
    """By table."""
    shots: list[Shot] = field(default_factory=list)
    per_category: Counter[str] = field(default_factory=Counter)
    """Annotations."""
    instances: int = 0
    seconds: float = 0.0
    """Between pictures of a camera, in total."""
    steps: int = 0
    """From picture to picture of a camera."""
    gaps: int = 0
    """Of them those over `GAP`."""


def sensor_token(channel: str) -> str:
    """The token of a sensor, the same in every world."""
    return token(0, "sensor", channel)


def category_token(name: str) -> str:
    """The token of a category, the same in every world."""
    return token(0, "category", name)


def attribute_token(name: str) -> str:
    """The token of an attribute, the same in every world."""
    return token(0, "attribute", name)


class SceneWriter:
    """Makes the rows of a scene."""

    def __init__(self, seed: int, name: str, log: Log, stage: Stage) -> None:
        self.seed, self.name, self.log, self.stage = seed, name, log, stage
        self.made = SceneTables(name, token(seed, "scene", name))
        self.samples = self._tokens(0, len(stage.turns.sample_times))

    def scene(self, description: str) -> None:
        """The scene and its samples."""
        times, own = self.stage.turns.sample_times.tolist(), self.samples
        first, last = own[0], own[-1]
        self.made.rows["scene"] = [
            Scene(self.made.token, self.log.token, len(own), first, last, self.name, description)
        ]
        scene = [self.made.token] * len(own)
        self.made.rows["sample"] = list(map(Sample, own, times, *_chain(own), scene))

    def sensor(self, calibration: Calibration, firings: Firings, height: int, width: int) -> None:
        """A sensor's calibration, and what it took with the pose of the vehicle at each time."""
        channel, rows = firings.channel, self.made.rows
        kind = modality(channel)
        if kind != "camera":
            height = width = 0
        calibrated = token(self.seed, "calibrated_sensor", self.name, channel)
        intrinsic = [] if calibration.intrinsic is None else calibration.intrinsic.tolist()
        rows.setdefault("calibrated_sensor", []).append(
            CalibratedSensor(
                calibrated,
                sensor_token(channel),
                calibration.translation.tolist(),
                calibration.rotation.tolist(),
                intrinsic,
            )
        )
        times, keys = firings.timestamp.tolist(), firings.keyframe.tolist()
        own = self._tokens(1 + CHANNELS.index(channel), len(times))
        place, rotation = self.stage.ego_poses(firings.timestamp)
        rows.setdefault("ego_pose", []).extend(map(EgoPose, own, times, rotation.tolist(), place.tolist()))
        file_format, suffix = _FILE_FORMATS[kind]
        tail = f"/{channel}/{self.log.name}__{channel}__"
        names = [
            f"{'samples' if key else 'sweeps'}{tail}{time}{suffix}"
            for key, time in zip(keys, times, strict=True)
        ]
        samples, count = self.samples, len(times)
        rows.setdefault("sample_data", []).extend(
            map(
                SampleData,
                own,
                [samples[row] for row in firings.sample.tolist()],
                own,  # as in the release, an ego pose bears the token of its sample_data
                [calibrated] * count,
                times,
                [file_format] * count,
                keys,
                [height] * count,
                [width] * count,
                names,
                *_chain(own),
            )
        )
        if kind == "camera":
            self.made.shots += map(Shot, [channel] * count, times, names, keys)
            steps = np.diff(firings.timestamp)
            self.made.steps += len(steps)
            self.made.seconds += float(steps.sum()) / 1e6
            self.made.gaps += int((steps > GAP).sum())

    def annotations(self, annotated: Annotated) -> None:
        """The objects that are annotated, and their boxes."""
        things, first, counts = np.unique(annotated.thing, return_index=True, return_counts=True)
        sorts = self.stage.traffic.sort[things].tolist()
        instances = self._tokens(100, len(things))
        own = self._tokens(101, len(annotated.thing))
        previous, following = [""] * len(own), [""] * len(own)
        for start, count in zip(first.tolist(), counts.tolist(), strict=True):
            here = slice(start, start + count)
            previous[here], following[here] = _chain(own[here])
        self.made.rows["instance"] = [
            Instance(name, category_token(SORTS[sort][0].category), count, own[start], own[start + count - 1])
            for name, sort, start, count in zip(
                instances, sorts, first.tolist(), counts.tolist(), strict=True
            )
        ]
        per_instance = np.repeat(np.arange(len(things)), counts).tolist()
        attributes = {name: [attribute_token(name)] if name else [] for name in set(annotated.attribute)}
        self.made.rows["sample_annotation"] = list(
            map(
                SampleAnnotation,
                own,
                [self.samples[row] for row in annotated.sample.tolist()],
                [instances[row] for row in per_instance],
                map(str, annotated.visibility.tolist()),
                [attributes[name] for name in annotated.attribute],
                annotated.translation.tolist(),
                annotated.size.tolist(),
                annotated.rotation.tolist(),
                previous,
                following,
                annotated.lidar.tolist(),
                annotated.radar.tolist(),
            )
        )
        self.made.instances = len(things)
        for sort, count in zip(sorts, counts.tolist(), strict=True):
            self.made.per_category[SORTS[sort][0].category] += count

    def _tokens(self, stream: int, count: int) -> list[str]:
        text = scene_generator(self.seed, self.name, Draw.TOKENS, stream).bytes(16 * count).hex()
        return [text[at : at + 32] for at in range(0, len(text), 32)]


def _chain(tokens: Sequence[str]) -> tuple[list[str], list[str]]:
    """The tokens before and after each; empty at the ends."""
    return ["", *tokens[:-1]], [*tokens[1:], ""]
