"""The command line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from vistrain_trainer.cli.app import app
from vistrain_trainer.cli.manifests import read_manifest, read_volumes
from vistrain_trainer.errors import BadInput

ROOT = Path(__file__).parents[3]
QUICKSTART = ROOT / "examples" / "quickstart.yaml"


def vistrain(*arguments: object):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.mark.parametrize(
    "command",
    [
        ("run",),
        ("report",),
        ("compare",),
        ("validate",),
        ("checkpoint", "list"),
        ("checkpoint", "verify"),
        ("checkpoint", "diff"),
        ("prepare", "synthetic"),
        ("prepare", "manifest"),
    ],
)
def test_help_shows_an_example(command):
    result = vistrain(*command, "--help")
    assert result.exit_code == 0
    assert "Example: vistrain" in result.output


def test_help_and_validate_import_no_torch_and_a_start_nothing_of_reports():
    code = (
        "import sys; from typer.testing import CliRunner; from vistrain_trainer.cli.app import app\n"
        f"for line in (['--help'], ['validate', '-f', {str(QUICKSTART)!r}]):\n"
        "    assert CliRunner().invoke(app, line).exit_code == 0\n"
        "assert not {'torch', 'cv2', 'scipy', 'yolox'} & set(sys.modules), 'slow imports'\n"
        "import vistrain_trainer.engine.training\n"  # what a start needs not
        "assert not {'tensorboard', 'matplotlib', 'jinja2.environment'} & set(sys.modules), 'slow imports'\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_settings_are_read_as_kubectl_reads_yaml():
    settings = [
        "spec.schedule.learningRate.peak=5e-4",
        "spec.schedule.epochs=6",
        "spec.model.yolox.inputSize={height: 96, width: 160}",
        "spec.dataset.classes.0=lorry",
    ]
    spec = read_manifest(QUICKSTART, settings).spec
    assert spec.schedule.learning_rate.peak == 5e-4
    assert spec.schedule.epochs == 6
    assert spec.model.yolox.input_size.width == 160
    assert spec.dataset.classes[0] == "lorry"


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("spec.schedule.epochs", "is not PATH=VALUE"),
        ("spec.schedule.epochs.more=1", "inside a plain value"),
        ("spec.schedule.epochz=1", "epochz"),
        ("spec.schedule.epochs=many", "epochs"),
        ("spec.schedule.epochs=[", "not YAML"),
    ],
)
def test_wrong_settings_name_themselves(setting, said):
    with pytest.raises(BadInput, match=said):
        read_manifest(QUICKSTART, [setting])


def test_volumes():
    assert read_volumes(["a=x", "b=y/z"]) == {"a": Path("x"), "b": Path("y/z")}
    with pytest.raises(BadInput, match="CLAIM=DIR"):
        read_volumes(["a"])


def test_validate():
    good = vistrain("validate", "-f", QUICKSTART, "--json")
    assert good.exit_code == 0
    assert json.loads(good.output)["specDigest"].startswith("sha256:")
    bad = vistrain("validate", "-f", QUICKSTART, "--set", "spec.schedule.epochs=0", "--json")
    assert bad.exit_code == 64
    assert "epochs" in json.loads(bad.output)["problems"][0]
    assert vistrain("validate", "-f", "no-such-file.yaml").exit_code == 64


def test_a_bad_manifest_ends_a_run_with_64_and_last_words(tmp_path, monkeypatch):
    words = tmp_path / "words"
    monkeypatch.setenv("VISTRAIN_TERMINATION_LOG", str(words))
    assert vistrain("run", "-f", QUICKSTART, "--set", "spec.schedule.epochz=1").exit_code == 64
    last = json.loads(words.read_text())
    assert (last["exitCode"], last["failure"]) == (64, "BadInput")
    assert "epochz" in last["message"]


def test_a_missing_volume_names_the_way_out(tmp_path, capfd):
    result = vistrain("run", "-f", QUICKSTART, "--output", tmp_path / "run", "--port", 0)
    assert result.exit_code == 64
    error = capfd.readouterr().err + result.output
    assert "--volume driving-world=DIR" in error
    assert "vistrain prepare synthetic" in error


def test_checkpoints_of_a_run_are_listed_verified_and_compared(tiny, tmp_path):
    from vistrain_trainer.engine.run import run

    folders = [tmp_path / "a", tmp_path / "b", tmp_path / "c"]
    for folder, seed in zip(folders, (0, 0, 1), strict=True):
        assert run(tiny.tiny_manifest(schedule__seed=seed), tiny.tiny_options(folder), tiny.TinyTask) == 0
    listed = json.loads(vistrain("checkpoint", "list", folders[0], "--json").output)
    assert [row["step"] for row in listed][-1] == 12
    assert "step" in vistrain("checkpoint", "list", folders[0]).output
    assert vistrain("checkpoint", "verify", folders[0]).exit_code == 0
    assert vistrain("checkpoint", "diff", folders[0], folders[1]).exit_code == 0
    different = vistrain("checkpoint", "diff", folders[0], folders[2])
    assert different.exit_code == 1
    assert "entries differ, by at most" in different.output
    state = folders[0] / "checkpoints" / "step-000000012" / "state.pt"
    state.write_bytes(state.read_bytes()[:-1])
    torn = vistrain("checkpoint", "verify", folders[0], "--json")
    assert torn.exit_code == 1
    assert "bytes" in json.loads(torn.output)[-1]["problem"]
    assert vistrain("checkpoint", "diff", folders[0] / "weights", folders[1]).exit_code == 64
    assert vistrain("checkpoint", "list", tmp_path).exit_code == 64
