#!/usr/bin/env bash
# Style, types, imports, drift of generated files.
set -euo pipefail
cd "$(dirname "$0")/.."
bin=.venv/bin
say() { printf '%s\n' "-- $*"; }
say "ruff"
$bin/ruff check --quiet .
$bin/ruff format --quiet --check .
say "mypy"
$bin/mypy --no-error-summary crds/src operator/src trainer/src devcluster/src
say "import arrows"
$bin/lint-imports --no-logo
say "generated files"
$bin/python -m vistrain_api.generate --check
