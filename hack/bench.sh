#!/usr/bin/env bash
# The benchmarks of tests/bench, one after another; `hack/bench.sh NAME...` runs some of them.
set -euo pipefail
cd "$(dirname "$0")/.."
if [ $# -eq 0 ]; then set -- $(cd tests/bench && ls ./*.py | sed 's|^\./||; s|\.py$||' | grep -v '^_'); fi
for name in "$@"; do
  printf '\n== %s\n' "$name"
  .venv/bin/python "tests/bench/$name.py"
done
