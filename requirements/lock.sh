#!/usr/bin/env bash
# Writes requirements/{dev,trainer,operator,build}.lock from the members' pyproject.toml: versions pinned, no addresses.
set -euo pipefail
cd "$(dirname "$0")/.."
compile() { # OUT, then uv's arguments
  local out=$1; shift
  uv pip compile --quiet --universal --python-version 3.11 --no-header --no-annotate --no-emit-index-url \
    --no-emit-find-links --no-emit-package vistrain-api --output-file "$out" "$@"
}
compile requirements/dev.lock "$@" crds/pyproject.toml operator/pyproject.toml trainer/pyproject.toml devcluster/pyproject.toml requirements/dev.in
compile requirements/trainer.lock --constraint requirements/dev.lock crds/pyproject.toml trainer/pyproject.toml
compile requirements/operator.lock --constraint requirements/dev.lock crds/pyproject.toml operator/pyproject.toml
compile requirements/build.lock "$@" requirements/build.in # what builds the images, beside Debian's packages
