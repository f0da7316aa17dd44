"""Time of a step in the engine against a bare loop of the same model, side by side.

The bare loop has what any training of the model needs: rate, forward pass, loss, backward pass, optimiser,
average of the weights. The engine adds sums, checks, progress, log rows, fence, the look for stop requests.
Goal: at most 1 % more. On a CPU the time is the processor's, of all threads: other processes do not count.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from pathlib import Path

sys.path.pop(0)  # this folder: its yolox.py is not the package
sys.path.insert(0, str(Path(__file__).parents[1]))

from bench._machine import machine
from bench._training import Bench, bench, synchronize
from vistrain_trainer.engine.optimizer import set_rates


def clock(made: Bench) -> float:
    """Seconds, once the device has done what it was given."""
    synchronize(made.device)
    return time.perf_counter() if made.device.type == "cuda" else time.process_time()


def bare(made: Bench, steps: int) -> float:
    """Seconds of steps of a loop as one writes it by hand."""
    state, task = made.state, made.task
    began = clock(made)
    for step in range(steps):
        batch = next(made.batches).to(made.device)
        set_rates(state.optimizer, lambda part: 1e-6)
        with state.precision.autocast():
            losses = task.losses(state.model, batch, step)
        state.precision.backward(losses.mean)
        state.precision.step(state.optimizer)
        state.optimizer.zero_grad(set_to_none=True)
        if state.average is not None:
            state.average.update()
    return clock(made) - began


def engine(made: Bench, steps: int) -> float:
    """Seconds of steps of the engine."""
    began = clock(made)
    for _ in range(steps):
        made.loop._after_step(made.loop._train_step())
    return clock(made) - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--variant", default="nano")
    parser.add_argument("--height", type=int, default=160)
    parser.add_argument("--width", type=int, default=288)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--steps", type=int, default=10, help="steps in a round, one of them logged")
    arguments = parser.parse_args()
    with bench(arguments.variant, arguments.height, arguments.width, arguments.batch) as made:
        engine(made, 5), bare(made, 5)
        rounds = []
        for number in range(arguments.rounds):
            pair = {}
            for run in (bare, engine) if number % 2 else (engine, bare):  # neither always comes first
                pair[run.__name__] = run(made, arguments.steps) / arguments.steps
            rounds.append(pair)
    for name in ("bare", "engine"):
        times = [pair[name] * 1000 for pair in rounds]
        print(f"{name:7} {statistics.median(times):8.2f} ms a step (least {min(times):.2f})")
    median = statistics.median(pair["engine"] / pair["bare"] for pair in rounds) - 1
    least = min(pair["engine"] for pair in rounds) / min(pair["bare"] for pair in rounds) - 1
    print(
        f"engine overhead: {median:+.2%} by the median of rounds, {least:+.2%} by the least times (goal: 1 %)"
    )
    print(machine())


if __name__ == "__main__":
    main()
