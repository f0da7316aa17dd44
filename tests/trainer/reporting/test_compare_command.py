"""`vistrain compare`: ranks, overlaid curves, and what is not comparable."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from support.pages import Page
from vistrain_trainer.cli.app import app
from vistrain_trainer.reporting.comparability import obstacles
from vistrain_trainer.reporting.comparison import compare_runs
from vistrain_trainer.reporting.history import read_history
from vistrain_trainer.reporting.wording import number


def compare(*arguments: object):
    return CliRunner().invoke(app, ["compare", *map(str, arguments)])


def test_ranks_curves_settings_and_cost(interrupted, untouched, tmp_path):
    result = compare(interrupted, untouched, "--output", tmp_path / "out")
    assert result.exit_code == 0, result.output
    page = Page((tmp_path / "out" / "index.html").read_text())
    ranking, _ = page.tables["ranks"]
    histories = {folder.name: read_history(folder) for folder in (interrupted, untouched)}
    best = {name: history.over_epochs("AP").best("max").value for name, history in histories.items()}
    order = sorted(best, key=best.__getitem__, reverse=True)
    assert [row[1] for row in ranking.rows[1:]] == [f"tiny ({name})" for name in order]
    assert [row[3] for row in ranking.rows[1:]] == [number(best[name]) for name in order]
    curves = {line["label"]: line for line in page.charts["chart-compare-AP"]["lines"]}
    for slot, folder in enumerate((interrupted, untouched), start=1):
        line = curves[f"tiny ({folder.name})"]
        assert line["color"] == slot
        assert line["y"] == pytest.approx(histories[folder.name].over_epochs("AP").values, rel=1e-5)
    differences = page.tables["settings"][0].by_first
    assert set(differences) == {"spec.dataset.test", "spec.schedule.epochs", "spec.schedule.seed"} or (
        "spec.schedule.seed" in differences
    )
    cost = page.tables["cost"][0].by_first
    assert cost["tiny (interrupted)"][7:] == ["2", "2"]
    assert cost["tiny (untouched)"][7:] == ["0", "0"]
    assert all(address.startswith("data:") for address in page.addresses)
    document = json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert [run["label"] for run in document["runs"]] == [f"tiny ({name})" for name in order]


def test_colours_stay_with_the_order_of_naming(interrupted, untouched, tmp_path):
    colors = []
    for folders in ((interrupted, untouched), (untouched, interrupted)):
        assert compare(*folders, "--output", tmp_path / "out").exit_code == 0
        lines = Page((tmp_path / "out" / "index.html").read_text()).charts["chart-compare-AP"]["lines"]
        colors.append({line["label"]: line["color"] for line in lines})
    assert colors[0] == {"tiny (interrupted)": 1, "tiny (untouched)": 2}
    assert colors[1] == {"tiny (interrupted)": 2, "tiny (untouched)": 1}


@pytest.fixture
def pair(made):
    """Makes two runs with the given records of their data and settings."""

    def make(first: dict, second: dict, settings: dict | None = None):
        folders = []
        for name, data in (("one", first), ("two", second)):
            rows = [{"epoch": 1, "step": 4, "loss/total": 1.0, "AP": 0.5}]
            folder = made(rows, name=name, **(settings or {} if name == "two" else {}))
            (folder / "identity.json").write_text(json.dumps({"task": data}))
            folders.append(folder)
        return folders

    return make


DATA = {"data": {"train": "a" * 64, "validation": "b" * 64}, "classes": ["square"]}


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (DATA | {"classes": ["circle"]}, "means over different classes"),
        (DATA | {"data": {"train": "a" * 64, "validation": "c" * 64}}, "of different pictures"),
    ],
)
def test_other_classes_or_validation_data_are_refused(pair, tmp_path, other, said):
    folders = pair(DATA, other)
    result = compare(*folders, "--output", tmp_path / "out")
    assert result.exit_code == 64
    assert said in result.output
    assert "--anyway" in result.output
    assert not (tmp_path / "out").exists()
    forced = compare(*folders, "--output", tmp_path / "out", "--anyway")
    assert forced.exit_code == 0
    assert "not comparable: " in forced.output
    assert said in (tmp_path / "out" / "index.html").read_text()


def test_other_training_data_and_thresholds_are_said(pair, tmp_path):
    other = DATA | {"data": {"train": "d" * 64, "validation": "b" * 64}}
    folders = pair(DATA, other, {"evaluation__confidence": 0.25})
    found = obstacles(compare_runs([read_history(folder) for folder in folders]))
    assert [one.what for one in found] == ["the digest of the training data", "spec.evaluation.confidence"]
    assert not any(one.refuses for one in found)
    assert str(found[1]) == (
        "spec.evaluation.confidence differs: 0.01 in one; 0.25 in two. Metrics count different detections"
    )
    result = compare(*folders, "--output", tmp_path / "out", "--json")
    assert result.exit_code == 0
    assert len(json.loads(result.output)["notComparable"]) == 2


def test_equal_runs_have_nothing_between_them(pair):
    assert obstacles(compare_runs([read_history(folder) for folder in pair(DATA, DATA)])) == ()


def test_refuses_what_is_no_run(interrupted, tmp_path):
    assert compare(interrupted, tmp_path).exit_code == 64
    assert compare(interrupted, interrupted).exit_code == 64
    assert compare(interrupted, "--metric", "AP99", "--output", tmp_path / "out").exit_code == 64
