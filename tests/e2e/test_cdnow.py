"""CDNOW, 69,659 real purchases of 1997 and 1998, through broker, daemon and Redis: every change and every view against the
reference and against `tagd simulate`."""
import json
import os
import time
from concurrent.futures import ProcessPoolExecutor

import cdnow
from stack import ROOT, by_customer, compare, event, final_view, simulate, wait_for

DATA = os.path.join(ROOT, "build/data/lifetimes/datasets/CDNOW_master.txt")
EVERY = int(os.environ.get("TAGD_CDNOW_EVERY", 40))  # every so many-th customer is compared with the slow reference; 1: all


def test_cdnow_through_broker_and_redis(stack, daemon, tmp_path):
    events = cdnow.records(DATA)
    wanted = simulate(tmp_path, cdnow.CATALOG, events, until=cdnow.UNTIL)
    total = sum(map(len, wanted.values()))
    d = daemon(cdnow.CATALOG, time="events", grace="0s")
    d.create_topics(4)
    topic, producer = d.config["sources"][0]["topic"], stack.producer()
    for record in events:
        producer.produce(topic, json.dumps(record), record["subject"])
        producer.poll(0)
    for partition in range(4):
        end = {**event(f"end{partition}", "end", "nobody", 0), "time": cdnow.UNTIL}
        producer.produce(topic, json.dumps(end), None, partition)
    producer.flush()
    reader, started = d.reader(), time.monotonic()
    d.start(ready=False)
    wait_for(f"{total} changes", 120, lambda: len(reader.messages) >= total)
    seconds = time.monotonic() - started
    reader.wait(total, 5)
    found = by_customer(reader.changes())
    compared, differences = compare(found, wanted)
    assert not differences, differences[0]
    assert compared == total == len(reader.messages) >= 100000
    views = 0
    pipe = stack.redis.pipeline(transaction=False)
    for customer in wanted:
        pipe.hgetall(f"{d.name}:tags:{customer}")
    for (customer, changes), view in zip(wanted.items(), pipe.execute()):
        assert view == final_view(changes), customer
        views += 1
    assert views == len({e["subject"] for e in events})
    d.stop()
    mine, by_subject = sorted(found)[::EVERY], {}
    for record in events:
        by_subject.setdefault(record["subject"], []).append(record)
    by_reference = {}
    with ProcessPoolExecutor() as pool:
        for part in pool.map(cdnow.expected, [[(c, by_subject[c]) for c in mine[i:i + 200]] for i in range(0, len(mine), 200)]):
            by_reference.update(part)
    against, differences = compare({c: found[c] for c in mine}, by_reference)
    assert not differences, differences[0]
    print(f"CDNOW: {len(events)} events, {views} customers, {total} changes in {seconds:.1f} s; {compared} changes and {views} views compared "
          f"with simulate, {against} changes of {len(mine)} customers with the reference: 0 mismatches")
