"""`vistrain doctor` on the command line."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from vistrain_trainer.cli.app import app
from vistrain_trainer.engine.run import run


@pytest.fixture
def doctor(monkeypatch):
    """Calls the command on a wide terminal."""
    monkeypatch.setenv("COLUMNS", "300")
    return lambda *arguments: CliRunner().invoke(app, ["doctor", *map(str, arguments)])


def test_help_shows_an_example(doctor):
    assert "Example: vistrain doctor runs/a" in doctor("--help").output


def test_a_healthy_manifest(doctor, diagnose, tmp_path, volumes):
    diagnose()
    mapped = [f"--volume={claim}={folder}" for claim, folder in volumes.items()]
    result = doctor(tmp_path / "manifest.yaml", *mapped)
    assert (result.exit_code, result.output.split(" in ")[0]) == (0, "Nothing is wrong")
    unmapped = doctor(tmp_path / "manifest.yaml")
    assert unmapped.exit_code == 0
    names = "data, coco-info, images-folder, class-order, reserve, prepared, splits"
    assert f"Not looked at: {names}; say --volume data=DIR" in " ".join(unmapped.output.split())


def test_findings_for_a_person(doctor, diagnose, tmp_path):
    diagnose({"evaluation.everyEpochs": 12})
    result = doctor(tmp_path / "manifest.yaml")
    assert result.exit_code == 1
    lines = [line.strip() for line in result.output.splitlines()]
    assert "warning evaluation-interval: spec.evaluation.everyEpochs" in lines
    for word in ("symptom", "cause", "remedy"):
        assert any(line.startswith(word) for line in lines)
    assert any(line.startswith("1 finding in ") for line in lines)


def test_findings_for_a_program(doctor, diagnose, tmp_path):
    found = diagnose({"evaluation.everyEpochs": 12}).findings[0]
    result = doctor(tmp_path / "manifest.yaml", "--json")
    assert result.exit_code == 1
    printed = json.loads(result.output)
    assert printed["kind"] == "manifest"
    assert printed["findings"] == [
        {
            "severity": "warning",
            "field": "spec.evaluation.everyEpochs",
            "symptom": found.symptom,
            "cause": found.cause,
            "remedy": "Set spec.evaluation.everyEpochs to 1",
            "check": "evaluation-interval",
        }
    ]
    assert {"check": "disk", "why": "say --volume checkpoints=DIR to have this looked at"} in printed[
        "notLookedAt"
    ]


def test_a_run_folder(doctor, tiny, tmp_path):
    folder = tmp_path / "run"
    assert run(tiny.tiny_manifest(), tiny.tiny_options(folder), tiny.TinyTask) == 0
    result = doctor(folder)
    assert result.exit_code == 0
    assert result.output.startswith("The run has done 3 of 3 epochs (12 of 12 steps), in attempt 1.")
    printed = json.loads(doctor(folder, "--json").output)
    assert (printed["kind"], printed["findings"], len(printed["story"])) == ("run", [], 5)
    assert (printed["run"]["state"], printed["run"]["epochsDone"]) == ("finished", 3)


def test_what_cannot_be_read(doctor, tmp_path):
    result = doctor(tmp_path)
    assert result.exit_code == 64
    assert "no run has begun in it" in result.output
    result = doctor(tmp_path / "nothing.yaml", "--json")
    assert result.exit_code == 64
    assert "neither a manifest nor a run folder" in json.loads(result.output)["error"]
    assert doctor(tmp_path, "--volume", "data").exit_code == 64
