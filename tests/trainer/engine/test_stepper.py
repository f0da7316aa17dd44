"""One step: micro-batches add up to the whole batch, clipping, and memory that runs out."""

from __future__ import annotations

import csv
import functools
import json

import pytest
import torch
from torch import nn

from vistrain_trainer.engine.comparison import compare
from vistrain_trainer.engine.losses import Losses
from vistrain_trainer.engine.precision import Precision
from vistrain_trainer.engine.run import run
from vistrain_trainer.engine.state import LossSums, TrainingState
from vistrain_trainer.engine.stepper import Stepper, smaller
from vistrain_trainer.errors import OutOfGpuMemory

CPU = torch.device("cpu")


def weighing(task_class):
    """The tiny task with a loss whose weight differs from image to image, as foreground counts do."""

    class Weighing(task_class):
        def losses(self, model, batch, position):
            logits = model(batch.images).squeeze(1).float()
            weights = 1 + 9 * batch.labels
            each = nn.functional.binary_cross_entropy_with_logits(logits, batch.labels, reduction="none")
            loss = (weights * each).sum()
            return Losses(
                loss, weights.sum(), {"cls": loss.detach()}, {"share": (batch.labels.sum(), weights.sum())}
            )

    return Weighing


@pytest.fixture
def made(tiny):
    """Makes a state of the tiny task in eval mode (no dropout, fixed batch norm) and its stepper."""

    def make(micro_batch, *, precision="fp32", clip=None, may_shrink=True, task_class=None, **settings):
        from vistrain_trainer.engine.task import TaskContext
        from vistrain_trainer.engine.volumes import Volumes

        context = TaskContext(CPU, Volumes({}, in_pod=False), precision)
        task = (task_class or weighing(tiny.TinyTask))(tiny.tiny_manifest(), context, **settings)
        torch.manual_seed(0)
        model = task.build().eval()
        optimizer = torch.optim.SGD(
            [{"params": group.parameters, "name": group.name} for group in task.parameter_groups(model)],
            lr=1.0,
        )
        state = TrainingState(
            model, None, optimizer, Precision(precision, CPU), LossSums(CPU), micro_batch, micro_batch
        )
        shrunk = []
        stepper = Stepper(
            task,
            state,
            CPU,
            gradient_clip=clip,
            may_shrink=may_shrink,
            on_shrink=lambda before, after: shrunk.append((before, after)),
        )
        return state, stepper, shrunk

    return make


@pytest.mark.parametrize("micro_batch", [1, 2, 3, 4])
def test_micro_batches_make_the_step_of_the_whole_batch(tiny, made, micro_batch):
    """Divided by each micro-batch's own weight the gradient would be far off."""
    batch = tiny.make_batch(3, 12)
    whole, stepper, _ = made(12)
    expected = stepper.step(batch, 0)
    split, stepper, _ = made(micro_batch)
    figures = stepper.step(batch, 0)
    assert list(figures) == list(expected) == ["total", "cls", "share"]
    for name, figure in figures.items():
        torch.testing.assert_close(figure, expected[name], rtol=1e-5, atol=1e-6)
    for mine, theirs in zip(split.model.parameters(), whole.model.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-6)


def test_an_fp16_step_is_the_same_in_micro_batches(tiny, made):
    batch = tiny.make_batch(3, 12)
    states = []
    for micro_batch in (12, 3):
        state, stepper, _ = made(micro_batch, precision="fp16")
        stepper.step(batch, 0)
        states.append(state)
    for mine, theirs in zip(states[1].model.parameters(), states[0].model.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-2, atol=1e-4)


@pytest.mark.parametrize("micro_batch", [12, 3])
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_a_long_gradient_is_clipped_to_the_norm(tiny, made, micro_batch, precision):
    batch = tiny.make_batch(3, 12)
    state, stepper, _ = made(micro_batch, precision=precision, clip=1e-3)
    before = [parameter.detach().clone() for parameter in state.model.parameters()]
    stepper.step(batch, 0)
    moved = [
        after.detach() - earlier for after, earlier in zip(state.model.parameters(), before, strict=True)
    ]
    norm = torch.stack([part.square().sum() for part in moved]).sum().sqrt()
    assert norm.item() == pytest.approx(1e-3, rel=1e-2)  # at a rate of 1 the step is the gradient


@pytest.mark.parametrize(
    ("batch", "micro_batch", "expected"),
    [(8, 8, 4), (24, 24, 12), (24, 12, 6), (9, 9, 3), (7, 7, 1), (12, 3, 1)],
)
def test_the_next_micro_batch_is_the_largest_divisor_of_at_most_half(batch, micro_batch, expected):
    assert smaller(batch, micro_batch) == expected


def test_memory_that_runs_out_leaves_no_trace_of_the_failed_try(tiny, made):
    """Batch norm and dropout on: statistics and generators are as if the smaller size had come first."""
    batch = tiny.make_batch(3, 8)
    results = []
    for micro_batch, room in ((8, 3), (2, None)):
        state, stepper, shrunk = made(micro_batch, task_class=tiny.TinyTask, room=room)
        state.model.train()
        torch.manual_seed(5)
        stepper.step(batch, 0)
        results.append((dict(state.model.state_dict()), torch.get_rng_state(), shrunk))
    (failed, generator, shrunk), (direct, direct_generator, _) = results
    assert shrunk == [(8, 4), (4, 2)]
    assert torch.equal(generator, direct_generator)
    assert all(torch.equal(value, direct[name]) for name, value in failed.items())


def test_memory_for_no_image_at_all_is_exit_65(tiny, made):
    _, stepper, shrunk = made(8, task_class=tiny.TinyTask, room=0)
    with pytest.raises(OutOfGpuMemory, match="one image"):
        stepper.step(tiny.make_batch(3, 8), 0)
    assert shrunk == [(8, 4), (4, 2), (2, 1)]


def test_a_run_that_may_not_shrink_fails_and_says_what_to_do(tiny, tmp_path):
    manifest = tiny.tiny_manifest(resilience__onGpuOutOfMemory="fail")
    folder = tmp_path / "run"
    assert run(manifest, tiny.tiny_options(folder), functools.partial(tiny.TinyTask, room=4, crowded=6)) == 65
    end = json.loads((folder / "attempts.jsonl").read_text().splitlines()[-1])
    assert end["failure"] == "OutOfMemoryGpu"
    assert "spec.resilience.onGpuOutOfMemory: shrinkMicroBatch" in end["message"]


def test_a_run_carries_on_with_smaller_micro_batches_and_never_tries_the_larger_again(tmp_path, to_the_end):
    """Memory gets scarce at position 6. One run is killed after that, resumes from before and from after."""
    scarce = {"TINY_TASK": json.dumps({"room": 4, "crowded": 6})}
    untouched, killed = tmp_path / "untouched", tmp_path / "killed"
    assert to_the_end(untouched, **scarce) == 0
    for place in ("step@7=KILL", "step@9=TERM", "step@10=KILL"):
        assert to_the_end(killed, VISTRAIN_TEST_SIGNALS=place, **scarce) in (-9, 75)
    # Enough room again: a resume that tried 8 at once would end elsewhere.
    assert to_the_end(killed) == 0
    assert all(part.identical for part in compare(untouched, killed))
    rows = [json.loads(line) for line in (killed / "events.jsonl").read_text().splitlines()]
    assert [(row["event"], row["step"], row["before"], row["after"]) for row in rows] == [
        ("microBatch", 6, 8, 4)
    ]
    table = list(csv.DictReader((killed / "metrics.csv").read_text().splitlines()))
    assert [row["epoch"] for row in table] == ["1", "2", "3"]
