"""Sentences: right for none, one and many, and every number from the run's own files."""

from __future__ import annotations

import csv
import re
from datetime import datetime

import pytest

from vistrain_trainer.reporting.history import read_history
from vistrain_trainer.reporting.prose import tell
from vistrain_trainer.reporting.sentences import Fact, Sentence
from vistrain_trainer.reporting.wording import number


def texts(folder):
    return [str(sentence) for sentence in tell(read_history(folder))]


def epochs(losses, metrics, seconds=90.0):
    return [
        {"epoch": epoch, "step": 4 * epoch, "seconds": seconds, "loss/total": loss, "AP": metric}
        for epoch, (loss, metric) in enumerate(zip(losses, metrics, strict=True), start=1)
    ]


def test_a_run_that_was_stopped_and_killed(interrupted):
    history = read_history(interrupted)
    told = texts(interrupted)
    assert told[0].startswith("The run tiny has trained all its 3 epochs (12 optimiser steps), which took ")
    assert told[1].startswith("It is finished, with exit code 0: trained 3 epochs; best AP ")
    place = told.index("It was interrupted twice.")
    pause = history.interruptions[0].idle_seconds
    assert re.fullmatch(
        r"Attempt 1 ended at step 5 \(stopped on request\); attempt 2 went on from step 5, [\d.]+ s later; "
        r"no steps were executed again\.",
        told[place + 1],
    )
    assert told[place + 2] == (
        "Attempt 2 ended at step 7 (without a word, as when killed); attempt 3 went on from step 5; "
        "2 steps were executed again."
    )
    assert told[place + 3].startswith(
        "Together the interruptions cost, as far as is known, 2 repeated steps and "
    )
    spent = float(re.search(r"([\d.]+) s without training\.$", told[place + 3])[1])
    assert spent == pytest.approx(pause, rel=0.06)


def test_every_number_is_a_fact_and_every_fact_of_a_row_is_in_the_file(interrupted, untouched):
    for folder in (interrupted, untouched):
        rows = {
            row["epoch"]: row for row in csv.DictReader((folder / "metrics.csv").read_text().splitlines())
        }
        found = 0
        for sentence in tell(read_history(folder)):
            bare = str(sentence)
            for fact in sentence.facts.values():
                assert fact.text in bare
                assert fact.source
                cell = re.fullmatch(r"metrics\.csv: epoch (\d+), (\S+)", fact.source)
                if cell is not None:
                    assert fact.text == number(float(rows[cell[1]][cell[2]]))
                    found += 1
            for fact in sorted(sentence.facts.values(), key=lambda fact: -len(fact.text)):
                bare = bare.replace(fact.text, "")
            assert not re.search(r"\d", bare), sentence
            assert re.fullmatch(r"[A-Z].*[^.]\.", str(sentence))
        assert found >= 5


def test_a_run_that_has_begun_only(made):
    assert texts(made()) == [
        "The run made has executed no optimiser steps and completed no epoch; its manifest plans 3 epochs."
    ]


@pytest.mark.parametrize(
    ("count", "planned", "begin"),
    [
        (
            1,
            1,
            "The run made has trained its 1 epoch (4 optimiser steps), which took 1 min 30 s of training, ",
        ),
        (1, 5, "The run made has trained 1 of its 5 epochs (4 optimiser steps), which took 1 min 30 s of "),
        (3, 3, "The run made has trained all its 3 epochs (12 optimiser steps), which took 4 min 30 s of "),
    ],
)
def test_how_far(made, count, planned, begin):
    folder = made(
        epochs([2.0] * count, [0.1] * count),
        schedule__epochs=planned,
        schedule__warmupEpochs=0,
        schedule__noAugEpochs=0,
    )
    told = texts(folder)[0]
    assert told.startswith(begin)
    assert told.endswith("not counted." if count == 1 else "not counted, or 1 min 30 s an epoch.")


def test_a_single_step(made):
    folder = made()
    (folder / "log.jsonl").write_text('{"step":1,"epoch":1,"loss":{"total":1.5}}\n')
    assert "has executed 1 optimiser step and completed no epoch" in texts(folder)[0]


@pytest.mark.parametrize(
    ("losses", "said"),
    [
        ([4.0], "The mean training loss of epoch 1 was 4."),
        ([4.0, 5.0, 3.0], "The mean training loss fell from 4 in epoch 1 to 3 in epoch 3, by 25 %."),
        ([4.0, 5.0], "The mean training loss rose from 4 in epoch 1 to 5 in epoch 2, by 25 %."),
        ([4.0, 5.0, 4.0], "The mean training loss was 4 in epoch 1, and the same in epoch 3."),
        ([-1.0, -2.0], "The mean training loss fell from -1 in epoch 1 to -2 in epoch 2."),
    ],
)
def test_the_loss(made, losses, said):
    assert said in texts(made(epochs(losses, [""] * len(losses))))


@pytest.mark.parametrize(
    ("values", "mode", "said"),
    [
        (["", ""], "max", "The primary metric, AP, has no value yet."),
        (["", 0.2], "max", "The only evaluation, in epoch 2, gave AP 0.2."),
        ([0.1, 0.2], "max", "The highest AP of 2 evaluations was the last, 0.2 in epoch 2."),
        (
            [0.1, 0.3, 0.2],
            "max",
            "The highest AP of 3 evaluations was 0.3, in epoch 2; the last, in epoch 3, gave 0.2.",
        ),
        (
            [0.3, 0.1, 0.3],
            "max",
            "The highest AP of 3 evaluations was 0.3, first reached in epoch 1 and again in the last, "
            "epoch 3.",
        ),
        (
            [0.9, 0.3, 0.5],
            "min",
            "The lowest valLoss of 3 evaluations was 0.3, in epoch 2; the last, in epoch 3, gave 0.5.",
        ),
    ],
)
def test_the_best(made, values, mode, said):
    name = "AP" if mode == "max" else "valLoss"
    rows = [{"epoch": epoch, "step": 4 * epoch, name: value} for epoch, value in enumerate(values, start=1)]
    assert said in texts(made(rows, evaluation__primaryMetric={"name": name, "mode": mode}))


def test_stability_with_and_without_a_warm_up(made):
    rows = epochs([9.0, 4.0, 4.0], [0.1, 0.2, ""])
    told = texts(made(rows))
    assert (
        "After the warm-up, the training loss varied by 0 % of its mean over 2 values: very stable." in told
    )
    assert not any(" AP varied" in text for text in told)
    told = texts(made(rows, name="cold", schedule__warmupEpochs=0))
    assert "Over all epochs, AP varied by 33.3 % of its mean over 2 values: unstable." in told


@pytest.mark.parametrize(
    ("training", "validation", "said"),
    [
        (
            0.4,
            0.7,
            "Alert: in epoch 1 the validation loss, 0.7, lay 0.3 above the training loss, 0.4: more than ",
        ),
        (
            0.4,
            0.45,
            "In epoch 1 the validation loss, 0.45, lay 0.05 above the training loss, 0.4: within the limit ",
        ),
        (0.4, 0.3, "In epoch 1 the validation loss, 0.3, lay 0.1 below the training loss, 0.4."),
        (0.5, 0.5, "In epoch 1 the validation loss, 0.5, equalled the training loss."),
    ],
)
def test_the_gap(made, training, validation, said):
    told = texts(made([{"epoch": 1, "step": 4, "loss/total": training, "valLoss": validation}]))
    assert any(text.startswith(said) for text in told)


def begun(told, attempt, second, restored):
    return told(attempt, "start", second, restoredStep=restored)


def ended(told, attempt, second, step, code=75, failure=None):
    return told(attempt, "end", second, lastStep=step, exitCode=code, failure=failure, message="said.")


def test_nothing_or_one_thing_interrupted_it(made, told):
    assert texts(made(attempts=[begun(told, 1, 0, None)], name="a"))[1:] == [
        "Its latest attempt has not said how it ended: it still runs, or was killed.",
        "Nothing has interrupted it.",
    ]
    rows = [begun(told, 1, 0, None), ended(told, 1, 9, 7), begun(told, 2, 70, 6)]
    assert texts(made(attempts=rows, name="b"))[2:] == [
        "It was interrupted once.",
        "Attempt 1 ended at step 7 (stopped on request); attempt 2 went on from step 6, 1 min 1 s later; "
        "1 step was executed again.",
    ]


def test_an_end_that_nothing_followed(made, told):
    rows = [begun(told, 1, 0, None), ended(told, 1, 9, 7, 74, "StorageFault")]
    assert texts(made(attempts=rows))[1:] == [
        "It was interrupted once.",
        "Attempt 1 ended at step 7 (StorageFault, exit code 74), and the run has not gone on since.",
    ]


def test_starts_that_came_to_nothing(made, told):
    rows = [ended(told, 1, 3, 0, 64, "BadInput")]
    assert "After 1 start it has not come to train; the last said: said." in texts(
        made(attempts=rows, name="a")
    )
    rows = [begun(told, 1, 0, None), ended(told, 2, 3, 0, 64, "BadInput"), begun(told, 3, 9, None)]
    assert texts(made(attempts=rows, name="b"))[2:] == [
        "It was interrupted once.",
        "Attempt 1 ended (without a word, as when killed); attempt 3 began again from the start, "
        "after 1 start that came to no training; how many steps were executed again is not known.",
    ]


def test_of_many_interruptions_the_costliest_is_told_and_the_sum(made, told):
    rows = []
    for attempt in range(1, 6):
        rows += [
            begun(told, attempt, 100 * attempt, 10 * (attempt - 1) or None),
            ended(told, attempt, 100 * attempt + 90, 10 * attempt + (5 if attempt == 3 else 0)),
        ]
    folder = made(attempts=[*rows, begun(told, 6, 600, 50)])
    assert texts(folder)[2:] == [
        "It was interrupted 5 times.",
        "The most steps were lost when attempt 3 ended at step 35 (stopped on request); attempt 4 went on "
        "from step 30, 10 s later; 5 steps were executed again.",
        "Together the interruptions cost 5 repeated steps and 50 s without training.",
    ]
    first = read_history(folder).attempts[0]
    assert first.started_at == datetime.fromisoformat("2026-01-01T00:01:40Z")


def test_what_could_not_be_read_is_told(copy):
    (copy / "status.yaml").write_text("[")
    assert texts(copy)[-1].startswith("Not everything could be read: status.yaml is left out: ")


@pytest.mark.parametrize("template", ["{name} ends", "it has 3 epochs"])
def test_a_number_without_a_source_is_refused(template):
    with pytest.raises(ValueError, match="a fact without a source"):
        Sentence(template, {"name": Fact("a", "b")})


def test_facts_are_not_read_as_templates():
    sentence = Sentence("it says {said}", {"said": Fact("{x} 3.", "message"), "other": Fact("1", "nowhere")})
    assert str(sentence) == "It says {x} 3."
    assert set(sentence.facts) == {"said"}
