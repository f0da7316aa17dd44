"""The demo without a cluster: the same manifest as a local process, stopped and started again."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import yaml

from vistrain_devcluster.demo.tell import Teller

STOPPED = 75  # the trainer's exit code for "stopped on request, checkpoint saved"


def _vistrain(*arguments: str) -> list[str]:
    return [str(Path(sys.executable).with_name("vistrain")), *arguments]


def _last_step(folder: Path) -> tuple[int, int]:
    """The last logged optimiser step, and the number planned, as a run folder has them."""
    try:
        lines = (folder / "log.jsonl").read_text().splitlines()
        planned = yaml.safe_load((folder / "status.yaml").read_text())["progress"]["totalSteps"]
        return int(json.loads(lines[-1])["step"]), int(planned)
    except (OSError, ValueError, LookupError, TypeError, yaml.YAMLError):
        return 0, 0  # not begun, or in the middle of a line


def run(example: Path, world: list[str], output: Path, teller: Teller) -> int:
    """Tell the story locally; returns the exit code."""
    claim = yaml.safe_load(example.read_text())["spec"]["dataset"]["volume"]
    data = output / "data"
    with teller.stage("Making a small data set"):
        subprocess.run(
            _vistrain("prepare", "synthetic", "--out", str(data / claim["subPath"]), *world), check=True
        )

    def command(folder: Path) -> list[str]:
        volume = f"{claim['claimName']}={data}"
        return _vistrain("run", "-f", str(example), "--output", str(folder), "--volume", volume)

    stopped, untouched = output / "run", output / "untouched"
    with teller.stage("Training, stopped in mid-epoch by SIGTERM"):
        process = subprocess.Popen(command(stopped))
        step = total = 0
        while process.poll() is None and not (total and 0.3 < step / total < 0.9):
            time.sleep(0.2)
            step, total = _last_step(stopped)
            teller.live(f"step {step} of {total}")
        process.send_signal(signal.SIGTERM)
        if process.wait() != STOPPED:
            teller.say(f"[red]the trainer ended with {process.returncode}, not {STOPPED}[/red]")
            return 1
    with teller.stage("The same command again: it resumes"):
        subprocess.run(command(stopped), check=True)
    with teller.stage("The same run untouched, for comparison"):
        subprocess.run(command(untouched), check=True)
    diff = subprocess.run(
        _vistrain("checkpoint", "diff", str(stopped), str(untouched), "--json"),
        capture_output=True,
        text=True,
        check=False,
    )
    equal = diff.returncode == 0
    (output / "demo-summary.json").write_text(
        json.dumps(
            {"mode": "local", "stoppedNearStep": step, "totalSteps": total, "bitEqual": equal}, indent=2
        )
        + "\n"
    )
    teller.say("weights equal to the untouched run's, to the bit" if equal else "[red]weights differ[/red]")
    return 0 if equal else 1
