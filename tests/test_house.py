"""The house's own rules that no linter knows."""

import ast
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MEMBERS = ["crds", "operator", "trainer", "devcluster"]


def modules() -> list[Path]:
    return [path for member in MEMBERS for path in (ROOT / member / "src").rglob("*.py")]


def test_nothing_shadows_the_standard_librarys_operator():
    assert not (ROOT / "operator" / "__init__.py").exists()
    assert [path for path in ROOT.rglob("operator.py") if ".venv" not in path.parts] == []


def test_modules_are_small():
    lengths = {path: len(path.read_text().splitlines()) for path in modules()}
    assert statistics.median(lengths.values()) < 200
    assert {str(path): n for path, n in lengths.items() if n > 500} == {}


def test_every_module_says_what_it_is_for():
    silent = [
        str(p) for p in modules() if p.read_text().strip() and not ast.get_docstring(ast.parse(p.read_text()))
    ]
    assert silent == []


@pytest.mark.parametrize("module", ["vistrain_api.manifest", "vistrain_operator.cli", "vistrain_trainer.cli"])
def test_torch_is_not_loaded_where_it_is_not_needed(module):
    code = f"import {module}, sys; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
