#!/usr/bin/env bash
# Makes the virtual environment: hack/setup.sh PYTHON VENV. Installs what a bare Debian lacks where we are root.
set -euo pipefail
python=$1 venv=$2
cd "$(dirname "$0")/.."

need=()
"$python" -c 'import venv, ensurepip' 2>/dev/null || need+=(python3-venv)
command -v g++ >/dev/null || need+=(g++)
"$python" -c 'import sysconfig, pathlib, sys; sys.exit(not (pathlib.Path(sysconfig.get_path("include")) / "Python.h").exists())' || need+=(python3-dev)
if [ ${#need[@]} -gt 0 ]; then
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "set-up: please install ${need[*]} (yolox is compiled at installation), then run this again" >&2
    exit 1
  fi
  echo "set-up: apt-get install ${need[*]}"
  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${need[@]}" >/dev/null
fi

free_kb=$(df -Pk . | awk 'NR==2 {print $4}')
if [ ! -x "$venv/bin/vistrain" ] && [ "$free_kb" -lt 16000000 ]; then
  echo "set-up: needs 16 GB of free disk for torch and its CUDA libraries; there are $((free_kb / 1000000)) GB" >&2
  exit 1
fi

[ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
[ -x "$venv/bin/uv" ] || "$venv/bin/python" -m pip install --quiet --disable-pip-version-check uv
export VIRTUAL_ENV=$PWD/$venv UV_LINK_MODE=${UV_LINK_MODE:-hardlink}
uv="$venv/bin/uv pip"
echo "set-up: packages of requirements/dev.lock"
$uv install --quiet --no-deps --requirement <(grep -v '^yolox==' requirements/dev.lock)
# yolox compiles against the torch that is installed, so it comes second, without an isolated build.
$uv install --quiet --no-deps --no-build-isolation --requirement requirements/dev.lock
$uv install --quiet --no-deps --editable crds --editable operator --editable trainer --editable devcluster
echo "set-up: $("$venv/bin/python" -c 'import torch; print("torch", torch.__version__)'), vistrain in $venv/bin"
