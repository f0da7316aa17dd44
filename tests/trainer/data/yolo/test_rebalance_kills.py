"""A rebalancing killed after any write or rename: the old state, the new one, or finished by the next."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from support.drainage import contents, write_drainage
from support.trees import snapshot
from support.yolo_dataset import NAMES
from vistrain_trainer.data.cli import app
from vistrain_trainer.data.coco import CocoDetection
from vistrain_trainer.data.rebalance import run, transaction
from vistrain_trainer.data.rebalance.journal import JOURNAL
from vistrain_trainer.data.rebalance.options import RebalanceOptions
from vistrain_trainer.data.rebalance.transaction import WORK
from vistrain_trainer.data.sets.opening import home_of, open_set
from vistrain_trainer.data.yolo.detection import YoloDetection
from vistrain_trainer.engine import stages
from vistrain_trainer.errors import BadInput

OPTIONS = RebalanceOptions("vegetation", 4)
LAYOUTS = ("folders", "lists", "coco", "coco-bare")


def killed(act: Callable[[], object], step: int) -> bool:
    """Run it in a process that is killed at its n-th write or rename; whether it came to that."""
    process = os.fork()
    if process == 0:
        try:
            stages.plan(f"rebalance.step:{step}=KILL")
            act()
            os._exit(0)
        finally:
            os._exit(1)
    status = os.waitpid(process, 0)[1]
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True
    assert status == 0
    return False


def visible(folder: Path) -> dict[str, bytes | str | None]:
    """Without what is kept for an undo."""
    return {name: content for name, content in snapshot(folder).items() if not name.startswith(WORK)}


def is_readable(data: list[str]) -> bool:
    """Whether it is refused for a change that is half made."""
    try:
        open_set(data)
    except BadInput as error:
        return error.field != JOURNAL
    return True


@pytest.mark.parametrize("layout", LAYOUTS)
def test_killed_at_any_step_it_is_old_or_new_or_finished_next_time(tmp_path: Path, layout: str) -> None:
    data, folder = write_drainage(tmp_path / "data", layout), tmp_path / "data"
    old = visible(folder)
    shutil.copytree(folder, tmp_path / "pristine")
    plan = run.plan(data, OPTIONS)
    plan.carry_out()
    new = visible(folder)
    between = 0
    for step in range(1, 200):
        shutil.rmtree(folder)
        shutil.copytree(tmp_path / "pristine", folder)
        if not killed(plan.carry_out, step):
            break
        if is_readable(data):
            assert visible(folder) == (new if (folder / JOURNAL).exists() else old)
        else:
            between += 1
        if step % 3 == 0 and (folder / JOURNAL).exists():
            run.undo(data)
            assert snapshot(folder) == old
        else:
            run.finish(data)
            assert visible(folder) in (old, new)
            assert (visible(folder) == new) == (folder / JOURNAL).exists()
    else:
        pytest.fail("it never came to its end")
    assert visible(folder) == new
    assert between >= len(plan.change.moves) + len(plan.change.rewrites)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_an_undo_killed_at_any_step_ends_where_it_began(tmp_path: Path, layout: str) -> None:
    data, folder = write_drainage(tmp_path / "data", layout), tmp_path / "data"
    old = snapshot(folder)
    run.rebalance(data, OPTIONS)
    shutil.copytree(folder, tmp_path / "moved")
    for step in range(1, 200):
        shutil.rmtree(folder)
        shutil.copytree(tmp_path / "moved", folder)
        if not killed(lambda: run.undo(data), step):
            break
        if step % 2:
            run.finish(data)
        else:  # the next change of all finishes it first
            run.rebalance(data, OPTIONS)
            assert len(contents(data)["train"]) < 12
            run.undo(data)
        assert snapshot(folder) == old
    else:
        pytest.fail("it never came to its end")
    assert snapshot(folder) == old


def test_killed_while_it_finishes_it_is_finished_after_all(tmp_path: Path) -> None:
    data, folder = write_drainage(tmp_path / "data", "coco"), tmp_path / "data"
    old = snapshot(folder)
    plan = run.plan(data, OPTIONS)
    assert killed(plan.carry_out, 5)
    step = 1
    while killed(lambda: run.finish(data), step):
        step += 1
    assert step > len(plan.change.rewrites)
    run.undo(data)
    assert snapshot(folder) == old


@pytest.fixture
def between(tmp_path: Path) -> tuple[list[str], Path]:
    """A data set in the middle of a change."""
    data = write_drainage(tmp_path / "data")
    assert killed(run.plan(data, OPTIONS).carry_out, 4)
    return data, tmp_path / "data"


def test_nobody_reads_what_is_half_moved(between: tuple[list[str], Path], tmp_path: Path) -> None:
    data, folder = between
    with pytest.raises(BadInput, match="moving samples of vegetation from train to val was interrupted"):
        YoloDetection(Path(data[0]), "train")
    for arguments in (
        ["stats", *data],
        ["convert", "--from", *data, "--to", "coco", "--out", str(tmp_path / "out")],
        ["rebalance", *data, "--class", "vegetation", "--count", "1", "--dry-run"],
    ):
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 64
        assert "with --finish, or with --undo" in result.stderr
    coco = write_drainage(tmp_path / "coco", "coco")
    assert killed(run.plan(coco, OPTIONS).carry_out, 6)
    with pytest.raises(BadInput, match="was interrupted"):
        CocoDetection(tmp_path / "coco" / "annotations" / "train.json", tmp_path / "coco" / "images", NAMES)
    result = CliRunner().invoke(app, ["rebalance", *data, "--finish"])
    assert result.exit_code == 0
    assert "finished: " in result.stdout
    assert len(YoloDetection(folder / "data.yaml", "val")) > 4


def test_an_undo_that_was_interrupted_is_told_when_it_is_finished(between: tuple[list[str], Path]) -> None:
    data, _ = between
    run.finish(data)
    assert killed(lambda: run.undo(data), 2)
    result = CliRunner().invoke(app, ["rebalance", *data, "--finish"])
    assert "taken back: " in result.stdout


def test_what_somebody_changed_meanwhile_is_told(between: tuple[list[str], Path]) -> None:
    data, folder = between
    change = run.read_journal(folder).changes[-1]
    last = change.moves[-1]
    content = (folder / last.source).read_bytes()
    (folder / last.target).write_bytes(content)
    with pytest.raises(BadInput, match=r"cannot be finished: a file was to be renamed .* both are there"):
        run.finish(data)
    (folder / last.target).unlink()
    (folder / last.source).rename(folder / "away")
    with pytest.raises(BadInput, match="neither is there"):
        run.undo(data)
    (folder / "away").rename(folder / last.source)
    run.finish(data)


def test_a_staged_content_that_is_gone_is_told(tmp_path: Path) -> None:
    data, folder = write_drainage(tmp_path / "data", "coco"), tmp_path / "data"
    assert killed(run.plan(data, OPTIONS).carry_out, 4)
    shutil.rmtree(folder / WORK / "0001" / "after")
    with pytest.raises(BadInput, match="its new content is gone, and it has another one"):
        run.finish(data)


def test_a_full_volume_leaves_the_old_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, folder = write_drainage(tmp_path / "data", "coco"), tmp_path / "data"
    old = snapshot(folder)

    def full(path: Path, content: bytes) -> None:
        path.write_bytes(content[:10])
        raise OSError(28, "No space left on device", str(path))

    with monkeypatch.context() as patched:
        patched.setattr(transaction, "write_durably", full)
        arguments = ["rebalance", *data, "--class", "vegetation", "--count", "4"]
        result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 74
    assert "No space left on device" in result.stderr
    assert visible(folder) == {name: content for name, content in old.items() if not name.startswith(WORK)}
    assert run.finish(data) is None
    assert snapshot(folder) == old
    assert home_of(data) == folder
