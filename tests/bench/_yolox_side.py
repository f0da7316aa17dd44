"""One side of the YOLOX benchmark in a process of its own: ours, or upstream's parts in a bare loop.

Reads a number of steps per line and answers {"seconds", "wait", "processor", "megabytes"}; the first line it
writes is {"built": seconds}. Between its rounds the benchmark stops it, workers included.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import torch

sys.path.pop(0)  # this folder: its yolox.py is not the package
sys.path.insert(0, str(Path(__file__).parents[1]))

from bench._training import CLASSES, bench, synchronize
from support.upstream_yolox import upstream_model  # makes yolox importable, too

AUGMENTATION = {"mosaic": 0.7, "mixup": 0.4, "hsv": 0.5, "degrees": 5.0, "translate": 0.1, "shear": 2.0}
"""Recipe B's shares, the same on both sides; scales are 0.5 to 1.5."""
SCALE = (0.5, 1.5)


class Timed:
    """Batches, and the time that was waited for them."""

    def __init__(self, batches: Iterator[Any]) -> None:
        self._batches = batches
        self.waited = 0.0

    def __iter__(self) -> Timed:
        return self

    def __next__(self) -> Any:
        began = time.perf_counter()
        batch = next(self._batches)
        self.waited += time.perf_counter() - began
        return batch

    def batch(self, position: int) -> Any:
        """As the engine asks for it; it never leaves the order here."""
        return next(self)


def group() -> list[Path]:
    """The folders in /proc of this process and its workers."""
    found = []
    for process in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            if os.getpgid(int(process.name)) == os.getpgrp():
                found.append(process)
    return found


def megabytes() -> float:
    """Memory of all, shared pages counted once."""
    total = 0
    for process in group():
        lines = (process / "smaps_rollup").read_text().splitlines()
        total += next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total / 1000


def processor() -> float:
    """Seconds of processor time that all have used."""
    ticks = 0
    for process in group():
        fields = (process / "stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def ours(options: argparse.Namespace) -> Iterator[tuple[Callable[[], None], Timed, torch.device]]:
    """The engine with its own loader."""
    share = AUGMENTATION
    scale = {"min": SCALE[0], "max": SCALE[1]}
    settings: dict[str, Any] = {
        "schedule": {"precision": options.precision, "noAugEpochs": 0, "warmupEpochs": 0},
        "augmentation": {
            "mosaic": share["mosaic"],
            "mixup": {"probability": share["mixup"], "scale": scale},
            "hsv": {"probability": share["hsv"]},
            **{name: share[name] for name in ("degrees", "translate", "shear")},
            "scale": scale,
        },
    }
    settings["dataset"] = {"loader": {"workers": options.workers, "cache": options.cache}}
    with bench(
        options.variant,
        options.height,
        options.width,
        options.batch,
        world=options.world,
        root=options.root,
        settings=settings,
    ) as made:
        batches = Timed(made.batches)
        made.loop._feed = batches

        def step() -> None:
            made.loop._after_step(made.loop._train_step())

        yield step, batches, made.device


@contextlib.contextmanager
def upstream(options: argparse.Namespace) -> Iterator[tuple[Callable[[], None], Timed, torch.device]]:
    """Upstream's Exp: its loader, model, optimiser, schedule and average, in a loop like its trainer's."""
    from yolox.data import DataPrefetcher
    from yolox.exp.yolox_base import Exp
    from yolox.utils import ModelEMA

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    half = device.type == "cuda"
    exp = Exp()
    exp.data_dir, exp.train_ann, exp.num_classes = str(options.world), "train.json", len(CLASSES)
    exp.input_size, exp.data_num_workers = (options.height, options.width), options.workers
    share = AUGMENTATION
    exp.mosaic_prob, exp.mixup_prob, exp.hsv_prob = share["mosaic"], share["mixup"], share["hsv"]
    exp.degrees, exp.translate, exp.shear = share["degrees"], share["translate"], share["shear"]
    exp.mosaic_scale = exp.mixup_scale = SCALE
    loader = exp.get_data_loader(options.batch, False, cache_img=options.cache != "none")
    exp.model = upstream_model(options.variant, len(CLASSES)).to(device).train()
    optimizer = exp.get_optimizer(options.batch)
    rates = exp.get_lr_scheduler(exp.basic_lr_per_img * options.batch, 1000)
    average = ModelEMA(exp.model, 0.9998)
    scaler = torch.amp.GradScaler(device.type, enabled=half)
    if half:
        prefetcher = DataPrefetcher(loader)
        batches = Timed(iter(prefetcher.next, None))
    else:
        batches = Timed((batch[0], batch[1]) for batch in loader)
    count = 0

    def step() -> None:
        nonlocal count
        images, labels = next(batches)
        images, labels = images.to(torch.float16 if half else torch.float32), labels.float()
        with torch.autocast(device.type, torch.float16, enabled=half):
            loss = exp.model(images, labels)["total_loss"]
        optimizer.zero_grad()
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        average.update(exp.model)
        count += 1
        for group in optimizer.param_groups:
            group["lr"] = rates.update_lr(count)

    yield step, batches, device


def main() -> None:
    """Serve rounds until the input ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("side", choices=["ours", "upstream"])
    parser.add_argument("--variant", required=True)
    for name in ("height", "width", "batch", "workers"):
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--cache", default="none")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--world", type=Path, required=True)
    parser.add_argument("--root", type=Path, required=True)
    options = parser.parse_args()
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no answer
    warnings.simplefilter("ignore")
    cv2.setNumThreads(0)
    began = time.perf_counter()
    with {"ours": ours, "upstream": upstream}[options.side](options) as (step, batches, device):
        print(json.dumps({"built": time.perf_counter() - began}), file=answers, flush=True)
        for line in sys.stdin:
            batches.waited = 0.0
            synchronize(device)
            used, began = processor(), time.perf_counter()
            for _ in range(int(line)):
                step()
            synchronize(device)
            seconds = time.perf_counter() - began
            result = {"seconds": seconds, "wait": batches.waited, "processor": processor() - used}
            result["megabytes"] = megabytes()
            if device.type == "cuda":
                result["gpu"] = torch.cuda.max_memory_allocated() / 1e6
            print(json.dumps(result), file=answers, flush=True)


if __name__ == "__main__":
    main()
