#!/usr/bin/env bash
# The benchmark: installs what it needs (Debian 12), builds, measures, prints the tables. Its own broker and Redis on free
# ports, a folder of its own; leaves nothing running but its results in build/bench. README.md says what each figure means.
#   tests/bench/run.sh [--quick] [--parts PART,...] [--table] ...   (--help lists them)
set -euo pipefail
cd "$(dirname "$0")/../.."

deploy/install.sh gcc libc6-dev cmake ninja-build pkg-config librdkafka-dev libhiredis-dev libssl-dev libcjson-dev liblz4-dev libmicrohttpd-dev libgnutls28-dev libsystemd-dev libxxhash-dev libgsl-dev \
  redis-server valgrind util-linux python3 python3-venv default-jdk-headless maven procps >&2
log=$(mktemp)
trap 'rm -f "$log"' EXIT
{ cmake --preset release -DTAGD_BENCH=ON && cmake --build --preset release; } >"$log" 2>&1 || { cat "$log" >&2; exit 1; }
venv=build/venv
if ! cmp -s tests/requirements.txt $venv/requirements.txt; then
  [ -x $venv/bin/pip ] || python3 -m venv $venv
  $venv/bin/pip install -q -r tests/requirements.txt
  cp tests/requirements.txt $venv/requirements.txt
fi
$venv/bin/python tests/bench/bench.py "$@"
