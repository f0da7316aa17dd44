"""Checkpoints and volumes that fail: nothing saved before is lost, and a torn checkpoint is passed over."""

from __future__ import annotations

import errno
import json
import os

import pytest
import torch

from vistrain_api.protocol import Progress
from vistrain_trainer.engine.checkpoint import TornCheckpoint, open_checkpoint, write_meta
from vistrain_trainer.engine.fence import Fence
from vistrain_trainer.engine.options import PodEnvironment
from vistrain_trainer.engine.run import run
from vistrain_trainer.engine.store import CheckpointStore
from vistrain_trainer.errors import Fenced

META = {"format": 2, "skipped": 0, "epoch": 0, "savedAt": "2026-01-01T00:00:00Z", "environment": {}}


@pytest.fixture
def fence(tmp_path):
    return Fence.take(tmp_path / "fence", 1)


@pytest.fixture
def store(tmp_path, fence):
    store = CheckpointStore(tmp_path / "checkpoints")
    store.prepare()
    for step in (10, 20, 30):
        store.publish(
            {"step": step, "weights": torch.full((1000,), float(step))}, META | {"step": step}, fence
        )
    return store


def truncate(path):
    path.write_bytes(path.read_bytes()[:-100])


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


def forge(path):
    """A meta file that is whole JSON, but says another step."""
    meta = json.loads(path.read_text())
    path.write_text(json.dumps(meta | {"step": 31}))


@pytest.mark.parametrize(
    ("file", "damage", "said"),
    [
        ("state.pt", truncate, "bytes"),
        ("state.pt", flip, "another digest"),
        ("state.pt", lambda path: path.unlink(), "missing"),
        ("meta.json", truncate, "cut short"),
        ("meta.json", forge, "another digest"),
        ("meta.json", lambda path: path.write_bytes(b""), "cut short"),
        ("meta.json", lambda path: path.unlink(), "missing"),
    ],
)
def test_a_torn_checkpoint_is_passed_over_for_the_one_before(store, file, damage, said):
    damage(store.path(30) / file)
    seen = []
    found = store.newest_whole(lambda step, why: seen.append((step, why)))
    assert found.step == 20
    assert float(found.load()["weights"][0]) == 20
    assert seen[0][0] == 30
    assert said in seen[0][1]


def test_a_torn_evaluation_is_done_again(store):
    (store.path(30) / "evaluation.json").write_text('{"best": []')
    assert open_checkpoint(store.path(30)).evaluation() is None


def test_a_later_torn_checkpoint_does_not_count_as_kept(store, fence):
    truncate(store.path(30) / "state.pt")
    store.publish({"step": 25}, META | {"step": 25}, fence)
    store.retain(2, [], up_to=25)
    assert store.steps() == [20, 25, 30]
    store.publish({"step": 30}, META | {"step": 30}, fence)
    store.retain(2, [], up_to=30)
    assert store.steps() == [25, 30]
    open_checkpoint(store.path(30)).verify()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
@pytest.mark.parametrize("place", ["write", "fsync", "rename"])
def test_a_failing_volume_leaves_nothing_of_the_new_and_all_of_the_old(
    store, fence, monkeypatch, number, place
):
    def fail(*args, **kwargs):
        raise OSError(number, os.strerror(number))

    if place == "write":
        monkeypatch.setattr("vistrain_trainer.engine.checkpoint._DigestingFile.write", fail)
    elif place == "fsync":
        monkeypatch.setattr(os, "fsync", fail)
    else:
        monkeypatch.setattr("pathlib.Path.rename", fail)
    with pytest.raises(OSError, match=os.strerror(number)):
        store.publish({"step": 40, "weights": torch.zeros(100_000)}, META | {"step": 40}, fence)
    monkeypatch.undo()
    assert sorted(path.name for path in store.folder.iterdir()) == [f"step-{s:09d}" for s in (10, 20, 30)]
    for step in store.steps():
        open_checkpoint(store.path(step)).verify()


def test_a_fenced_writer_publishes_nothing(store, fence, tmp_path):
    Fence.take(tmp_path / "fence", 2)
    with pytest.raises(Fenced):
        store.publish({"step": 40}, META | {"step": 40}, fence)
    assert store.steps() == [10, 20, 30]
    assert not list(store.folder.glob(".partial-*"))


def test_a_writer_fenced_off_in_mid_save_publishes_nothing(store, fence, tmp_path, monkeypatch):
    from vistrain_trainer.engine import store as module

    write = module.write_state

    def overtaken(*arguments):
        Fence.take(tmp_path / "fence", 2)
        return write(*arguments)

    monkeypatch.setattr(module, "write_state", overtaken)
    with pytest.raises(Fenced):
        store.publish({"step": 40}, META | {"step": 40}, fence)
    assert store.steps() == [10, 20, 30]


def test_leftovers_of_killed_processes_are_cleared(store):
    (store.folder / ".partial-step-000000040-3").mkdir()
    (store.folder / ".discarded-step-000000001").mkdir()
    store.prepare()
    assert sorted(path.name for path in store.folder.iterdir()) == [f"step-{s:09d}" for s in (10, 20, 30)]


def test_an_unknown_format_is_not_read(store, fence):
    store.publish({"step": 40}, META | {"step": 40}, fence)
    write_meta(store.path(40), META | {"step": 40, "format": 99})
    with pytest.raises(TornCheckpoint, match="format 99"):
        open_checkpoint(store.path(40))


# Whole runs on failing volumes.


def one_run(tiny, folder, words, manifest=None):
    options = tiny.tiny_options(folder, pod=PodEnvironment(termination_log=words))
    code = run(manifest or tiny.tiny_manifest(), options, tiny.TinyTask)
    return code, Progress.model_validate_json(words.read_bytes())


def test_a_run_goes_on_from_the_older_checkpoint_and_says_so(tiny, tmp_path):
    folder, words = tmp_path / "run", tmp_path / "words"
    assert one_run(tiny, folder, words)[0] == 0
    (folder / "result.json").unlink()
    truncate(folder / "checkpoints" / "step-000000012" / "state.pt")
    code, last = one_run(tiny, folder, words)
    assert (code, last.restored_step, last.step) == (0, 8, 12)
    assert "passed over a torn checkpoint (step 12" in last.notes[0]
    open_checkpoint(folder / "checkpoints" / "step-000000012").verify()


def test_no_whole_checkpoint_is_bad_input_and_never_a_silent_fresh_start(tiny, tmp_path):
    folder, words = tmp_path / "run", tmp_path / "words"
    one_run(tiny, folder, words)
    (folder / "result.json").unlink()
    for state in folder.glob("checkpoints/*/state.pt"):
        flip(state)
    code, last = one_run(tiny, folder, words)
    assert (code, last.failure) == (64, "BadInput")
    assert "no checkpoint" in last.message
    assert "remove the run folder" in last.message


def test_a_volume_that_fails_in_mid_run_is_a_storage_fault(tiny, tmp_path, monkeypatch):
    folder, words = tmp_path / "run", tmp_path / "words"
    from vistrain_trainer.engine import store as module

    write = module.write_state

    def fail_at_8(partial, state):
        if state["step"] == 8:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return write(partial, state)

    monkeypatch.setattr(module, "write_state", fail_at_8)
    code, last = one_run(tiny, folder, words)
    assert (code, last.failure) == (74, "StorageFault")
    assert "saving the checkpoint of step 8: the volume reports an I/O error" in last.message
    assert last.last_checkpoint.step == 4
    monkeypatch.undo()
    code, last = one_run(tiny, folder, words)
    assert (code, last.restored_step) == (0, 4)


def in_namespace(*commands: str) -> tuple[str, ...]:
    """A wrapper that sets mounts up for one process only; they go with it."""
    own = () if os.geteuid() == 0 else ("--user", "--map-root-user")
    return ("unshare", "--mount", *own, "sh", "-c", " && ".join([*commands, 'exec "$@"']), "sh")


def test_a_full_disk(tiny, tmp_path, attempt):
    """A volume of 192 KiB takes some checkpoints; what was saved is whole, and room lets the run go on."""
    volume, words = tmp_path / "volume", tmp_path / "words"
    volume.mkdir()
    copy = tmp_path / "copy"
    mount = f"mount -t tmpfs -o size=192k none {volume}"
    keep = f'sh -c \'"$@"; code=$?; cp -r {volume} {copy}; exit $code\' sh "$@"'
    own = () if os.geteuid() == 0 else ("--user", "--map-root-user")
    wrapper = ("unshare", "--mount", *own, "sh", "-c", f"{mount} && {keep}", "sh")
    process = attempt(
        volume / "run",
        wrapper=wrapper,
        TINY_SETTINGS='{"schedule__epochs": 300}',
        VISTRAIN_TERMINATION_LOG=str(words),
    )
    output, _ = process.communicate(timeout=300)
    last = Progress.model_validate_json(words.read_bytes())
    assert process.returncode == 74, output
    assert last.failure == "StorageFault"
    assert "the volume is full" in last.message
    assert last.last_checkpoint is not None
    found = CheckpointStore(copy / "run" / "checkpoints").newest_whole(lambda step, why: None)
    assert found.step >= last.last_checkpoint.step
    code, last = one_run(tiny, copy / "run", words, tiny.tiny_manifest(schedule__epochs=300))
    assert (code, last.restored_step) == (0, found.step)


def test_a_read_only_volume_is_bad_input_at_once(tmp_path, attempt):
    volume, words = tmp_path / "volume", tmp_path / "words"
    volume.mkdir()
    bind = (f"mount --bind {volume} {volume}", f"mount -o remount,ro,bind {volume}")
    process = attempt(volume / "run", wrapper=in_namespace(*bind), VISTRAIN_TERMINATION_LOG=str(words))
    output, _ = process.communicate(timeout=300)
    last = Progress.model_validate_json(words.read_bytes())
    assert process.returncode == 64, output
    assert "spec.checkpoint.volume: checkpoints" in last.message
    assert "Read-only file system" in last.message
    assert "Make the volume writable" in last.message


def test_a_file_in_the_way_is_bad_input(tiny, tmp_path):
    (tmp_path / "file").write_text("")
    code, last = one_run(tiny, tmp_path / "file" / "run", tmp_path / "words")
    assert (code, last.failure) == (64, "BadInput")
    assert "spec.checkpoint.volume" in last.message
