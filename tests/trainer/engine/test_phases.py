"""Phases: what is frozen stands still to the bit, rates by part, best weights, early stops, and the law."""

from __future__ import annotations

import csv
import functools
import itertools
import json
from typing import ClassVar

import pytest
import torch

from vistrain_api.protocol import Progress
from vistrain_trainer.engine.checkpoint import open_checkpoint
from vistrain_trainer.engine.comparison import compare
from vistrain_trainer.engine.options import PodEnvironment
from vistrain_trainer.engine.run import run

# The tiny task's parts are `body` and `head`; the contract names those of YOLOX.
PARTS = {"body": "backbone", "head": "head"}
FREEZE_BODY = [{"name": "head", "epochs": 2, "freeze": ["backbone"]}, {"name": "all", "epochs": 2}]


@pytest.fixture
def task(tiny):
    """The tiny task, its body (with batch norm) called backbone; `starts`: the weights before each step."""

    class Task(tiny.TinyTask):
        starts: ClassVar[dict[int, dict]] = {}

        def parts(self, model):
            return {PARTS[name]: modules for name, modules in super().parts(model).items()}

        def losses(self, model, batch, position):
            self.starts.setdefault(
                position, {name: value.clone() for name, value in model.state_dict().items()}
            )
            return super().losses(model, batch, position)

    Task.starts = {}
    return Task


def events(folder):
    return [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]


def table(folder):
    return list(csv.DictReader((folder / "metrics.csv").read_text().splitlines()))


def stored(folder, step):
    return open_checkpoint(folder / "checkpoints" / f"step-{step:09d}").load()


def test_frozen_parameters_and_statistics_stay_to_the_bit_in_raw_and_average(tiny, task, tmp_path):
    manifest = tiny.tiny_manifest(
        schedule__epochs=4,
        schedule__phases=FREEZE_BODY,
        schedule__ema={"decay": 0.9, "tau": 3},
        checkpoint__keep={"last": 100},
    )
    assert run(manifest, tiny.tiny_options(tmp_path), task) == 0
    initial = task.starts[0]
    frozen = stored(tmp_path, 8)
    for weights in (frozen["model"], frozen["ema"]["weights"]):
        for name, value in weights.items():
            if name.startswith("6."):
                assert not torch.equal(value, initial[name]), name
            else:  # weights, running statistics and their counter
                assert torch.equal(value, initial[name]), name
    freed = stored(tmp_path, 16)["model"]
    assert not any(torch.equal(freed[name], initial[name]) for name in ("0.weight", "1.running_mean"))
    assert [(row["event"], row["name"], row["step"], row["frozen"]) for row in events(tmp_path)] == [
        ("phase", "head", 0, ["backbone"]),
        ("phase", "all", 8, []),
    ]
    assert [row["phase"] for row in table(tmp_path)] == ["head", "head", "all", "all"]


def test_rates_by_part_are_set_logged_and_written(tiny, task, tmp_path):
    phases = [
        {
            "name": "head",
            "epochs": 1,
            "freeze": ["backbone"],
            "learningRates": {"head": 0.02},
            "warmupEpochs": 0,
        },
        {"name": "all", "learningRates": {"backbone": 0.001, "head": 0.01}, "warmupEpochs": 0},
    ]
    manifest = tiny.tiny_manifest(schedule__epochs=3, schedule__noAugEpochs=0, schedule__phases=phases)
    assert run(manifest, tiny.tiny_options(tmp_path), task) == 0
    rows = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert rows[0]["phase"] == "head"
    assert rows[0]["learning_rates"] == {"backbone": 0.0, "head": pytest.approx(0.02)}
    assert rows[4]["phase"] == "all"
    assert rows[4]["learning_rates"] == {"backbone": pytest.approx(0.001), "head": pytest.approx(0.01)}
    assert rows[4]["learning_rate"] == pytest.approx(0.01)
    last = table(tmp_path)[-1]
    assert float(last["learning_rate/head"]) == pytest.approx(10 * float(last["learning_rate/backbone"]))


def test_a_phase_may_start_from_the_best_weights_with_a_fresh_optimiser(tiny, task, tmp_path):
    phases = [{"name": "a", "epochs": 3}, {"name": "b", "start": "best"}]
    manifest = tiny.tiny_manifest(
        schedule__epochs=4, schedule__phases=phases, checkpoint__keep={"last": 1, "best": 0}
    )
    best_first = functools.partial(task, values={1: 0.9, 2: 0.5, 3: 0.4, 4: 0.3})
    assert run(manifest, tiny.tiny_options(tmp_path), best_first) == 0
    best = stored(tmp_path, 4)  # kept although no best was asked for
    assert all(torch.equal(task.starts[12][name], value) for name, value in best["model"].items())
    assert best["optimizer"]["state"]
    average = stored(tmp_path, 16)["ema"]
    assert average["updates"] == best["ema"]["updates"] + 4


def test_a_phase_that_stops_early_starts_the_next_where_the_plan_has_it(tiny, task, tmp_path):
    """Phase `a` has its best at epoch 1 and a patience of 2: its epochs 4 and 5 are left out."""
    phases = [
        {"name": "a", "epochs": 5, "earlyStopping": {"patience": 2}},
        {"name": "b", "epochs": 2, "learningRates": {"head": 0.01}},
    ]
    manifest = tiny.tiny_manifest(schedule__epochs=7, schedule__phases=phases)
    falling = functools.partial(task, values={n: 1 - 0.1 * n for n in range(1, 10)})
    assert run(manifest, tiny.tiny_options(tmp_path), falling) == 0
    assert [int(row["epoch"]) for row in table(tmp_path)] == [1, 2, 3, 4, 5]
    assert [row["phase"] for row in table(tmp_path)] == ["a"] * 3 + ["b"] * 2
    assert sorted(task.starts) == [*range(12), *range(20, 28)]  # positions of the plan
    state = stored(tmp_path, 20)
    assert (state["step"], state["judged"]["skipped"]) == (20, 8)
    rows = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == list(range(1, 21))
    told = [row for row in events(tmp_path) if row["event"] == "earlyStopping"]
    assert [(row["what"], row["epoch"], row["best"], row["leftOut"]) for row in told] == [
        ("phase a", 3, 1, 2)
    ]


def test_a_run_that_stops_early_says_so(tiny, task, tmp_path):
    manifest = tiny.tiny_manifest(
        schedule__epochs=80, schedule__warmupEpochs=1, schedule__earlyStopping={"patience": 3}
    )
    words = tmp_path / "words"
    options = tiny.tiny_options(tmp_path / "run", pod=PodEnvironment(termination_log=words))
    best_at_two = functools.partial(task, values={1: 0.1, 2: 0.5, 3: 0.5, 4: 0.4, 5: None, 6: 0.6})
    assert run(manifest, options, best_at_two) == 0
    last = Progress.model_validate_json(words.read_bytes())
    assert last.message.startswith(
        "trained 5 of 80 planned epochs; the run stopped early at epoch 5: "
        "AP was best at epoch 2 (patience 3)"
    )
    assert (last.epoch, last.epochs, last.step, last.total_steps) == (5, 80, 20, 20)
    assert last.best is not None
    assert last.best.epoch == 2


def test_patience_of_a_loss_waits_for_less(tiny, task, tmp_path):
    manifest = tiny.tiny_manifest(
        schedule__epochs=10,
        schedule__earlyStopping={"patience": 1},
        evaluation__primaryMetric={"name": "valLoss", "mode": "min"},
    )
    losses = itertools.chain([0.5, 0.4, 0.45], itertools.repeat(9.0))

    class Rising(task):
        def evaluate(self, model, should_stop):
            return super().evaluate(model, should_stop) | {"valLoss": next(losses)}

    assert run(manifest, tiny.tiny_options(tmp_path), Rising) == 0
    assert [float(row["valLoss"]) for row in table(tmp_path)] == [0.5, 0.4, 0.45]


SETTINGS = {
    "schedule__epochs": 9,
    "schedule__microBatchSize": 4,
    "schedule__gradientClip": 0.5,
    "schedule__phases": [
        {"name": "a", "epochs": 4, "freeze": ["backbone"], "earlyStopping": {"patience": 1}},
        {"name": "b", "epochs": 3, "start": "best", "learningRates": {"head": 0.4, "backbone": 0.4}},
        {"name": "c", "start": "best", "learningRates": {"head": 0.01}},
    ],
    "checkpoint__keep": {"last": 1, "best": 1},
}
PLACES = [
    "step@2=TERM",
    "step@5=KILL",
    "evaluate.done=KILL",
    "best.evaluation=KILL",
    "step@8=KILL",
    "epoch.saving=TERM",
    "step@9=KILL",
    "step@9=TERM",
    "step@12=KILL",
    "save.rename=KILL",
    "step@13=TERM",
    "save.discard=KILL",
    "step@17=TERM",
    "final.begin=KILL",
]


@pytest.mark.parametrize("falls", [True, False], ids=["stops-early", "goes-through"])
def test_killed_across_phases_ends_with_the_same_bits(tmp_path, to_the_end, falls):
    """`a` stops early where the metric falls with every epoch; `b` and `c` start from the best weights."""
    environment = {
        "TINY_SETTINGS": json.dumps(SETTINGS),
        "TINY_TASK": json.dumps({"names": PARTS, "falls": falls}),
    }
    untouched, killed = tmp_path / "untouched", tmp_path / "killed"
    assert to_the_end(untouched, **environment) == 0
    codes = [to_the_end(killed, VISTRAIN_TEST_SIGNALS=place, **environment) for place in PLACES]
    assert codes == [75 if place.endswith("TERM") else -9 for place in PLACES]
    assert to_the_end(killed, **environment) == 0
    differing = [part for part in compare(untouched, killed) if not part.identical]
    assert differing == []

    def without_time(rows):
        return [{key: value for key, value in row.items() if key != "time"} for row in rows]

    assert without_time(events(killed)) == without_time(events(untouched))
    assert [row["epoch"] for row in table(killed)] == [row["epoch"] for row in table(untouched)]
    assert len(table(killed)) == (7 if falls else 9)
