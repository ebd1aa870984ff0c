#!/usr/bin/env python3
"""CDNOW: 69,659 real purchases by 23,570 customers, 1997 to 1998, through `tagd simulate`; every change against the reference.

usage: cdnow.py --tagd BINARY --data CDNOW_master.txt [--jobs N] [--every K]

CDNOW_master.txt is a file of the package `lifetimes` (columns: customer, date, number of CDs, dollars). The events are in order
of time, so that a customer's changes are a function of their own events and the reference may look at one customer at a time.
--every K compares every K-th customer only."""
import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor

import reference

UNTIL = "1998-12-31T00:00:00.000Z"
CATALOG = {
    "catalog": "cdnow", "version": "1",
    "events": {"order.paid": {"fields": {"amount": "decimal", "cds": "decimal"}}},
    "metrics": {"spend": "sum(amount, order.paid)", "spend_quarter": "sum(amount, order.paid[90d])"},
    "dimensions": {
        "rfm.recency": {"tags": [{"tag": "r30", "when": "since(order.paid) <= 30d"}, {"tag": "r60", "when": "since(order.paid) <= 60d"},
                                 {"tag": "r90", "when": "since(order.paid) <= 90d"}, {"tag": "older", "when": "true"}]},
        "rfm.frequency": {"tags": [{"tag": "high", "when": "count(order.paid[180d]) >= 3"}, {"tag": "mid", "when": "count(order.paid[180d]) >= 1"},
                                   {"tag": "low", "when": "true"}]},
        "rfm.monetary": {"tags": [{"tag": "high", "when": "spend >= 200"}, {"tag": "mid", "when": "spend >= 50"}, {"tag": "low", "when": "true"}]},
        "value.quarter": {"tags": [{"tag": "high", "when": "spend_quarter >= 100"}, {"tag": "some", "when": "spend_quarter > 0"},
                                   {"tag": "none", "when": "true"}]},
        "value.order": {"tags": [{"tag": "large", "when": "avg(amount, order.paid) >= 40"}, {"tag": "usual", "when": "true"}]},
        "rfm.segment": {"tags": [{"tag": "best", "when": "rfm.recency == 'r30' and rfm.frequency == 'high'"},
                                 {"tag": "at-risk", "when": "rfm.monetary in ('high', 'mid') and rfm.recency in ('r90', 'older')"},
                                 {"tag": "other", "when": "true"}]}}}


def records(path):
    rows = [line.split() for line in open(path) if line.strip()][1:]
    events = [{"specversion": "1.0", "id": f"p{i}", "source": "cdnow", "type": "order.paid", "subject": customer,
               "time": f"{day[:4]}-{day[4:6]}-{day[6:]}T00:00:00.000Z", "data": {"amount": float(dollars), "cds": int(cds)}}
              for i, (customer, day, cds, dollars) in enumerate(rows)]
    return sorted(events, key=lambda e: e["time"])


def expected(customers):
    """[(subject, events)] -> {subject: changes}"""
    until = reference.time_ms(UNTIL)
    return {subject: reference.simulate(CATALOG, events, until).out for subject, events in customers}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--tagd", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--every", type=int, default=1)
    args = parser.parse_args()
    events, by_customer = records(args.data), {}
    for event in events:
        by_customer.setdefault(event["subject"], []).append(event)
    with tempfile.TemporaryDirectory() as folder:
        catalog, source = os.path.join(folder, "catalog.json"), os.path.join(folder, "events.jsonl")
        json.dump(CATALOG, open(catalog, "w"))
        with open(source, "w") as file:
            file.writelines(json.dumps(event) + "\n" for event in events)
        started = time.time()
        run = subprocess.run([args.tagd, "simulate", "--catalog", catalog, "--until", UNTIL, source], capture_output=True, text=True)
        seconds = time.time() - started
    assert run.returncode == 0, run.stderr
    found = {}
    for line in run.stdout.splitlines():
        change = json.loads(line)
        found.setdefault(change["subject"], []).append(change)
    changes = sum(map(len, found.values()))
    print(f"simulate: {len(events)} events, {len(by_customer)} customers, {changes} changes in {seconds:.2f} s")
    wanted = sorted(by_customer.items())[::args.every]
    compared = mismatches = 0
    with ProcessPoolExecutor(args.jobs) as pool:
        for part in pool.map(expected, [wanted[i:i + 200] for i in range(0, len(wanted), 200)]):
            for subject, out in part.items():
                mine = found.get(subject, [])
                compared += max(len(out), len(mine))
                mismatches += sum(a != b for a, b in zip(out, mine)) + abs(len(out) - len(mine))
    print(f"compared: {len(wanted)} customers, {compared} changes, {mismatches} mismatches")
    ok = mismatches == 0 and compared > 0
    print(f"{int(ok)} passed, {int(not ok)} failed")
    sys.exit(0 if ok else 1)


if __name__ == "__main__":
    main()
