"""Runs side by side: ranks, bests, differences."""

from __future__ import annotations

import pytest

from vistrain_trainer.errors import BadInput
from vistrain_trainer.reporting.comparison import compare_runs
from vistrain_trainer.reporting.history import read_history


def curve(name, values, seconds=100.0):
    return [
        {"epoch": epoch, "step": 4 * epoch, "seconds": seconds, name: value}
        for epoch, value in enumerate(values, start=1)
    ]


def test_trained_runs_are_ranked_and_their_differences_told(interrupted, untouched):
    found = compare_runs([read_history(interrupted), read_history(untouched)])
    assert (found.metric, found.mode, found.same_data) == ("AP", "max", True)
    first, second = found.standings
    assert (first.rank, first.history.folder) == (1, untouched)
    assert (second.rank, second.history.folder) == (2, interrupted)
    assert first.label == "tiny (untouched)"
    assert (first.best["AP"], first.last["AP"]) == ((2, 0.5), (4, 0.3))
    assert first.best["valLoss"].value == min(first.history.over_epochs("valLoss").values)
    seconds = first.history.over_epochs("seconds").values
    assert first.hours_to_best == pytest.approx((seconds[0] + seconds[1]) / 3600)
    test = {"annotations": "test.json", "images": "images"}
    assert {one.field: one.values for one in found.differences} == {
        "spec.schedule.epochs": (4, 3),
        "spec.schedule.seed": (1, 0),
        "spec.dataset.test.annotations": (test["annotations"], None),
        "spec.dataset.test.images": (test["images"], None),
    }


@pytest.mark.parametrize(("mode", "ranks"), [("max", ["b", "a", "c"]), ("min", ["a", "c", "b"])])
def test_the_mode_decides(made, mode, ranks):
    name = "AP" if mode == "max" else "valLoss"
    values = {"a": [0.3, 0.5], "b": [0.7, 0.6], "c": [0.4, 0.4]}
    primary = {"name": name, "mode": mode}
    runs = [
        read_history(made(curve(name, rows), name=run, evaluation__primaryMetric=primary))
        for run, rows in values.items()
    ]
    found = compare_runs(runs)
    assert [one.label for one in found.standings] == ranks
    assert [one.rank for one in found.standings] == [1, 2, 3]


def test_equal_runs_share_a_rank_and_a_run_without_a_value_has_none(made):
    values = {"a": [""], "b": [0.4], "c": [0.5], "d": [0.4], "e": [0.1]}
    runs = [read_history(made(curve("AP", rows), name=run)) for run, rows in values.items()]
    standings = compare_runs(runs).standings
    assert [(one.label, one.rank) for one in standings] == [
        ("c", 1),
        ("b", 2),
        ("d", 2),
        ("e", 4),
        ("a", None),
    ]
    assert (standings[-1].best["AP"], standings[-1].last["AP"], standings[-1].hours_to_best) == (
        None,
        None,
        None,
    )


def test_hours_are_unknown_where_an_epoch_has_no_time(made):
    rows = curve("AP", [0.1, 0.2, 0.3], seconds=1800)
    whole = read_history(made(rows, name="whole"))
    assert compare_runs([whole]).standings[0].hours_to_best == 1.5
    rows[1]["seconds"] = ""
    assert compare_runs([read_history(made(rows, name="part"))]).standings[0].hours_to_best is None


def test_runs_of_different_primary_metrics_need_a_metric(made):
    rows = [{"epoch": 1, "step": 4, "AP": 0.1, "valLoss": 0.9}]
    first = read_history(made(rows, name="a"))
    other = {"name": "valLoss", "mode": "min"}
    second = read_history(made(rows, name="b", evaluation__primaryMetric=other))
    with pytest.raises(
        BadInput, match=r"primaryMetric: AP \(a\), valLoss \(b\): the runs are judged by diff"
    ):
        compare_runs([first, second])
    assert compare_runs([first, second], "valLoss").mode == "min"
    assert compare_runs([first, second], "AP").metrics == ("AP", "valLoss")
    with pytest.raises(BadInput, match=r"metric: AP99: no run has it. Name one of AP, valLoss"):
        compare_runs([first, second], "AP99")


def test_nothing_and_the_same_run_twice_are_refused(made):
    with pytest.raises(BadInput, match="nothing to compare"):
        compare_runs([])
    run = read_history(made())
    with pytest.raises(BadInput, match="named more than once"):
        compare_runs([run, run])


def test_only_fields_that_differ_are_told_and_lists_are_one_value(made):
    gates = [{"metric": "AP50", "min": 0.3}]
    a = read_history(made(name="a", schedule__optimizer={"adamw": {}}, evaluation__gates=gates))
    b = read_history(made(name="b"))
    found = {one.field: one.values for one in compare_runs([a, b]).differences}
    assert found.pop("spec.evaluation.gates") == (gates, [])
    assert found == {
        "spec.schedule.optimizer.adamw.betas": ([0.9, 0.999], None),
        "spec.schedule.optimizer.adamw.weightDecay": (0.01, None),
        "spec.schedule.optimizer.sgd.momentum": (None, 0.9),
        "spec.schedule.optimizer.sgd.nesterov": (None, True),
        "spec.schedule.optimizer.sgd.weightDecay": (None, 5e-4),
    }
    assert compare_runs([b]).differences == ()


def test_runs_on_other_data_are_told(made):
    runs = []
    for name in ("a", "b"):
        folder = made(name=name)
        (folder / "identity.json").write_text(f'{{"task": {{"data": "{name}"}}}}')
        runs.append(read_history(folder))
    assert not compare_runs(runs).same_data
