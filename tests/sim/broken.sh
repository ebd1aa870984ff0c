#!/usr/bin/env bash
# Builds a copy in which one thing is broken, one at a time (tests/sim/broken.txt); the simulator must fail on each. Ends with
# 'N passed, N failed'; a broken build that nothing is seen of has failed.
#   tests/sim/broken.sh [--seeds A:B] [FIRST-LAST]     FIRST-LAST: broken builds by number, from 1
set -euo pipefail
cd "$(dirname "$0")/../.."
seeds=0:6000
if [ "${1:-}" = --seeds ]; then seeds=$2; shift 2; fi
range=${1:-1-9999}
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
cp -r CMakeLists.txt daemon include tests "$copy"/
sed -i "s/ -Werror//" "$copy/CMakeLists.txt" # what is broken may leave a variable unused
cmake -S "$copy" -B "$copy/build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DCMAKE_C_FLAGS=-O1 >/dev/null
python3 - "$copy" "$seeds" "$range" <<'PY'
import os, re, subprocess, sys
copy, seeds, span = sys.argv[1:]
first, last = map(int, span.split("-"))

def sh(command):
    return subprocess.run("timeout 300 " + command, shell=True, capture_output=True, text=True, errors="replace")

def run():
    result = sh(f"{copy}/build/sim --seeds {seeds} --jobs {os.cpu_count()}")
    failed = re.search(r"(\d+) failed", result.stdout)
    seen = re.search(r"^seed \d+ failed: ([^\n]{0,100})", result.stdout, re.M)
    if result.returncode == 0:
        return None
    return f"{failed.group(1) if failed else '?'} seeds: {seen.group(1) if seen else 'a job died'}"

def build():
    return sh(f"cmake --build {copy}/build --target sim")

assert build().returncode == 0, "the copy does not build"
assert run() is None, "the simulator fails without anything broken"
caught, missed, number = 0, [], 0
for line in open("tests/sim/broken.txt"):
    if line.startswith("#") or not line.strip():
        continue
    number += 1
    if not first <= number <= last:
        continue
    what, path, old, new = [part.replace("\\|", "|").replace("\\n", "\n") for part in re.split(r"(?<!\\) \| ", line.rstrip("\n"))]
    target = os.path.join(copy, path)
    source = open(target).read()
    assert source.count(old) == 1, f"{number}, {what}: stands {source.count(old)} times in {path}: {old}"
    open(target, "w").write(source.replace(old, new))
    built = build()
    assert built.returncode == 0, f"{number}, {what}: does not build, so it shows nothing: {built.stdout[-1500:]}"
    by = run()
    open(target, "w").write(source)
    print(f"{number:3} {what}: {by or 'NOT SEEN'}", flush=True)
    if by:
        caught += 1
    else:
        missed.append(number)
print(f"{caught} passed, {len(missed)} failed")
sys.exit(1 if missed else 0)
PY
