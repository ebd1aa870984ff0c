#!/usr/bin/env bash
# Builds a copy in which one thing is broken, one at a time (tests/sim/broken.txt); the simulator must fail on each. Ends with
# 'N passed, N failed'; a broken build that nothing is seen of has failed.
#   tests/sim/broken.sh [--seeds A:B] [FIRST-LAST]     FIRST-LAST: broken builds by number, from 1
set -euo pipefail
cd "$(dirname "$0")/../.."
seeds=0:8000
if [ "${1:-}" = --seeds ]; then seeds=$2; shift 2; fi
range=${1:-1-9999}
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
cp -r CMakeLists.txt daemon include tests "$copy"/
sed -i "s/ -Werror//" "$copy/CMakeLists.txt" # what is broken may leave a variable unused
cmake -S "$copy" -B "$copy/build" -G Ninja -DCMAKE_BUILD_TYPE=Debug -DCMAKE_C_FLAGS=-O1 >/dev/null
python3 - "$copy" "$seeds" "$range" <<'PY'
import os, re, subprocess, sys
copy, seeds, span = sys.argv[1:]
first, last = map(int, span.split("-"))

def sh(command):
    return subprocess.run("timeout 300 " + command, shell=True, capture_output=True, text=True, errors="replace")

def run(seeds=seeds):
    result = sh(f"{copy}/build/sim --seeds {seeds} --jobs {os.cpu_count()}")
    failed = re.search(r"refused, (\d+) failed", result.stdout)
    seen = re.search(r"^seed \d+ failed: ([^\n]{0,100})", result.stdout, re.M)
    if result.returncode == 0:
        return None
    return f"{failed.group(1) if failed else '?'} seeds: {seen.group(1) if seen else 'a job died'}"

def build():
    return sh(f"cmake --build {copy}/build --target sim")

def parts(line):
    return [part.replace("\\|", "|").replace("\\n", "\n") for part in re.split(r"(?<!\\) \| ", line.rstrip("\n"))]

lines = [parts(line) for line in open("tests/sim/broken.txt") if line.strip() and not line.startswith("#")]
for what, path, old, new, *_ in lines:
    n = open(path).read().count(old)
    assert n == 1, f"{what}: stands {n} times in {path}: {old}"
assert build().returncode == 0, "the copy does not build"
assert run() is None, "the simulator fails without anything broken"
caught, missed = 0, []
for number, (what, path, old, new, *rare) in enumerate(lines, 1):
    if not first <= number <= last:
        continue
    target = os.path.join(copy, path)
    source = open(target).read()
    open(target, "w").write(source.replace(old, new))
    built = build()
    assert built.returncode == 0, f"{number}, {what}: does not build, so it shows nothing: {built.stdout[-1500:]}"
    by = run(*rare)
    open(target, "w").write(source)
    print(f"{number:3} {what}: {by or 'NOT SEEN'}", flush=True)
    if by:
        caught += 1
    else:
        missed.append(number)
print(f"{caught} passed, {len(missed)} failed")
sys.exit(1 if missed else 0)
PY
