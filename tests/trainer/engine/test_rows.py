"""log.jsonl and metrics.csv after kills and rewinds."""

from __future__ import annotations

import csv
import json

import pytest

from vistrain_trainer.engine.fence import Fence
from vistrain_trainer.engine.rows import EpochTable, StepLog
from vistrain_trainer.errors import Fenced


@pytest.fixture
def fence(tmp_path):
    return Fence.take(tmp_path / "fence", 1)


def steps(path):
    return [json.loads(line)["step"] for line in path.read_text().splitlines()]


def test_log_is_rewound_to_the_restored_step(tmp_path, fence):
    path = tmp_path / "log.jsonl"
    log = StepLog(path, fence)
    for step in range(1, 8):
        log.append({"step": step, "loss": 0.5})
    assert log.last_step() == 7
    log.rewind(4)
    log.append({"step": 5})
    assert steps(path) == [1, 2, 3, 4, 5]


def test_a_torn_last_line_goes(tmp_path, fence):
    path = tmp_path / "log.jsonl"
    path.write_bytes(b'{"step":1}\n{"step":2}\n{"st')
    log = StepLog(path, fence)
    assert log.last_step() == 2
    log.rewind(2)
    log.append({"step": 3})
    assert steps(path) == [1, 2, 3]


def test_metrics_columns_that_come_later_join_the_header(tmp_path, fence):
    path = tmp_path / "metrics.csv"
    table = EpochTable(path, fence)
    table.append({"epoch": 1, "loss": 0.25})
    table.append({"epoch": 2, "loss": 0.125, "AP": 0.5})
    table.append({"epoch": 3, "loss": 0.1, "AP": None})
    rows = list(csv.DictReader(path.read_text().splitlines()))
    assert [row["AP"] for row in rows] == ["", "0.5", ""]
    assert [float(row["loss"]) for row in rows] == [0.25, 0.125, 0.1]


@pytest.mark.parametrize("tail", ["", "3,0.5", '3,"0.'])
def test_metrics_are_rewound_and_read_again(tmp_path, fence, tail):
    path = tmp_path / "metrics.csv"
    table = EpochTable(path, fence)
    for epoch in (1, 2):
        table.append({"epoch": epoch, "AP": epoch / 10})
    path.write_text(path.read_text() + tail)
    again = EpochTable(path, fence)
    again.rewind(1)
    again.append({"epoch": 2, "AP": 0.9})
    assert path.read_text() == "epoch,AP\n1,0.1\n2,0.9\n"


def test_a_newer_attempt_stops_rows(tmp_path, fence):
    log, table = StepLog(tmp_path / "log.jsonl", fence), EpochTable(tmp_path / "metrics.csv", fence)
    log.append({"step": 1})
    Fence.take(tmp_path / "fence", 2)
    for write in (lambda: log.append({"step": 2}), lambda: table.append({"epoch": 1})):
        with pytest.raises(Fenced, match="attempt 2"):
            write()
    assert steps(tmp_path / "log.jsonl") == [1]
    assert not (tmp_path / "metrics.csv").exists()
