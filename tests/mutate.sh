#!/usr/bin/env bash
# Breaks a copy of the code in small ways, one at a time (tests/mutants.txt); the unit tests or the random pairs must fail for
# each. Ends with 'N passed, N failed'; a mutant that nothing catches has failed.
#   tests/mutate.sh [--seeds A:B] [FIRST-LAST]     FIRST-LAST: mutants by number, from 1
set -euo pipefail
cd "$(dirname "$0")/.."
seeds=0:300
if [ "${1:-}" = --seeds ]; then seeds=$2; shift 2; fi
range=${1:-1-9999}
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
cp -r CMakeLists.txt daemon include tests "$copy"/
sed -i "s/ -Werror//" "$copy/CMakeLists.txt" # a mutant may leave a variable unused
cmake -S "$copy" -B "$copy/build" -G Ninja -DCMAKE_BUILD_TYPE=Debug -DCMAKE_C_FLAGS=-O1 >/dev/null
python3 - "$copy" "$seeds" "$range" <<'PY'
import os, subprocess, sys
sys.path.insert(0, "tests")
import planted
copy, seeds, span = sys.argv[1:]
first, last = map(int, span.split("-"))
targets = ["tagd", "test_base", "test_json", "test_config", "test_catalog", "test_event", "test_profile", "test_model", "test_fit", "test_engine", "test_standing", "test_goals", "test_churn", "test_shard", "test_worker", "test_repair", "test_cache", "test_emit", "test_kinds", "test_population", "test_report", "test_poison", "test_audit", "test_import",
           "test_delivery", "test_brakes", "test_held", "test_trial", "test_redis_head", "test_redis", "test_kafka", "test_lines", "test_log", "test_service", "test_health", "test_recent", "test_guard", "test_letters", "test_skip", "test_checks"]

def sh(command):
    return subprocess.run("timeout 300 " + command, shell=True, capture_output=True, text=True)

# Those that are about the room come first: whoever catches it is enough.
about = {"command": ["test_lines", "test_held", "test_service", "test_health", "test_recent", "test_letters", "test_checks"], "http": ["test_guard"], "log": ["test_log", "test_recent"], "base": ["test_base", "test_json", "test_brakes"], "shard": ["test_shard", "test_cache", "test_repair", "test_kinds", "test_population"], "worker": ["test_worker", "test_skip", "test_brakes", "test_audit", "test_poison", "test_delivery", "test_import"],
         "engine": ["test_engine", "test_standing", "test_goals", "test_churn"], "model": ["test_model", "test_churn"], "io": ["test_redis_head", "test_trial", "test_redis", "test_kafka"],
         "emit": ["test_emit", "test_goals", "test_kinds", "test_standing"]}

def in_order(path):
    room = path.split("/")[1]
    first = about.get(room, ["test_" + room])
    return sorted(targets[1:], key=lambda name: first.index(name) if name in first else len(first) + (name == "test_fit"))

def tests(path="daemon/io/"):
    for name in in_order(path):
        if name in ("test_redis", "test_kafka") and not path.startswith("daemon/io/"):
            continue  # they take seconds, and stand on io alone
        by = planted.failed(sh(f"{copy}/build/{name}"), name)
        if by:
            return by
    return planted.failed(sh(f"python3 tests/reference/pairs.py --tagd {copy}/build/tagd --seeds {seeds} --jobs 2 --quick"), "pairs")

def build():
    return sh(f"cmake --build {copy}/build --target {' '.join(targets)}")

assert build().returncode == 0, "the copy does not build"
assert tests() is None, "the tests fail without any mutant"
caught, missed = 0, []
for number, (path, old, new) in enumerate(planted.faults("tests/mutants.txt"), 1):
    if not first <= number <= last:
        continue
    target = os.path.join(copy, path)
    source = open(target).read()
    assert source.count(old) >= 1, f"mutant {number}: not found in {path}: {old}"
    assert source.count(old) == 1, f"mutant {number}: stands {source.count(old)} times in {path}: {old}"
    open(target, "w").write(source.replace(old, new))
    built = build()
    assert built.returncode == 0, f"mutant {number} does not build, so it shows nothing: {built.stdout[-1500:]}"
    by = tests(path)
    open(target, "w").write(source)
    print(f"{number:3} {'caught by ' + by if by else 'NOT CAUGHT'}: {path}: {old!r} -> {new!r}", flush=True)
    if by:
        caught += 1
    else:
        missed.append(number)
print(f"{caught} passed, {len(missed)} failed")
sys.exit(1 if missed else 0)
PY
