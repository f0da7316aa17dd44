"""The law of resume: killed anywhere, any number of times, a run ends with the bits of an untouched one."""

from __future__ import annotations

import csv
import json
import random
import signal
from pathlib import Path

import pytest

STOPPED = 75
EPOCHS, STEPS = 5, 30  # 24 pictures, batches of 4


def kill_points(seed: int) -> list[str]:
    """Places in the order in which a run comes by, so that each is reached: one start is killed at each.

    Checkpoints are at the ends of epochs (steps 6, 12, ...) and where SIGTERM asked for one. Warm-up is the
    first epoch; the no-aug epochs begin with the 19th step.
    """
    chosen = random.Random(seed)

    def some(first: int, last: int, kind: str) -> str:
        return f"step@{chosen.randint(first, last)}={kind}"

    return [
        # start-up, warm-up
        "startup.imports=TERM",
        "startup.task=KILL",
        "startup.built=TERM",
        some(1, 5, "KILL"),
        some(2, 4, "TERM"),
        "startup.restored=KILL",
        "startup.restored=TERM",
        # the save at step 6, up to its rename
        *(f"save.{stage}=KILL" for stage in ("snapshot", "begin", "write", "meta", "rename")),
        # the evaluation at step 6, and its record
        "evaluate.begin=KILL",
        "evaluate.batch=TERM",
        "evaluate.batch:2=KILL",
        "evaluate.done=KILL",
        "best.weights=KILL",
        "best.evaluation=KILL",
        # the end of an epoch at step 12, and between
        "epoch.saving=TERM",
        some(13, 15, "TERM"),
        some(16, 17, "KILL"),
        # the no-aug switch, with the save at step 18 from its rename on
        "step@18=KILL",
        "save.renamed=KILL",
        "save.index=KILL",
        "step@19=KILL",
        "step@19=TERM",
        some(20, 21, "TERM"),
        some(22, 23, "KILL"),
        "save.discard=KILL",
        some(25, 28, "TERM"),
        "step@29=KILL",
        # mid-save at step 30, while the last evaluation goes on; the final export, the last judgement
        "save.rename=TERM",
        "final.begin=KILL",
        "final.export=TERM",
        "evaluate.batch:2=TERM",
        "final.examined=KILL",
        "final.published=KILL",
        "final.result=KILL",
        "final.done=KILL",
        # the report, which starts on a finished run write as long as it is not whole
        "report.begin=KILL",
        "report.file:9=KILL",
    ]


class Run:
    """A run folder and its last words."""

    def __init__(self, folder: Path, arguments: list[str]) -> None:
        self.folder = folder
        self.words = folder.with_suffix(".words")
        self.arguments = [*arguments, "--output", str(folder)]

    def environment(self, place: str = "") -> dict[str, str]:
        return {
            "VISTRAIN_TEST_SIGNALS": place,
            "VISTRAIN_GRACE_SECONDS": "60",
            "VISTRAIN_TERMINATION_LOG": str(self.words),
        }

    def last_words(self) -> dict:
        return json.loads(self.words.read_text())

    def log_rows(self) -> list[dict]:
        return [json.loads(line) for line in (self.folder / "log.jsonl").read_text().splitlines()]

    def evaluation(self) -> dict[str, bytes | dict]:
        """The last judgement, file by file, without the checkpoint's digest: it has the time of its save."""
        folder = self.folder / "evaluation" / "validation"
        files = {
            str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()
        }
        judged = json.loads(files["evaluation.json"])
        del judged["sources"][0]["sha256"]
        assert {"detections.json", *(picture["file"] for picture in judged["pictures"])} < set(files)
        return files | {"evaluation.json": judged}

    def metrics_rows(self) -> list[dict]:
        with (self.folder / "metrics.csv").open() as file:
            return list(csv.DictReader(file))


def comparable(row: dict) -> dict:
    """A row without what depends on the clock."""
    return {
        key: value
        for key, value in row.items()
        if key not in ("time", "seconds", "images_per_second", "data_wait_ratio")
    }


# Micro-batches, clipping, frozen parts, a phase that starts from the best weights, patience, drawn sizes.
EVERYTHING = {
    "schedule.microBatchSize": "2",
    "schedule.gradientClip": "5",
    "schedule.earlyStopping": "{patience: 4}",
    "schedule.phases": "[{name: head, epochs: 2, freeze: [backbone], learningRates: {head: 2e-2}},"
    " {name: all, start: best}]",
    "augmentation.multiscale": "{height: {min: 64, max: 128}, everySteps: 2}",
}


@pytest.mark.parametrize(
    ("precision", "more"), [("bf16", {}), ("fp32", EVERYTHING)], ids=["bf16", "fp32-with-everything"]
)
def test_killed_anywhere_ends_with_the_same_bits(command, world, manifest, tmp_path, precision, more):
    arguments = ["run", "-f", str(manifest), "--volume", f"world={world}", "--log-every", "1", "--port", "0"]
    for path, value in {"schedule.precision": precision, **more}.items():
        arguments += ["--set", f"spec.{path}={value}"]
    cache = (
        ["--set", "spec.dataset.loader.cache=disk"] if more else []
    )  # of which the result must know nothing
    (tmp_path / "volume").mkdir()
    untouched = Run(tmp_path / "untouched", arguments)
    killed = Run(tmp_path / "volume" / "killed", [*arguments, *cache])
    assert command(*untouched.arguments, "--no-report", **untouched.environment()) == 0

    places = kill_points(seed=len(precision))
    assert len(places) >= 25
    for place in places:
        code = command(*killed.arguments, **killed.environment(place))
        if place.endswith("=KILL"):
            assert code == -signal.SIGKILL, f"{place} was not reached"
            continue
        assert code == STOPPED, f"{place}: {code}"
        words = killed.last_words()
        assert words["exitCode"] == STOPPED
        assert "before the save was done" not in words["message"], "the grace period was used up"
        if words.get("step", 0) > 0:
            assert words["lastCheckpoint"]["step"] == words["step"], f"{place}: steps lost on SIGTERM"

    assert command(*killed.arguments, **killed.environment()) == 0
    assert killed.last_words()["exitCode"] == 0
    assert (killed.folder / "report" / "index.html").is_file()

    assert killed.evaluation() == untouched.evaluation()
    assert command("checkpoint", "verify", str(killed.folder)) == 0
    assert command("checkpoint", "diff", str(untouched.folder), str(killed.folder)) == 0
    assert [row["step"] for row in killed.log_rows()] == list(range(1, STEPS + 1))
    assert [int(row["epoch"]) for row in killed.metrics_rows()] == list(range(1, EPOCHS + 1))
    assert list(map(comparable, killed.log_rows())) == list(map(comparable, untouched.log_rows()))
    assert list(map(comparable, killed.metrics_rows())) == list(map(comparable, untouched.metrics_rows()))


def test_diff_tells_runs_apart(command, world, manifest, tmp_path):
    """The law's own measure: another seed must not pass."""
    folders = []
    for seed in (1, 2):
        arguments = ["run", "-f", str(manifest), "--volume", f"world={world}", "--port", "0", "--no-report"]
        for setting in (f"seed={seed}", "epochs=1", "warmupEpochs=0", "noAugEpochs=1"):
            arguments += ["--set", f"spec.schedule.{setting}"]
        folders.append(tmp_path / str(seed))
        assert command(*arguments, "--output", str(folders[-1])) == 0
    assert command("checkpoint", "diff", *map(str, folders)) == 1
    assert command("checkpoint", "diff", str(folders[0]), str(folders[0])) == 0


MULTISCALE = '{"height": {"min": 64, "max": 160}, "everySteps": 2}'


@pytest.mark.parametrize(
    ("workers", "places"),
    [
        # One process: the shard of an epoch is published when its evaluation begins.
        (0, ["step@3=KILL", "cache.publish=KILL", "step@5=TERM", "evaluate.batch=KILL", "step@8=KILL"]),
        # Workers publish as they end: killed with the trainer, they leave shards that are never whole.
        (2, ["step@4=KILL", "step@5=TERM", "evaluate.begin=KILL", "step@9=KILL"]),
    ],
)
def test_killed_while_the_cache_is_built_with_drawn_sizes(
    command, world, manifest, tmp_path, workers, places
):
    """The untouched run has no cache: one must not be seen in the result, be it whole or half made."""
    arguments = ["run", "-f", str(manifest), "--volume", f"world={world}", "--log-every", "1", "--port", "0"]
    for setting in (
        f"augmentation.multiscale={MULTISCALE}",
        f"dataset.loader.workers={workers}",
        "schedule.epochs=2",
        "schedule.noAugEpochs=1",
    ):
        arguments += ["--set", f"spec.{setting}"]
    untouched = Run(tmp_path / "untouched", arguments)
    assert command(*untouched.arguments, **untouched.environment()) == 0

    (tmp_path / "volume").mkdir()
    cached = [*arguments, "--set", "spec.dataset.loader.cache=disk"]
    killed = Run(tmp_path / "volume" / "killed", cached)
    for place in places:
        code = command(*killed.arguments, **killed.environment(place))
        assert code == (-signal.SIGKILL if place.endswith("=KILL") else STOPPED), f"{place}: {code}"
    assert command(*killed.arguments, **killed.environment()) == 0
    assert command("checkpoint", "diff", str(untouched.folder), str(killed.folder)) == 0
    assert list(map(comparable, killed.log_rows())) == list(map(comparable, untouched.log_rows()))
    assert list(map(comparable, killed.metrics_rows())) == list(map(comparable, untouched.metrics_rows()))

    def shards():
        return sorted(
            (path.name, path.stat().st_mtime_ns) for path in tmp_path.glob("volume/.vistrain-cache/*/*.shard")
        )

    found = shards()
    assert found
    another = Run(tmp_path / "volume" / "another", cached)
    assert command(*another.arguments, **another.environment()) == 0
    assert command("checkpoint", "diff", str(untouched.folder), str(another.folder)) == 0
    assert "32 images are there" in " ".join(another.last_words()["notes"])
    assert shards() == found
