#!/usr/bin/env bash
# Builds a copy in which one thing is broken, one at a time (tests/sim/broken.txt); the simulator must fail on each. Ends with
# 'N seen, N missed'.
#   tests/sim/broken.sh [--seeds A:B] [FIRST-LAST]     FIRST-LAST: broken builds by number, from 1
set -euo pipefail
cd "$(dirname "$0")/../.."
seeds=0:60000
if [ "${1:-}" = --seeds ]; then seeds=$2; shift 2; fi
range=${1:-1-9999}
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
cp -r CMakeLists.txt daemon include tests "$copy"/
sed -i "s/ -Werror//" "$copy/CMakeLists.txt" # what is broken may leave a variable unused
cmake -S "$copy" -B "$copy/build" -G Ninja -DCMAKE_BUILD_TYPE=Debug -DCMAKE_C_FLAGS=-O1 >/dev/null
python3 - "$copy" "$seeds" "$range" <<'PY'
import os, re, subprocess, sys
sys.path.insert(0, "tests")
import planted
copy, seeds, span = sys.argv[1:]
first, last = map(int, span.split("-"))

def sh(command):
    return subprocess.run("timeout 300 " + command, shell=True, capture_output=True, text=True, errors="replace")

def run(seeds):
    result = sh(f"{copy}/build/sim --seeds {seeds} --jobs {os.cpu_count()} --first")
    seen = re.search(r"^seed (\d+) failed: ([^\n]{0,100})", result.stdout, re.M)
    return planted.failed(result, f"seed {seen[1]}: {seen[2]}" if seen else "the simulator")

def build():
    return sh(f"cmake --build {copy}/build -j 2 --target sim")

lines = planted.faults("tests/sim/broken.txt")
for what, path, old, new, *_ in lines:
    n = open(path).read().count(old)
    assert n == 1, f"{what}: stands {n} times in {path}: {old}"
assert build().returncode == 0, "the copy does not build"
assert run("0:10000") is None, "the simulator fails without anything broken"
seen, missed = 0, []
for number, (what, path, old, new, *rare) in enumerate(lines, 1):
    if not first <= number <= last:
        continue
    target = os.path.join(copy, path)
    source = open(target).read()
    open(target, "w").write(source.replace(old, new))
    built = build()
    assert built.returncode == 0, f"{number}, {what}: does not build, so it shows nothing: {built.stdout[-1500:]}"
    by = run(*rare or [seeds])
    open(target, "w").write(source)
    print(f"{number:3} {what}: {by or 'NOT SEEN'}", flush=True)
    if by:
        seen += 1
    else:
        missed.append(number)
print(f"{seen} seen, {len(missed)} missed")
sys.exit(1 if missed else 0)
PY
