#!/usr/bin/env python3
"""The benchmark; tests/bench/run.sh builds what it needs and runs this."""
import argparse
import shutil
import tempfile

import common
import table
import throughput

PARTS = {"throughput": throughput}
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
    found = parser.parse_args()
    found.parts = found.parts.split(",")
    for part in found.parts:
        if part not in PARTS:
            parser.error(f"no part {part}; there are {', '.join(PARTS)}")
    found.runs = found.runs or (1 if found.quick else 3)
    found.events = found.events or (100000 if found.quick else 3000000)
    customers = [int(n) for n in (found.customers or ("20000" if found.quick else "200000,1000000")).split(",")]
    found.jobs = [(n, span) for n in customers for span in (HOURS_41, DAYS_120)]
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
