#!/usr/bin/env bash
# All tests: style and drift, then what needs no cluster, then the dev cluster. Each stage says how long it took.
set -euo pipefail
cd "$(dirname "$0")/.."
bin=.venv/bin
# Scores of processes import the same modules: what they compiled is to be kept.
unset PYTHONDONTWRITEBYTECODE
start=$SECONDS
stage() { printf '\n== [%dm%02ds] %s\n' $(((SECONDS - start) / 60)) $(((SECONDS - start) % 60)) "$*"; }

stage "style, types, imports, drift"
hack/lint.sh
stage "tests without a cluster"
$bin/python -m pytest -n 2 --dist loadscope -m 'not cluster' --durations 10 -q
if [ "$(id -u)" != 0 ]; then
  stage "not root: the dev cluster's tests need network namespaces and cgroups and are left out"
  exit 0
fi
stage "tests on the dev cluster, side by side"
$bin/vistrain-devcluster install
# A cluster that these tests start goes with them; one that was up stays.
if ! $bin/vistrain-devcluster status >/dev/null 2>&1; then trap '$bin/vistrain-devcluster down' EXIT; fi
# Two pytest workers, a control plane and trainers share the cores: what fails there is tried once more by itself,
# and told. What fails alone fails.
on_cluster() {
  $bin/python -m pytest --durations 15 -q "$@" && return
  stage "FAILED beside other tests; the same once more, one by one"
  $bin/python -m pytest --last-failed --last-failed-no-failures none -q -m cluster
}
on_cluster -n 2 --dist loadscope -m 'cluster and not alone'
stage "tests on the dev cluster that disturb nodes or the operator, one by one"
on_cluster -m 'cluster and alone'
stage "all passed"
