"""The files of a report: equal numbers in every form, figures fit for print, written again and again."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil

import pytest
from PIL import Image
from typer.testing import CliRunner

from support.pages import Page
from vistrain_api.protocol import GpuMemory
from vistrain_trainer.cli.app import app
from vistrain_trainer.engine.run import run
from vistrain_trainer.errors import BadInput
from vistrain_trainer.reporting.figures import DPI
from vistrain_trainer.reporting.files import FORMATS, write_report
from vistrain_trainer.reporting.headlines import headlines
from vistrain_trainer.reporting.history import read_history
from vistrain_trainer.reporting.report import read_report
from vistrain_trainer.reporting.wording import number
from vistrain_trainer.telemetry.nvml import GpuReader, GpuReading


@pytest.fixture(scope="module")
def written(interrupted, tmp_path_factory):
    folder = tmp_path_factory.mktemp("reports") / "whole"
    write_report(interrupted, folder)
    return folder


def test_all_forms_say_the_same(interrupted, written):
    history = read_history(interrupted)
    ap = history.over_epochs("AP")
    rows = list(csv.DictReader(io.StringIO((written / "metrics.csv").read_text())))
    assert [float(row["AP"]) for row in rows] == list(ap.values)
    assert [int(row["step"]) for row in rows] == [4, 8, 12]
    document = json.loads((written / "metrics.json").read_text())
    assert document["curves"]["AP"] == {"epoch": [1, 2, 3], "value": list(ap.values)}
    assert (document["state"], document["epochs"]) == ("finished", {"done": 3, "planned": 3})
    best = ap.best("max")
    assert document["best"][0] | {"checkpoint": "", "weights": ""} == {
        "measure": "AP",
        "value": best.value,
        "epoch": best.at,
        "step": 4 * best.at,
        "checkpoint": "",
        "weights": "",
    }
    shown = number(best.value)
    text = (written / "report.md").read_text()
    assert f"| AP \\(max\\) | {shown} |" in text or f"| AP (max) | {shown} |" in text
    assert shown in (written / "table.tex").read_text()
    page = Page((written / "index.html").read_text())
    assert page.tables["metrics"][0].by_first["AP"][0] == shown
    for table in document["tables"].values():
        assert table["rows"]
    assert len(document["sentences"]) == sum(map(len, read_report(interrupted).paragraphs))


def test_figures_are_fit_for_print(written):
    names = {path.stem for path in (written / "figures").glob("*.png")}
    assert {
        "loss",
        "loss-parts",
        "learning-rate",
        "metrics",
        "seconds-per-epoch",
        "images-per-second",
    } <= names
    assert names == {path.stem for path in (written / "figures").glob("*.svg")}
    for path in (written / "figures").glob("*.png"):
        with Image.open(path) as picture:
            assert picture.info["dpi"] == pytest.approx((DPI, DPI), abs=0.5)
            assert picture.width == pytest.approx(6.4 * DPI)
    text = (written / "figures" / "loss.svg").read_text()
    assert "training, mean of the epoch" in text
    assert "</svg>" in text
    shown = re.findall(r"\]\((figures/[^)]*)\)", (written / "report.md").read_text())
    assert {name.removesuffix(".png").removeprefix("figures/") for name in shown} == names


def test_written_again_it_is_the_same(interrupted, written, tmp_path):
    again = tmp_path / "again"
    (again / "figures").mkdir(parents=True)
    (again / "figures" / "gone.png").write_bytes(b"of an earlier report")
    (again / "notes.txt").write_text("mine")
    write_report(interrupted, again)
    assert (again / "notes.txt").read_text() == "mine"
    files = {path.relative_to(written): path.read_bytes() for path in written.rglob("*") if path.is_file()}
    found = {path.relative_to(again): path.read_bytes() for path in again.rglob("*") if path.is_file()}
    del found[again.joinpath("notes.txt").relative_to(again)]
    assert found == files


def test_forms_one_by_one(interrupted, tmp_path):
    assert [path.name for path in write_report(interrupted, tmp_path / "r", ["latex"])] == ["table.tex"]
    assert [path.name for path in write_report(interrupted, tmp_path / "r", ["html"])] == ["index.html"]
    assert sorted(path.name for path in (tmp_path / "r").iterdir()) == ["index.html", "table.tex"]
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="it is no folder"):
        write_report(interrupted, tmp_path / "file", ["html"])


def test_a_broken_off_run_has_a_report(made, told, tmp_path):
    rows = [{"epoch": 1, "step": 4, "learning_rate": 0.1, "seconds": 1.5, "loss/total": 0.7}]
    folder = made(rows, [told(1, "start", 0, restoredStep=None, environment={"device": "cpu"})])
    (folder / "metrics.csv").write_text((folder / "metrics.csv").read_text() + "2,8,0.1,1.")
    (folder / "log.jsonl").write_text(
        '{"step":2,"epoch":1,"loss":{"total":0.9},"learning_rate":0.1}\n{"step":4,'
    )
    written = write_report(folder, tmp_path / "report")
    assert {path.name for path in written} >= {
        "index.html",
        "report.md",
        "metrics.json",
        "metrics.csv",
        "loss.png",
    }
    assert json.loads((tmp_path / "report" / "metrics.json").read_text())["state"] == "open"


def run_command(*arguments: object):
    return CliRunner().invoke(app, ["report", *map(str, arguments)])


def test_the_command(interrupted, tmp_path, copy):
    shutil.rmtree(copy / "report", ignore_errors=True)
    result = run_command(copy, "--format", "html,csv")
    assert result.exit_code == 0, result.output
    assert "tiny: finished: 3 of 3 planned epochs" in result.output
    assert sorted(path.suffix for path in (copy / "report").iterdir())[-1] == ".html"
    result = run_command(interrupted, "--output", tmp_path / "out", "--format", "json", "--json")
    printed = json.loads(result.output)
    assert printed["files"] == [str(tmp_path / "out" / "metrics.json")]
    assert printed["epochs"] == {"done": 3, "planned": 3}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nowhere",), "there is no such folder"),
        ((".", "--format", "pdf"), "there is no such form of a report"),
    ],
)
def test_the_command_refuses(arguments, said):
    result = run_command(*arguments)
    assert result.exit_code == 64
    assert said in result.output
    assert json.loads(run_command(*arguments, "--json").output)["error"]
    assert FORMATS[0] == "html"


def test_an_output_that_cannot_be_written(interrupted, tmp_path):
    (tmp_path / "report" / "index.html").mkdir(parents=True)
    result = run_command(interrupted, "--output", tmp_path / "report", "--format", "html")
    assert result.exit_code == 74
    assert "cannot be written" in result.output


def test_a_run_has_written_its_own_report(yolox):
    figures = {path.name for path in (yolox / "report" / "figures").iterdir()}
    assert {"precision-recall-validation.png", "confusion-validation.svg", "loss-parts.png"} <= figures
    text = (yolox / "report" / "report.md").read_text()
    assert "(figures/confusion-validation.png)" in text
    assert "Evaluation on the validation split" in text
    document = json.loads((yolox / "evaluation" / "validation" / "evaluation.json").read_text())
    assert read_counts(yolox / "report") == document["confusion"]["counts"]


def test_an_evaluation_is_in_every_form(judged, tmp_path):
    write_report(judged, tmp_path, ["markdown", "csv", "latex", "json"])
    found = json.loads((judged / "evaluation" / "validation" / "evaluation.json").read_text())
    assert read_counts(tmp_path) == found["confusion"]["counts"]
    document = json.loads((tmp_path / "metrics.json").read_text())
    assert document["evaluations"]["validation"]["metrics"] == found["metrics"]
    shown = number(found["metrics"]["AP/car"])
    assert f"| car | {shown} |" in (tmp_path / "report.md").read_text()
    assert f"car & {shown} &" in (tmp_path / "table.tex").read_text()


def read_counts(folder):
    rows = list(csv.reader(io.StringIO((folder / "confusion-validation.csv").read_text())))
    return [[int(cell) for cell in row[1:]] for row in rows[1:]]


def test_readings_of_a_gpu_are_in_rows_charts_and_headlines(tiny, tmp_path, monkeypatch):
    reading = GpuReading(GpuMemory(used_bytes=3 * 2**30, total_bytes=20 * 2**30), 61.0, None)
    monkeypatch.setattr(GpuReader, "read", lambda self: reading)
    assert run(tiny.tiny_manifest(), tiny.tiny_options(tmp_path / "run"), tiny.TinyTask) == 0
    report = read_report(tmp_path / "run")
    charts = {chart.key: chart for chart in report.charts}
    assert set(charts["gpu-memory-bytes"].lines[0].y) == {3.0}
    assert set(charts["gpu-temperature-celsius"].lines[0].y) == {61.0}
    assert "gpu-power-watts" not in charts
    assert ("GPU memory", "3 GiB") in [(one.name, one.text) for one in headlines(report.history)]
