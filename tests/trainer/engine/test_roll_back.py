"""A loss that is not finite: back to the last good epoch and on with a lower rate, a stated number of times.

The overflow is a real one: a squared loss at a rate far too high leaves float32's range within a few steps.
"""

from __future__ import annotations

import csv
import functools
import json

import pytest
import torch

from vistrain_api.protocol import Progress
from vistrain_trainer.engine.checkpoint import open_checkpoint
from vistrain_trainer.engine.comparison import compare
from vistrain_trainer.engine.options import PodEnvironment
from vistrain_trainer.engine.run import run
from vistrain_trainer.engine.signals import request

CALM, WILD = 0.01, 10.0
SETTINGS = {
    "schedule__epochs": 5,
    "schedule__phases": [
        {"name": "calm", "epochs": 2, "learningRate": {"peak": CALM}},
        {"name": "wild", "learningRate": {"peak": WILD}},
    ],
    "resilience__onNaN": {"rollBack": {"max": 2, "learningRateFactor": 0.001}},
}


@pytest.fixture
def steep(tiny):
    return functools.partial(tiny.TinyTask, steep=True)


@pytest.fixture
def go(tiny, tmp_path):
    """Runs an attempt; its code and last words."""

    def start(folder, task, **settings):
        words = tmp_path / "words"
        options = tiny.tiny_options(folder, pod=PodEnvironment(termination_log=words))
        code = run(tiny.tiny_manifest(**SETTINGS | settings), options, task)
        return code, Progress.model_validate_json(words.read_bytes())

    return start


def events(folder, name):
    rows = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    return [row for row in rows if row["event"] == name]


def epochs(folder):
    with (folder / "metrics.csv").open() as file:
        return [int(row["epoch"]) for row in csv.DictReader(file)]


def log_steps(folder):
    return [json.loads(line)["step"] for line in (folder / "log.jsonl").read_text().splitlines()]


def test_goes_back_to_the_last_good_epoch_and_on_with_a_lower_rate(steep, go, tmp_path):
    code, last = go(tmp_path / "run", steep)
    assert code == 0
    assert (last.step, last.epoch) == (20, 5)
    (told,) = events(tmp_path / "run", "rollBack")
    assert (told["step"], told["epoch"], told["number"], told["rateFactor"]) == (8, 2, 1, 0.001)
    assert 8 < told["from"] <= 12
    assert any(note.startswith(f"went back from step {told['from']} to 8 (1 of 2") for note in last.notes)
    assert log_steps(tmp_path / "run") == list(range(1, 21))
    assert epochs(tmp_path / "run") == [1, 2, 3, 4, 5]
    rows = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert rows[8]["learning_rate"] == pytest.approx(WILD * 0.001)
    state = open_checkpoint(tmp_path / "run" / "checkpoints" / "step-000000020").load()
    assert (state["roll_backs"], state["rate_factor"]) == (1, 0.001)
    assert all(value.isfinite().all() for value in state["model"].values())


def test_before_the_first_epochs_end_it_goes_back_to_the_start(steep, go, tmp_path):
    phases = [{"name": "wild", "learningRate": {"peak": WILD}, "warmupEpochs": 0}]
    code, _ = go(tmp_path / "run", steep, schedule__phases=phases)
    assert code == 0
    (told,) = events(tmp_path / "run", "rollBack")
    assert (told["step"], told["number"]) == (0, 1)
    assert log_steps(tmp_path / "run") == list(range(1, 21))
    code, _ = go(
        tmp_path / "calm",
        steep,
        schedule__phases=[phases[0] | {"learningRate": {"peak": WILD * 0.001}}],
    )
    assert code == 0
    weights = [
        torch.load(tmp_path / name / "weights" / "last.pth", weights_only=True)["model"]
        for name in ("run", "calm")
    ]
    for name, value in weights[0].items():  # as if the lower rate had been there from the first step on
        torch.testing.assert_close(value, weights[1][name])


def test_a_stated_number_of_times_then_exit_66(steep, go, tmp_path):
    gentle = {"rollBack": {"max": 2, "learningRateFactor": 0.9}}
    code, last = go(tmp_path / "run", steep, resilience__onNaN=gentle)
    assert (code, last.failure) == (66, "NumericalDivergence")
    assert last.message.startswith("after 2 roll-backs, the loss is not finite")
    assert [row["number"] for row in events(tmp_path / "run", "rollBack")] == [1, 2]
    assert events(tmp_path / "run", "rollBack")[1]["rateFactor"] == pytest.approx(0.81)
    assert last.last_checkpoint is not None
    assert last.last_checkpoint.step == 8
    again, last = go(tmp_path / "run", steep, resilience__onNaN=gentle)  # the count is on the volume
    assert again == 66
    assert len(events(tmp_path / "run", "rollBack")) == 2


def test_to_fail_at_once_may_be_stated(steep, go, tmp_path):
    code, last = go(tmp_path / "run", steep, resilience__onNaN={"fail": {}})
    assert (code, last.failure) == (66, "NumericalDivergence")
    assert not events(tmp_path / "run", "rollBack")


def test_weights_that_are_not_finite_are_no_good_checkpoint(tiny, go, tmp_path):
    """The losses are finite, the gradient of the last step of epoch 3 is not: only the save can see it."""

    def overflow(parameter):
        parameter.grad.fill_(torch.inf)

    class Broken(tiny.TinyTask):
        broken = False

        def losses(self, model, batch, position):
            weight = model[0].weight
            if position == 11 and not Broken.broken:
                Broken.broken = True
                weight.register_post_accumulate_grad_hook(overflow)
            elif weight._post_accumulate_grad_hooks:
                weight._post_accumulate_grad_hooks.clear()
            return super().losses(model, batch, position)

    calm = [{"name": "a", "epochs": 5}]
    code, _ = go(tmp_path / "run", Broken, schedule__phases=calm, checkpoint__keep={"last": 100})
    assert code == 0
    (told,) = events(tmp_path / "run", "rollBack")
    assert told["step"] == 8
    for folder in (tmp_path / "run" / "checkpoints").glob("step-*"):
        state = open_checkpoint(folder).load()
        assert all(value.isfinite().all() for value in state["model"].values()), folder


def test_a_stop_request_in_the_midst_of_divergence_is_still_a_stop(steep, go, tmp_path):
    """Nothing good is there to save: the next start goes on from before, and goes back then."""
    seen = []

    class Stopping(steep.func):
        def losses(self, model, batch, position):
            losses = super().losses(model, batch, position)
            if not losses.total.isfinite() and not seen:
                seen.append(position)
                request.requested_at, request.signal_name = 1.0, "SIGTERM"
            return losses

    class Quiet(Stopping):
        """No row of the log is due before the stop: nobody has looked at the loss."""

    from vistrain_trainer.engine import loop

    log = loop.Loop._log
    loop.Loop._log = lambda self, losses: None if not seen or request() else log(self, losses)  # type: ignore[method-assign]
    try:
        code, last = go(tmp_path / "run", functools.partial(Quiet, steep=True))
    finally:
        loop.Loop._log = log  # type: ignore[method-assign]
    assert (code, last.last_checkpoint.step) == (75, 8)
    request.__init__()
    code, last = go(tmp_path / "run", steep)
    assert code == 0
    assert [row["step"] for row in events(tmp_path / "run", "rollBack")] == [8]


def test_killed_around_roll_backs_ends_with_the_same_bits(tmp_path, to_the_end):
    environment = {"TINY_SETTINGS": json.dumps(SETTINGS), "TINY_TASK": json.dumps({"steep": True})}
    untouched, killed = tmp_path / "untouched", tmp_path / "killed"
    assert to_the_end(untouched, **environment) == 0
    places = [
        "step@5=KILL",
        "step@9=TERM",  # a checkpoint of the wild stretch, which a roll-back must not go back to
        "step@10=KILL",
        "rollback.told=KILL",
        "rollback.written=KILL",
        "step@9=KILL",
        "step@10=TERM",
        "step@13=KILL",
        "save.rename=KILL",
        "step@17=TERM",
        "final.export=KILL",
    ]
    codes = [to_the_end(killed, VISTRAIN_TEST_SIGNALS=place, **environment) for place in places]
    assert codes == [75 if place.endswith("TERM") else -9 for place in places]
    assert to_the_end(killed, **environment) == 0
    assert [part for part in compare(untouched, killed) if not part.identical] == []
    assert log_steps(killed) == log_steps(untouched) == list(range(1, 21))
    assert epochs(killed) == [1, 2, 3, 4, 5]
    assert len(events(killed, "rollBack")) == 1


def test_killed_around_a_roll_back_to_the_start_ends_with_the_same_bits(tmp_path, to_the_end):
    phases = [{"name": "wild", "learningRate": {"peak": WILD}, "warmupEpochs": 0}]
    settings = SETTINGS | {"schedule__phases": phases}
    environment = {"TINY_SETTINGS": json.dumps(settings), "TINY_TASK": json.dumps({"steep": True})}
    untouched, killed = tmp_path / "untouched", tmp_path / "killed"
    assert to_the_end(untouched, **environment) == 0
    places = ["step@1=KILL", "step@2=TERM", "rollback.told=KILL", "save.rename=KILL", "rollback.saved=KILL"]
    places += ["step@1=KILL", "step@2=TERM", "step@6=KILL"]
    codes = [to_the_end(killed, VISTRAIN_TEST_SIGNALS=place, **environment) for place in places]
    assert codes == [75 if place.endswith("TERM") else -9 for place in places]
    assert to_the_end(killed, **environment) == 0
    assert [part for part in compare(untouched, killed) if not part.identical] == []
