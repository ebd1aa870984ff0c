#!/usr/bin/env python3
"""What an event costs that can be counted rather than timed: allocations, instructions, bytes of a profile.

usage: costs.py [--tagd BINARY] [--events N] [--customers N] [--days D] [--daemon] [--map]

The job is three dimensions (activity, value, frequency); a stream is 2 N events of about 185 bytes over D days, the customer is
customers * u^2 with u uniform. The first N events warm up; what is printed is (cost of 2 N - cost of N) / N.
--daemon also counts the daemon's allocations, by library, on a real broker and Redis (wants tests/requirements.txt); --map gives it
the same events in a shape of another's, to be read by a map."""
import argparse
import json
import os
import random
import re
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BASE = 1767225600000  # 2026-01-01
CATALOG = {
    "catalog": "peers", "version": "1",
    "events": {"order.paid": {"fields": {"amount": "decimal"}, "dedupe": "1d"}, "login": {}, "live.view": {}, "chat.message": {}},
    "groups": {"interaction": ["login", "live.view", "chat.message", "order.paid"]},
    "dimensions": {
        "behaviour.activity": {"tags": [{"tag": "active", "when": "count(interaction[30d:1h]) >= 2"}, {"tag": "lost", "when": "since(interaction) >= 90d"},
                                        {"tag": "dormant", "when": "since(interaction) >= 30d"}, {"tag": "new", "when": "true"}]},
        "value.level": {"tags": [{"tag": "high", "when": "sum(amount, order.paid[365d:1d]) >= 10000"},
                                 {"tag": "mid", "when": "sum(amount, order.paid[365d:1d]) >= 3000"}, {"tag": "low", "when": "true"}]},
        "value.frequency": {"tags": [{"tag": "high", "when": "count(order.paid[30d:1d]) >= 5"}, {"tag": "mid", "when": "count(order.paid[30d:1d]) >= 1"},
                                     {"tag": "low", "when": "true"}]}}}


def stream(n, customers, days):
    rng, step = random.Random(5), days * 86400000 / n
    for i in range(n):
        ms = BASE + int(i * step)
        at = f"{text_of(ms // 1000)}.{ms % 1000:03d}Z"
        kind = rng.choice(("order.paid", "login", "live.view", "chat.message"))
        data = f'{{"amount":{rng.random() * 500:.2f}}}' if kind == "order.paid" else '{"room":"r1"}'
        subject = f"C{int(customers * rng.random() ** 2):07d}"
        yield (f'{{"specversion":"1.0","id":"e{i}","source":"douyin","type":"{kind}","subject":"{subject}","time":"{at}",'
               f'"datacontenttype":"application/json","data":{data}}}'), subject


MAP = {"id": "/head/no", "source": {"const": "douyin"}, "type": "/head/kind", "subject": "/member/id", "time": {"at": "/ts", "as": "epoch_ms"},
       "data": {"amount": "/lines/0/total"}}


def foreign(event, i):
    """The event in another shape: its id is a number, its time epoch milliseconds."""
    ms = BASE + int(i)
    return json.dumps({"head": {"no": i, "kind": event["type"]}, "member": {"id": event["subject"], "grade": "b"}, "ts": ms,
                       "lines": [{"sku": "x", "total": event["data"].get("amount")}]})


def text_of(seconds, known={}):
    from datetime import datetime, timezone
    if seconds not in known:
        known.clear()
        known[seconds] = datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S")
    return known[seconds]


def allocations(text):
    return {name: int(n) for n, name in re.findall(r"^allocations (\d+) (\S+)$", text, re.M)}


def per_event(half, whole, n):
    out = {}
    for name in sorted(whole):
        each = (whole[name] - half.get(name, 0)) / n
        if abs(each) >= 0.00005:
            out[name] = each
    return out or {"all": 0.0}


def show(what, values):
    print(f"{what}: " + ", ".join(f"{name} {value:.4f}" for name, value in values.items()))


def simulate_costs(args, folder, lib, files):
    command = [args.tagd, "simulate", "--catalog", folder + "/catalog.json"]
    counted = []
    for file in files:
        run = subprocess.run([*command, file], env={**os.environ, "LD_PRELOAD": lib}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert run.returncode == 0, run.stderr[-2000:]
        counted.append(allocations(run.stderr))
        changes = run.stdout.count("\n")
        print(f"simulate {os.path.basename(file)}: {changes} changes")
    show("simulate, allocations an event once warm, by the object that calls", per_event(*counted, args.events))
    instructions = []
    for file in files:
        run = subprocess.run(["valgrind", "--tool=callgrind", "--callgrind-out-file=" + folder + "/callgrind.out", *command, file],
                             stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        instructions.append(int(re.search(r"Collected : (\d+)", run.stderr)[1]))
    print(f"simulate, instructions an event once warm (callgrind): {(instructions[1] - instructions[0]) / args.events:.0f}")


def daemon_costs(args, folder, lib, files):
    sys.path.insert(0, ROOT + "/tests/e2e")
    import stack as s
    stack = s.Stack(folder + "/stack")
    try:
        counted = []
        for k, file in enumerate(files):
            d = s.Daemon(stack, f"cost{k}", CATALOG, [f"cost{k}.events"], time="events", grace="0s")
            if args.map:
                d.config["sources"][0]["map"] = MAP
                d.write()
            d.create_topics(1)
            producer = stack.producer(**{"queue.buffering.max.messages": 1000000})
            lines = open(file).read().splitlines()
            for i, line in enumerate(lines):
                record = json.loads(line)
                producer.produce(d.config["sources"][0]["topic"], foreign(record, i) if args.map else line, record["subject"])
                producer.poll(0)
            producer.flush()
            os.environ["LD_PRELOAD"] = lib
            d.start(ready=False)
            del os.environ["LD_PRELOAD"]
            s.wait_for("all applied", 600, lambda: (m := d.metrics()).get("tagd_events_total", 0) + m.get("tagd_duplicates_total", 0) >= len(lines), 0.2)
            batches = d.metrics()["tagd_batches_total"]
            d.stop()
            counted.append(allocations(open(d.log).read()))
            print(f"daemon {os.path.basename(file)}: {batches:.0f} batches")
        show("daemon, allocations an event once warm, by the object that calls", per_event(*counted, args.events))
        sizes = s.profile_sizes(stack.redis, "cost1")
        sizes.sort()
        print(f"profile bytes a customer: {len(sizes)} customers, mean {sum(sizes) / len(sizes):.0f}, median {sizes[len(sizes) // 2]}, "
              f"p99 {sizes[len(sizes) * 99 // 100]}, largest {sizes[-1]}")
    finally:
        stack.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tagd", default=ROOT + "/build/release/tagd")
    parser.add_argument("--events", type=int, default=200000)
    parser.add_argument("--customers", type=int, default=20000)
    parser.add_argument("--days", type=float, default=41 / 24)
    parser.add_argument("--daemon", action="store_true")
    parser.add_argument("--map", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        lib = folder + "/allocations.so"
        subprocess.run(["gcc", "-O2", "-shared", "-fPIC", "-o", lib, ROOT + "/tests/bench/allocations.c"], check=True)
        json.dump(CATALOG, open(folder + "/catalog.json", "w"))
        files = [folder + "/half", folder + "/whole"]
        lines = [line for line, _ in stream(2 * args.events, args.customers, args.days)]
        open(files[0], "w").write("\n".join(lines[:args.events]) + "\n")
        open(files[1], "w").write("\n".join(lines) + "\n")
        print(f"{2 * args.events} events of {sum(map(len, lines)) / len(lines):.0f} bytes, {args.customers} customers, {args.days:.2f} days")
        if not args.map:
            simulate_costs(args, folder, lib, files)
        if args.daemon or args.map:
            daemon_costs(args, folder, lib, files)


if __name__ == "__main__":
    main()
