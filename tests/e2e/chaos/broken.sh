#!/usr/bin/env bash
# Breaks a copy of the daemon, one way at a time (broken.txt), and runs it under faults: each time the reader must find a violation, in
# three runs at most, since where a fault falls is chance.
# Ends with 'N passed, N failed'; a broken build that runs through has failed.
#   tests/e2e/chaos/broken.sh [FIRST-LAST]     broken builds by number, from 1; 0 is the unbroken one, which must run through
set -euo pipefail
cd "$(dirname "$0")/../../.."
range=${1:-0-9999}
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
cp -r CMakeLists.txt daemon include tests "$copy"/
sed -i "s/ -Werror//" "$copy/CMakeLists.txt" # a broken build may leave a variable unused
cmake -S "$copy" -B "$copy/build" -G Ninja -DCMAKE_BUILD_TYPE=Debug -DCMAKE_C_FLAGS=-O1 >/dev/null
build/venv/bin/python - "$copy" "$range" <<'PY'
import os, subprocess, sys
copy, span = sys.argv[1:]
first, last = map(int, span.split("-"))
sys.path[:0] = ["tests", "tests/e2e/chaos"]
import planted
import run

def build():
    made = subprocess.run(["cmake", "--build", copy + "/build", "--target", "tagd"], capture_output=True, text=True)
    assert made.returncode == 0, made.stdout[-1500:]

def violations(kinds, faults):
    summary, found = run.chaos(events=30000, customers=1000, faults=faults, kinds=kinds, tagd=copy + "/build/tagd", verbose=False, forget=True)
    return found

build()
if first == 0:
    found = violations(["killed", "zombie", "kafka_cut", "redis_cut"], 4)
    assert not found, f"the unbroken build fails: {found[0]}"
caught, missed, number = 0, [], 0
for line in open("tests/e2e/chaos/broken.txt"):
    if not planted.fields(line):
        what = line.strip("# \n")
        continue
    number += 1
    if not first <= number <= last:
        continue
    kinds, path, old, new = planted.fields(line)
    target = os.path.join(copy, path)
    source = open(target).read()
    assert source.count(old) == 1, f"{number}: stands {source.count(old)} times in {path}: {old}"
    open(target, "w").write(source.replace(old, new))
    build()
    found = next(filter(None, (violations(kinds.split(","), 16) for _ in range(3))), [])
    open(target, "w").write(source)
    print(f"{number:3} {'caught, ' + found[0][0] if found else 'NOT CAUGHT'}: {what}", flush=True)
    if found:
        print("      " + found[0][1].split("\n")[0][:200], flush=True)
        caught += 1
    else:
        missed.append(number)
print(f"{caught} passed, {len(missed)} failed")
sys.exit(1 if missed else 0)
PY
