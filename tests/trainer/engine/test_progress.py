"""The board, the last words, and the server."""

from __future__ import annotations

import json
import urllib.error
import urllib.request

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vistrain_api.protocol import TERMINATION_LIMIT, AttemptEnd, Progress
from vistrain_api.status import BestMetric, LastCheckpoint
from vistrain_trainer.telemetry.metrics import TrainerMetrics
from vistrain_trainer.telemetry.progress import ProgressBoard, termination_message
from vistrain_trainer.telemetry.server import TelemetryServer

text = st.text(max_size=1200)


@given(
    message=text,
    notes=st.lists(st.text(max_size=300), max_size=5),
    results=st.dictionaries(
        st.text(max_size=70), st.none() | st.floats(allow_nan=False, allow_infinity=False), max_size=64
    ),
    device=st.text(max_size=200),
    pod_uid=st.text(max_size=80),
)
def test_last_words_fit_and_are_progress(message, notes, results, device, pod_uid):
    progress = Progress(
        attempt=12,
        token=99,
        pod_uid=pod_uid,
        phase="Saving",
        step=10**9,
        total_steps=10**9,
        restored_step=10**8,
        loss={f"part-{number}": 1 / 3 for number in range(16)},
        best=BestMetric(metric="AP50", value=1 / 3, epoch=100, step=10**9),
        results=results,
        last_checkpoint=LastCheckpoint(
            step=10**9,
            path="checkpoints/step-1000000000",
            sha256="a" * 64,
            saved_at="2026-01-01T00:00:00.000Z",
        ),
        device=device,
        notes=notes,
        previous=AttemptEnd(attempt=11, pod_uid=pod_uid, last_step=10**9),
        exit_code=74,
        message=message,
    )
    words = termination_message(progress)
    assert len(words) <= TERMINATION_LIMIT
    read = Progress.model_validate_json(words)
    assert (read.exit_code, read.step, read.attempt, read.restored_step) == (74, 10**9, 12, 10**8)


def test_last_words_are_whole_after_every_rewrite(tmp_path):
    path = tmp_path / "words"
    board = ProgressBoard(attempt=1, termination_log=path)
    for message in ("long " * 200, "short", "longer again"):
        board.set(message=message)
        board.write_last_words()
        assert json.loads(path.read_bytes())["message"] == message


def test_a_place_that_cannot_be_written_is_a_note(tmp_path):
    board = ProgressBoard(attempt=1, termination_log=tmp_path / "no" / "such")
    board.write_last_words()
    assert "cannot write" in board.progress().notes[0]


def test_results_beyond_the_limit_lose_classes_first():
    board = ProgressBoard(attempt=1)
    board.set(results={f"AP/class-{n}": 0.5 for n in range(80)} | {"AP": 0.25, "valLoss": 1.0})
    results = board.progress().results
    assert len(results) == 64
    assert results["AP"] == 0.25
    assert results["valLoss"] == 1.0


@pytest.fixture
def served():
    board = ProgressBoard(attempt=2)
    metrics = TrainerMetrics(board.progress)
    server = TelemetryServer("127.0.0.1", 0, board.progress, metrics.registry)
    yield board, metrics, f"http://127.0.0.1:{server.port}"
    server.close()


def get(address: str) -> str:
    with urllib.request.urlopen(address, timeout=10) as answer:
        return answer.read().decode()


def test_server(served):
    board, metrics, address = served
    board.set(step=17, epoch=3, phase="Training", eta_seconds=12.5)
    metrics.training({"total": 2.5, "iou": 1.5}, {"head": 0.01}, 30.0, 0.1)
    metrics.evaluation({"AP": 0.5, "AP/car": 0.25, "AR100": None})
    metrics.checkpoint_seconds.observe(0.3)
    progress = Progress.model_validate_json(get(f"{address}/progress"))
    assert (progress.step, progress.epoch, progress.attempt) == (17, 3, 2)
    page = get(f"{address}/metrics")
    for line in (
        "vistrain_step 17.0",
        "vistrain_epoch 3.0",
        "vistrain_eta_seconds 12.5",
        'vistrain_loss{part="iou"} 1.5',
        'vistrain_learning_rate{group="head"} 0.01',
        "vistrain_images_per_second 30.0",
        "vistrain_data_wait_ratio 0.1",
        'vistrain_metric{class="car",name="AP"} 0.25',
        'vistrain_metric{class="",name="AR100"} NaN',
        "vistrain_checkpoint_seconds_count 1.0",
    ):
        assert line in page.splitlines()
    assert get(f"{address}/healthz") == "ok\n"
    with pytest.raises(urllib.error.HTTPError, match="404") as refused:
        get(f"{address}/other")
    refused.value.close()


def test_a_taken_port_is_an_os_error(served):
    board, metrics, address = served
    with pytest.raises(OSError, match="in use"):
        TelemetryServer("127.0.0.1", int(address.rpartition(":")[2]), board.progress, metrics.registry)
