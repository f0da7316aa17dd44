"""docs/doctor.md lists the very checks that there are."""

from __future__ import annotations

from pathlib import Path

from vistrain_trainer.doctor.examine import ALL_CHECKS

PAGE = Path(__file__).parents[3] / "docs" / "doctor.md"


def test_the_table_of_checks_is_the_code():
    lines = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    assert lines == [f"| `{check.identifier}` | {check.looks_at} | {check.finds} |" for check in ALL_CHECKS]


def test_every_check_has_a_name_of_its_own():
    names = [check.identifier for check in ALL_CHECKS]
    assert len(set(names)) == len(names)
