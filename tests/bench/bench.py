#!/usr/bin/env python3
"""The benchmark; tests/bench/run.sh builds what it needs and runs this."""
import argparse
import shutil
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
HOURS_41 = 41 * common.HOUR
DAYS_120 = 120 * common.DAY


def options():
    parser = argparse.ArgumentParser(prog="run.sh", description="Measures tagd, and its peers beside it; README.md says what each figure means.")
    parser.add_argument("--table", action="store_true", help="prints the tables of what was measured last, and measures nothing")
    parser.add_argument("--quick", action="store_true", help="small sizes, one run: shows that it works, its figures mean little")
    parser.add_argument("--parts", default=",".join(PARTS), help="with commas between; default: all, %(default)s")
    parser.add_argument("--runs", type=int, help="repetitions of throughput, default 3")
    parser.add_argument("--events", type=int, help="of throughput, default 3,000,000")
    parser.add_argument("--customers", help="of throughput, with commas between; default 200000,1000000")
    parser.add_argument("--systems", default="", help="of throughput: only those whose names have this in them")
    parser.add_argument("--rates", help="of latency, events a second with commas between; default 1000,10000,30000")
    parser.add_argument("--seconds", type=int, help="of latency, each rate; default 20")
    parser.add_argument("--timers", type=int, help="of timers: that are due at once, default 1,000,000")
    parser.add_argument("--live-rate", type=int, default=1000, help="of timers: events a second meanwhile, default %(default)s")
    parser.add_argument("--memory-customers", type=int, help="of memory, 30 events each; default 1,000,000")
    found = parser.parse_args()
    found.parts = found.parts.split(",")
    for part in found.parts:
        if part not in PARTS:
            parser.error(f"no part {part}; there are {', '.join(PARTS)}")
    found.runs = found.runs or (1 if found.quick else 3)
    found.events = found.events or (100000 if found.quick else 3000000)
    customers = [int(n) for n in (found.customers or ("20000" if found.quick else "200000,1000000")).split(",")]
    found.jobs = [(n, span) for n in customers for span in (HOURS_41, DAYS_120)]
    found.rates = [int(n) for n in (found.rates or ("1000,5000" if found.quick else "1000,10000,30000")).split(",")]
    found.seconds = found.seconds or (3 if found.quick else 20)
    found.timers = found.timers or (50000 if found.quick else 1000000)
    found.memory_customers = found.memory_customers or (10000 if found.quick else 1000000)
    found.growth_events = 30000 if found.quick else 1000000
    found.growth_customers = (1000, 10000) if found.quick else (10000, 100000, 1000000, 5000000)
    found.growth_each = (10, 100) if found.quick else (10, 100, 1000, 10000)
    found.growth_dimensions = (10, 100) if found.quick else (10, 100, 500)
    return found


def main():
    found = options()
    if not found.table:
        folder = tempfile.mkdtemp(prefix="tagd-bench.")
        try:
            for part in found.parts:
                common.say(f"== {part}")
                stack = common.s.Stack(f"{folder}/{part}")
                try:
                    PARTS[part].main(stack, found)
                finally:
                    stack.stop()
                shutil.rmtree(f"{folder}/{part}")
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    table.main()


if __name__ == "__main__":
    main()
