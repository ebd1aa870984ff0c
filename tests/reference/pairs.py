#!/usr/bin/env python3
"""The engine against the reference on random pairs, change by change, member by member.

usage: pairs.py --tagd BINARY --seeds A:B [--jobs N] [--state FILE] [--quick]

On a difference: the seed, the pair shrunk while it still differs, and both sides. --state FILE makes a long range resumable:
finished blocks of seeds are written there and skipped. --quick ends at the first difference and doesn't show it."""
import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor

import generate
import reference

BLOCK = 50
SECONDS = 20  # of the engine, for one pair; it takes milliseconds


def engine(tagd, catalog, records, until):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "catalog.json")
        with open(path, "w") as file:
            json.dump(catalog, file)
        lines = "".join(json.dumps(record) + "\n" for record in records)
        try:
            run = subprocess.run([tagd, "simulate", "--catalog", path, "--until", reference.time_text(until)], input=lines,
                                 capture_output=True, text=True, timeout=SECONDS)
        except subprocess.TimeoutExpired:
            return [f"no answer in {SECONDS} s"]
    if run.returncode != 0:
        return [f"exit {run.returncode}: {run.stderr}"]
    return [json.loads(line) for line in run.stdout.splitlines()]


def by_customer(events):
    out = {}
    for event in events:
        out.setdefault(event["subject"] if isinstance(event, dict) else "", []).append(event)
    return out


def same(a, b, name=""):
    """Equal; p_alive(), a double that two programs compute, to 9 digits, or to 300 places."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key], key) for key in a)
    if isinstance(a, float) and isinstance(b, float) and "p_alive" in name:
        return math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-300)
    return a == b


def differs(tagd, catalog, records, until, grid):
    expected = reference.simulate(catalog, records, until, grid)
    found, wanted = by_customer(engine(tagd, catalog, records, until)), by_customer(expected.out)
    for subject in sorted(set(found) | set(wanted)):
        a, b = wanted.get(subject, []), found.get(subject, [])
        for i in range(max(len(a), len(b))):
            left, right = a[i] if i < len(a) else None, b[i] if i < len(b) else None
            if not same(left, right):
                return expected, (subject, i, left, right)
    return expected, None


def shrink(tagd, catalog, records, until, grid):
    def still(c, r):
        try:
            return bool(r) and engine(tagd, c, [], until) == [] and differs(tagd, c, r, until, grid)[1]
        except Exception:
            return False
    changed = True
    while changed:
        changed = False
        for i in reversed(range(len(records))):
            fewer = records[:i] + records[i + 1:]
            if still(catalog, fewer):
                records, changed = fewer, True
        for d in list(catalog["dimensions"]):
            fewer = dict(catalog, dimensions={k: v for k, v in catalog["dimensions"].items() if k != d})
            if still(fewer, records):
                catalog, changed = fewer, True
                continue
            tags = catalog["dimensions"][d].get("tags", [])
            for j in reversed(range(len(tags))):
                fewer = dict(catalog, dimensions=dict(catalog["dimensions"], **{d: {"tags": tags[:j] + tags[j + 1:]}}))
                if len(tags) > 1 and still(fewer, records):
                    catalog, tags, changed = fewer, tags[:j] + tags[j + 1:], True
    return catalog, records


def block(job):
    global SECONDS
    tagd, first, last, quick = job
    if quick:
        SECONDS = 5
    total = {"chases": 0, "close": 0, "pairs": 0, "changes": [], "time": 0, "late": 0, "event": 0, "used": {}, "failed": []}
    for seed in range(first, last):
        if len(total["failed"]) == (1 if quick else 3):
            break
        catalog, records, until, grid, used = generate.pair(seed)
        try:
            expected, difference = differs(tagd, catalog, records, until, grid)
        except reference.Chases:
            total["chases"] += 1
            continue
        except reference.Close:
            total["close"] += 1
            continue
        total["pairs"] += 1
        total["changes"].append(len(expected.out))
        total["time"] += sum(e["data"]["origin"] == "time" for e in expected.out)
        total["late"] += expected.late
        for name, n in used.items():
            total["used"][name] = total["used"].get(name, 0) + n
        if difference:
            total["failed"].append(seed)
    return first, last, total


def report(tagd, seed):
    catalog, records, until, grid, _ = generate.pair(seed)
    catalog, records = shrink(tagd, catalog, records, until, grid)
    subject, i, left, right = differs(tagd, catalog, records, until, grid)[1]
    print(f"seed {seed} differs ({'grid' if grid else 'days'}); shrunk to:")
    print(json.dumps({k: v for k, v in catalog.items() if k != "metrics" or v}, ensure_ascii=False, indent=1))
    for record in records:
        print(json.dumps(record, ensure_ascii=False))
    print(f"until {reference.time_text(until)}; customer {subject}, change {i + 1}\nreference {json.dumps(left)}\nengine    {json.dumps(right)}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--tagd", required=True)
    parser.add_argument("--seeds", required=True)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--state")
    parser.add_argument("--quick", action="store_true")
    args = parser.parse_args()
    first, last = map(int, args.seeds.split(":"))
    finished = {}
    if args.state and os.path.exists(args.state):
        for line in open(args.state):
            entry = json.loads(line)
            finished[(entry["first"], entry["last"])] = entry["total"]
    wanted = [(x, min(x + BLOCK, last)) for x in range(first, last, BLOCK)]
    totals, started = [finished[x] for x in wanted if x in finished], time.time()
    resumed = len(totals)
    with ProcessPoolExecutor(args.jobs) as pool:
        for a, b, total in pool.map(block, [(args.tagd, a, b, args.quick) for a, b in wanted if (a, b) not in finished]):
            totals.append(total)
            if args.state:
                with open(args.state, "a") as file:
                    file.write(json.dumps({"first": a, "last": b, "total": total}) + "\n")
            if total["failed"] and not args.state:
                pool.shutdown(wait=True, cancel_futures=True)
                break
    changes = [n for t in totals for n in t["changes"]]
    by_time, late = sum(t["time"] for t in totals), sum(t["late"] for t in totals)
    failed = [seed for t in totals for seed in t["failed"]]
    used = {}
    for t in totals:
        for name, n in t["used"].items():
            used[name] = used.get(name, 0) + n
    if failed and not args.quick:
        report(args.tagd, failed[0])
    print(f"pairs {len(changes)} ({resumed} blocks from the state file), changes compared {sum(changes)}, median a pair {statistics.median(changes)}, "
          f"by time alone {by_time / max(1, sum(changes)):.1%}, from late events {late / max(1, sum(changes)):.1%}, {time.time() - started:.0f} s")
    chases, close = (sum(t[name] for t in totals) for name in ("chases", "close"))
    print(f"left out: {chases} catalogs whose rules chase each other, {close} whose p_alive() is a level to the last digit")
    print("used: " + ", ".join(f"{name} {n}" for name, n in sorted(used.items())))
    print(f"{len(changes) - len(failed)} passed, {len(failed)} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
