#!/usr/bin/env python3
"""The benchmark; tests/bench/run.sh builds what it needs and runs this."""
import argparse
import shutil
import signal
import sys
import tempfile

import common
import growth
import latency
import memory
import start
import table
import throughput
import timers

PARTS = {"throughput": throughput, "latency": latency, "timers": timers, "start": start, "memory": memory, "growth": growth}
NUMBERS = {  # name: default, with --quick, what
    "events": (3000000, 100000, "of throughput: events of each stream"),
    "customers": ((200000, 1000000), (20000,), "of throughput: customers, several with commas between"),
    "hours": ((41, 2880), (2880,), "of throughput: of event time, several with commas between"),
    "runs": (3, 1, "of throughput, latency, timers: repetitions, of which medians are printed"),
    "rates": ((1000, 10000, 30000), (1000, 5000), "of latency: events a second"),
    "seconds": (20, 2, "of latency: for each rate"),
    "timers": (1000000, 20000, "of timers: due at once"),
    "live_rate": (1000, 1000, "of timers: events a second meanwhile"),
    "kills": (10, 3, "of start"),
    "memory_customers": (1000000, 10000, "of memory: 30 events each"),
    "growth_events": (1000000, 20000, "of growth: that are measured"),
    "growth_sample": (40000, 2000, "of growth: that are measured by callgrind"),
    "growth_customers": ((10000, 50000, 200000, 1000000, 5000000), (1000, 10000), "of growth"),
    "growth_each": ((10, 100, 1000, 10000), (10, 100), "of growth: events a customer"),
    "growth_dimensions": ((10, 100, 500), (10, 100), "of growth"),
}


def numbers(text):
    return tuple(int(n) for n in text.split(","))


def options():
    parser = argparse.ArgumentParser(prog="run.sh", description="Measures tagd, and its peers beside it; README.md says what each figure means.")
    parser.add_argument("--table", action="store_true", help="prints the tables of what was measured last, and measures nothing")
    parser.add_argument("--quick", action="store_true", help="small sizes, one run: shows that it works, its figures mean little")
    parser.add_argument("--parts", default=",".join(PARTS), help="with commas between; default: %(default)s")
    parser.add_argument("--systems", default="", help="of throughput and latency: only those whose names have this, or one of several with commas between, in them")
    for name, (default, _, what) in NUMBERS.items():
        shown = ",".join(map(str, default)) if isinstance(default, tuple) else default
        parser.add_argument("--" + name.replace("_", "-"), type=numbers if isinstance(default, tuple) else int, metavar="N", help=f"{what}; default {shown}")
    found = parser.parse_args()
    for name, (default, quick, _) in NUMBERS.items():
        if getattr(found, name) is None:
            setattr(found, name, quick if found.quick else default)
    found.parts = found.parts.split(",")
    for part in found.parts:
        if part not in PARTS:
            parser.error(f"no part {part}; there are {', '.join(PARTS)}")
    found.jobs = [(n, hours * common.HOUR) for n in found.customers for hours in found.hours]
    return found


def measure(part, found, folder):
    common.say(f"== {part}")
    PARTS[part].main(f"{folder}/{part}", found)


def main():
    found = options()
    if not found.table:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        folder = tempfile.mkdtemp(prefix="tagd-bench.")
        try:
            for part in found.parts:
                measure(part, found, folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    table.main()


if __name__ == "__main__":
    main()
