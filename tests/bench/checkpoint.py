"""What a checkpoint costs training, against saving with torch.save and fsync in the loop.

The stall is the time that as many steps take longer when a checkpoint is saved at their start: the copy, and
what the writer's thread takes from the steps meanwhile. Goal: at most 2 % of the plain save on a GPU, 30 % on
a CPU.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import torch

sys.path.pop(0)  # this folder: its yolox.py is not the package
sys.path.insert(0, str(Path(__file__).parents[1]))

from bench._machine import machine
from bench._training import Bench, bench, synchronize


def plain_save(made: Bench, folder: str) -> float:
    """Seconds of torch.save and fsync of the whole state."""
    synchronize(made.device)
    began = time.perf_counter()
    with (Path(folder) / "state.pt").open("wb") as file:
        torch.save(made.state.collect(), file)
        file.flush()
        os.fsync(file.fileno())
    return time.perf_counter() - began


def steps(made: Bench, count: int, *, save: bool) -> tuple[float, float]:
    """Seconds of steps, and of the call that takes the snapshot."""
    synchronize(made.device)
    began = time.perf_counter()
    if save:
        made.checkpointer.save(epoch=0)
    called = time.perf_counter() - began
    for _ in range(count):
        made.loop._after_step(made.loop._train_step())
    synchronize(made.device)
    total = time.perf_counter() - began
    made.checkpointer.drain()
    return total, called


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--variant", default="s")
    parser.add_argument("--height", type=int, default=160)
    parser.add_argument("--width", type=int, default=288)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=8)
    arguments = parser.parse_args()
    with (
        bench(arguments.variant, arguments.height, arguments.width, arguments.batch) as made,
        tempfile.TemporaryDirectory() as folder,
    ):
        steps(made, 3, save=True)
        plain, stalls, copies = [], [], []
        for number in range(arguments.rounds):
            plain.append(plain_save(made, folder))
            order = (True, False) if number % 2 else (False, True)
            timed = {save: steps(made, arguments.steps, save=save) for save in order}
            stalls.append(timed[True][0] - timed[False][0])
            copies.append(timed[True][1])
        size = (Path(folder) / "state.pt").stat().st_size / 1e6
        device = made.device.type
    save, stall, copy = (statistics.median(values) for values in (plain, stalls, copies))
    goal = "2 %" if device == "cuda" else "30 %"
    print(f"state of {size:.0f} MB; torch.save + fsync {save * 1000:.0f} ms")
    print(f"snapshot {copy * 1000:.0f} ms, {copy / save:.1%} of the plain save")
    print(f"stall of steps {stall * 1000:.0f} ms, {stall / save:.1%} of it (goal on {device}: {goal})")
    print(machine())


if __name__ == "__main__":
    main()
