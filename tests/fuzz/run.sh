#!/usr/bin/env bash
# Builds the fuzzers and runs each over its corpus and then for some seconds more; a line each. Fails if one finds anything.
#   tests/fuzz/run.sh                       5 seconds each, always the same mutations; with --coverage what every CI run does
#   tests/fuzz/run.sh --seconds N [NAME...] N seconds of one processor each, other ones every time
#   tests/fuzz/run.sh --coverage ...        then also which lines of each decoder that reached: under 90 % of one it fails
# What is found anew is kept in build/fuzz/corpus/NAME, a finding in build/fuzz/findings; tests/fuzz/README.md says more.
set -euo pipefail
cd "$(dirname "$0")/../.."

usage() { echo "usage: tests/fuzz/run.sh [--seconds N] [--coverage] [NAME...]" >&2; exit 64; }
seconds=5 seed=1 coverage=no names=()
while [ $# -gt 0 ]; do
  case "$1" in
    --seconds) [[ ${2:-} =~ ^[1-9][0-9]*$ ]] || usage; seconds=$2; seed=0; shift ;;
    --coverage) coverage=yes ;;
    -*) usage ;;
    *) [ -f "tests/fuzz/fuzz_$1.c" ] || { echo "there is no fuzzer \"$1\": $(ls tests/fuzz/fuzz_*.c | sed 's/.*fuzz_//; s/\.c//' | tr '\n' ' ')" >&2; exit 64; }
       names+=("$1") ;;
  esac
  shift
done
[ ${#names[@]} -gt 0 ] || mapfile -t names < <(ls tests/fuzz/fuzz_*.c | sed 's/.*fuzz_//; s/\.c//')

build=build/fuzz
build_preset() {
  cmake --preset "$1" >"$build.log" 2>&1 && cmake --build --preset "$1" --target fuzzers >>"$build.log" 2>&1 ||
    { tail -n 40 "$build.log"; exit 1; }
}
mkdir -p build
build_preset fuzz
rm -rf $build/seeds
python3 tests/fuzz/seeds.py $build/seeds
mkdir -p $build/findings

# Longest inputs that are made; those of seeds may be longer.
length_of() {
  case "$1" in
    catalog) echo 3000 ;; config) echo 1500 ;; event) echo 1000 ;; time) echo 64 ;; profile | told) echo 250 ;;
    *) echo 500 ;;
  esac
}

# Where its inputs are: first what was found on this machine.
inputs_of() {
  mkdir -p "$build/corpus/$1"
  echo "$build/corpus/$1"
  [ ! -d "tests/fuzz/corpus/$1" ] || echo "tests/fuzz/corpus/$1"
  [ ! -d "$build/seeds/$1" ] || echo "$build/seeds/$1"
}

# Its corpus in full, then mutations of it.
fuzz() {
  local name=$1 log=$build/$1.log dict=() inputs
  mapfile -t inputs < <(inputs_of "$name")
  [ ! -f "tests/fuzz/$name.dict" ] || dict=("-dict=tests/fuzz/$name.dict")
  local common=(-timeout=20 -rss_limit_mb=2048 "-artifact_prefix=$build/findings/$name-")
  if ! $build/fuzz_"$name" "${common[@]}" -runs=0 "${inputs[@]}" >"$log" 2>&1 ||
    ! $build/fuzz_"$name" "${common[@]}" -max_total_time="$seconds" -max_len="$(length_of "$name")" -len_control=0 -seed="$seed" \
      -print_final_stats=1 "${dict[@]}" "${inputs[@]}" >"$log" 2>&1; then
    printf '%-11s FOUND: see %s\n' "$name" "$log"
    grep -E 'not so|runtime error|ERROR|Assertion|Test unit' "$log" | head -n 8
    return 1
  fi
  printf '%-11s %9d executions, corpus %5d, crashes 0\n' "$name" \
    "$(sed -n 's/stat::number_of_executed_units: *//p' "$log")" "$(find "${inputs[@]}" -type f | wc -l)"
}
export -f fuzz length_of inputs_of
export build seconds seed

printf '%s\n' "${names[@]}" | xargs -P "$(nproc)" -I{} bash -euo pipefail -c 'fuzz {}' || { echo "a fuzzer found something"; exit 1; }

[ $coverage = yes ] || exit 0
build_preset fuzz-coverage
measure() {
  local inputs
  mapfile -t inputs < <(inputs_of "$1")
  LLVM_PROFILE_FILE=build/fuzz-coverage/$1.profraw build/fuzz-coverage/fuzz_"$1" -runs=0 "${inputs[@]}" >"$build/$1.coverage.log" 2>&1
}
export -f measure
printf '%s\n' "${names[@]}" | xargs -P "$(nproc)" -I{} bash -euo pipefail -c 'measure {}'
python3 tests/fuzz/coverage.py build/fuzz-coverage "${names[@]}"
