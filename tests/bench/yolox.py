"""Images a second of whole training from the disk, ours against upstream YOLOX's own parts.

Both sides train the same variant on the same pictures at the same size, batch and number of threads, each in
a process of its own. They take turns, and the one that waits is stopped with its workers. Upstream has the
number of workers that is best for it, fp16 on CUDA (it knows no low precision on a CPU), and in the second
contest its own cache. Levers are switched off one by one on the way. Goals: on CUDA twice upstream's rate
with less than 5 % of the time waiting for data; on a CPU 1.5 times its rate.

Where others use the machine, too, look at the images per second of processor time.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import cv2
import numpy as np
import torch

sys.path.pop(0)  # this folder: its yolox.py is not the package
sys.path.insert(0, str(Path(__file__).parents[1]))

from bench._machine import machine
from bench._training import CLASSES, make_world
from bench._yolox_side import AUGMENTATION, SCALE
from support.upstream_yolox import random_labels  # makes yolox importable, too

SIDE = Path(__file__).with_name("_yolox_side.py")
PICTURE = (900, 1600)


class Side:
    """A process that trains when it is told to, and is stopped in between."""

    def __init__(self, side: str, options: argparse.Namespace, root: Path, **settings: Any) -> None:
        settings |= {name: getattr(options, name) for name in ("variant", "height", "width", "batch")}
        settings |= {"world": root / "world", "root": root}
        arguments = [f"--{name}={value}" for name, value in settings.items()]
        log = (root / f"{side}.log").open("ab")
        self._process = subprocess.Popen(
            [sys.executable, str(SIDE), side, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,
            env={**os.environ, "OMP_WAIT_POLICY": "PASSIVE"},  # idle threads do not spin
        )
        log.close()
        self._batch = options.batch
        self._log = root / f"{side}.log"
        self.built = self._answer()["built"]
        self.megabytes = 0.0
        self.rates: list[float] = []
        self.waits: list[float] = []
        self.frugality: list[float] = []
        self._signal(signal.SIGSTOP)

    def steps(self, count: int) -> float:
        """Images a second over some steps."""
        self._signal(signal.SIGCONT)
        assert self._process.stdin is not None
        self._process.stdin.write(f"{count}\n")
        self._process.stdin.flush()
        answer = self._answer()
        self._signal(signal.SIGSTOP)
        self.megabytes = answer["megabytes"]
        self.waits.append(answer["wait"] / answer["seconds"])
        self.rates.append(count * self._batch / answer["seconds"])
        self.frugality.append(count * self._batch / answer["processor"])
        return self.rates[-1]

    def forget(self) -> None:
        """Begin the figures anew."""
        self.rates, self.waits, self.frugality = [], [], []

    @property
    def rate(self) -> float:
        """The median over the rounds, images a second."""
        return statistics.median(self.rates)

    def end(self) -> None:
        """End the process and its workers."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._signal(signal.SIGCONT)
        self._process.stdin.close()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._signal(signal.SIGKILL)
            self._process.wait()
        self._process.stdout.close()

    def _answer(self) -> dict[str, float]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"a side died:\n{self._log.read_text()[-3000:]}")
        answer: dict[str, float] = json.loads(line)
        return answer

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)


@contextlib.contextmanager
def ended(*sides: Side) -> Iterator[None]:
    """End sides in any case."""
    try:
        yield
    finally:
        for side in sides:
            side.end()


def contest(sides: dict[str, Side], rounds: int, steps: int) -> None:
    """Let the sides take turns; print their figures."""
    for _ in range(rounds):
        for side in sides.values():
            side.steps(steps)
    for name, side in sides.items():
        spread = f"{min(side.rates):.2f} to {max(side.rates):.2f}"
        frugality, wait = statistics.median(side.frugality), statistics.median(side.waits)
        print(
            f"  {name:38}{side.rate:7.2f} images/s ({spread}), {frugality:.2f} a second of processor; "
            f"waits for data {wait:.1%}; {side.megabytes:.0f} MB",
            flush=True,
        )


def best_workers(name: str, options: argparse.Namespace, root: Path) -> int:
    """The number of loader processes that is fastest for a side."""
    cores = len(os.sched_getaffinity(0))
    rates = {}
    for count in sorted({1, max(1, cores // 2), cores}):
        side = Side(name, options, root, workers=count, cache="none")
        with ended(side):
            side.steps(2)
            rates[count] = side.steps(options.steps)
    print(f"  {name}: images/s by workers: " + ", ".join(f"{n}: {rate:.2f}" for n, rate in rates.items()))
    return max(rates, key=lambda count: rates[count])


def training(options: argparse.Namespace, root: Path) -> None:
    """Whole training, without caches and with both sides' own."""
    print(f"\ntraining yolox-{options.variant} at {options.height}x{options.width}, batch {options.batch}")
    workers = {name: options.workers or best_workers(name, options, root) for name in ("upstream", "ours")}
    made = {name: Side(name, options, root, workers=workers[name], cache="none") for name in workers}
    with ended(*made.values()):
        for side in made.values():
            side.steps(2)
            side.forget()
        contest(made, options.rounds, options.steps)
        plain = made["upstream"].rate, made["ours"].rate
    frugal = [statistics.median(side.frugality) for side in made.values()]
    print(
        f"  ratio without caches: {plain[1] / plain[0]:.2f}; of processor time {frugal[1] / frugal[0]:.2f}",
        flush=True,
    )

    peer = Side("upstream", options, root, workers=workers["upstream"], cache="disk")
    with ended(peer):
        print(f"  upstream's cache and model were made in {peer.built:.1f} s", flush=True)
        kept = Side("ours", options, root, workers=workers["ours"], cache="disk")
        with ended(kept):
            peer.steps(2)
            peer.forget()
            images = len(json.loads((root / "world/annotations/train.json").read_text())["images"])
            epoch = max(1, images // options.batch)
            cold = kept.steps(epoch)
            kept.steps(epoch)
            kept.forget()
            shards = sum(path.stat().st_size for path in root.glob(".vistrain-cache/*/*.shard"))
            print(
                f"  ours, first epoch, while the cache fills: {cold:.2f} images/s; upstream, built cache not "
                f"counted; {shards / 1e6:.0f} MB kept"
            )
            contest({"upstream, its cache": peer, "ours, cache: disk": kept}, options.rounds, options.steps)
            warm = peer.rate, kept.rate
            frugal = [statistics.median(side.frugality) for side in (peer, kept)]
            print(f"  ratio of processor time with caches: {frugal[1] / frugal[0]:.2f}", flush=True)
    low = Side("ours", options, root, workers=workers["ours"], cache="disk", precision="fp32")
    with ended(low):
        low.steps(2)
        low.forget()
        contest({"ours, cache: disk, precision: fp32": low}, options.rounds, options.steps)
    best = max(plain[0], warm[0])
    print(f"  ratio with caches, cold: {cold / best:.2f}, warm: {warm[1] / best:.2f} (to upstream's best)")
    print(f"  ratio of precision fp32: {low.rate / best:.2f}")
    goal = "2, and less than 5 % waiting" if torch.cuda.is_available() else "1.5"
    print(f"  goal: {goal}")


def processor(make: Callable[[int], object], count: int) -> float:
    """Milliseconds of one core per call, the first few left out."""
    for number in range(4):
        make(number)
    began = time.process_time()
    for number in range(4, 4 + count):
        make(number)
    return (time.process_time() - began) / count * 1000


def pipeline(root: Path, height: int, width: int, count: int) -> None:
    """Samples a second of one core: upstream's data set and transform, ours, and each lever off."""
    from yolox.data import COCODataset, MosaicDetection, TrainTransform

    from vistrain_trainer.data import mixup, mosaic, scratch
    from vistrain_trainer.data.augmentation import AugmentationSettings
    from vistrain_trainer.data.coco import CocoDetection
    from vistrain_trainer.data.disk_cache import DiskCache
    from vistrain_trainer.data.disk_store import DiskStore
    from vistrain_trainer.data.fitted import FittedImages
    from vistrain_trainer.data.memory_cache import MemoryStore
    from vistrain_trainer.data.samples import TrainingSamples
    from vistrain_trainer.data.stream import SampleStream

    print(
        f"\nsamples of one core at {width}x{height}, from {PICTURE[1]}x{PICTURE[0]} JPEG, shares as recipe B"
    )
    share, cached = AUGMENTATION, root / "pipeline"
    world = root / "world"
    dataset = CocoDetection(world / "annotations/train.json", world / "images", CLASSES)
    stream = SampleStream(len(dataset), 8, 0, 10**4, 0, height, width)
    settings = AugmentationSettings(
        mosaic=share["mosaic"],
        mixup_probability=share["mixup"],
        mixup_scale=SCALE,
        hsv_probability=share["hsv"],
        degrees=share["degrees"],
        translate=share["translate"],
        shear=share["shear"],
        scale=SCALE,
    )

    def theirs(cache: bool) -> float:
        size = (height, width)
        images = COCODataset(str(world), "train.json", name="train2017", img_size=size, cache=cache)
        wrapped = MosaicDetection(
            images,
            img_size=size,
            preproc=TrainTransform(max_labels=120, hsv_prob=share["hsv"]),
            degrees=share["degrees"],
            translate=share["translate"],
            shear=share["shear"],
            mosaic_scale=SCALE,
            mixup_scale=SCALE,
            mosaic_prob=share["mosaic"],
            mixup_prob=share["mixup"],
        )
        np.random.seed(0)
        return processor(lambda number: wrapped[number % len(images)], count)

    def own(cache: str = "none", *, planes: bool = False) -> float:
        images = FittedImages(dataset, height, width)
        if cache == "memory":
            images.keep_in(MemoryStore(images, 2**40))
        if cache == "disk":
            images.keep_in(DiskStore(DiskCache(cached, 2**40), images, "images"))
        if cache != "none":
            for index in range(len(images)):
                images.image(index)
            images.flush()
        samples = TrainingSamples(images, settings, 0)
        keys = [key for step in range((count + 12) // 8) for key in stream.keys_for_step(step)]
        batch = np.empty((8, height, width, 3), np.uint8)
        if planes:
            return processor(lambda number: np.ascontiguousarray(samples[keys[number]][0]), count)
        return processor(lambda number: samples.write(keys[number], batch[number % 8]), count)

    def whole(*_: object, canvas_height: int, canvas_width: int, **__: object) -> tuple[int, int, int, int]:
        return 0, 0, canvas_width, canvas_height

    def fresh(_: object, __: str, rows: int, columns: int) -> np.ndarray:
        return np.empty((rows, columns, 3), np.uint8)

    def wide(image: np.ndarray, other: np.ndarray, _: object) -> None:
        image[:] = ((image.astype(np.uint16) + other) >> 1).astype(np.uint8)

    def opencv(data: bytes) -> np.ndarray:
        return np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR))

    lines: dict[str, Callable[[], float]] = {
        "upstream": lambda: theirs(False),
        "upstream, its cache": lambda: theirs(True),
        "ours": own,
        "ours, cache: memory": lambda: own("memory"),
        "ours, cache: disk": lambda: own("disk"),
    }
    levers: dict[str, tuple[Any, str, Any]] = {
        "images that are not shown are read, too": (mosaic, "shown_region", whole),
        "fresh arrays and no scratch": (scratch.Scratch, "image", fresh),
        "mixup's mean in 16 bits": (mixup, "_average", wide),
        "JPEG by OpenCV": (sys.modules["vistrain_trainer.data.coco"], "decode", opencv),
    }
    first = 0.0
    for name, measure in lines.items():
        taken = measure()
        first = first or taken
        print(f"  {name:52}{taken:8.1f} ms {1000 / taken:8.1f} samples/s   {first / taken:5.2f}x", flush=True)
    for name, (owner, attribute, replacement) in levers.items():
        with mock.patch.object(owner, attribute, replacement):
            taken = own()
        print(f"  off: {name:47}{taken:8.1f} ms {1000 / taken:8.1f} samples/s   {first / taken:5.2f}x")
    taken = own(planes=True)
    name = "planes and a copy instead of a place in the batch"
    print(
        f"  off: {name:47}{taken:8.1f} ms {1000 / taken:8.1f} samples/s   {first / taken:5.2f}x", flush=True
    )


def assigner(height: int, width: int, batch: int) -> None:
    """Milliseconds of SimOTA's two ways, on the device that is trained on."""
    from vistrain_trainer.detectors.anchors import anchors
    from vistrain_trainer.detectors.assignment import assign_at_once, assign_one_by_one

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    labels = random_labels(batch, 20, len(CLASSES), height, width, 0).to(device)
    at = anchors([(height // s, width // s) for s in (8, 16, 32)], [8, 16, 32], device)
    torch.manual_seed(0)
    noise = torch.randn(batch, len(at.cells), 4, device=device)
    predicted = torch.cat((at.centers, 8 * at.strides[:, None].expand(-1, 2)), 1) + 4 * noise
    logits = torch.randn(batch, len(at.cells), 1 + len(CLASSES), device=device)
    print(f"\nSimOTA, batch {batch} at {width}x{height}, up to 20 boxes an image, on {device.type}")
    for way in (assign_one_by_one, assign_at_once):
        times = []
        for _ in range(12):
            if device.type == "cuda":
                torch.cuda.synchronize()
            began = time.perf_counter()
            way(labels, predicted, logits, at)
            if device.type == "cuda":
                torch.cuda.synchronize()
            times.append((time.perf_counter() - began) * 1000)
        print(f"  {way.__name__:20}{statistics.median(times[2:]):8.1f} ms")


def main() -> None:
    """Print everything."""
    cuda = torch.cuda.is_available()
    variant, height, width, batch = ("l", 800, 1440, 8) if cuda else ("s", 640, 640, 4)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--variant", default=variant)
    parser.add_argument("--height", type=int, default=height)
    parser.add_argument("--width", type=int, default=width)
    parser.add_argument("--batch", type=int, default=batch)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=20 if cuda else 4, help="steps in a round")
    parser.add_argument("--workers", type=int, help="loader processes of both; each side's best if not given")
    parser.add_argument("--samples", type=int, default=48, help="samples that the pipeline's figures are of")
    parser.add_argument("--world", type=Path, help="a data set of 1600x900 pictures; made when not given")
    parser.add_argument("--only", choices=["pipeline", "assigner", "training"])
    options = parser.parse_args()
    cv2.setNumThreads(0)
    print(machine())
    print(f"load before: {os.getloadavg()[0]:.1f}", flush=True)
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        if options.world is None:
            make_world(root / "world", *PICTURE)
        else:
            (root / "world").mkdir()
            for name in ("annotations", "images"):
                (root / "world" / name).symlink_to(options.world.resolve() / name)
        (root / "world" / "train2017").symlink_to("images")  # where upstream looks
        if options.only in (None, "pipeline"):
            pipeline(root, 800, 1440, options.samples)
        if options.only in (None, "assigner"):
            assigner(800, 1440, 8)
        if options.only in (None, "training"):
            training(options, root)
    print(f"load after: {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
