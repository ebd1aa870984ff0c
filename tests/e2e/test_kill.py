"""Killed at random moments under load: nothing lost, doubled or out of order for a read_committed reader, and Redis agrees."""
import json
import os
import random
import threading
import time

from shop import CATALOG, END, committed, feed, shop_events, topic_of
from stack import by_customer, compare, event, final_view, simulate, wait_for

KILLS, KILLS_MAX, OPEN, OUTBOX = 20, 60, 12, 5
RATE = 2500


class Feeder:
    """Produces the events at a rate, until they are all in."""

    def __init__(self, stack, d, events, rate):
        self.producer, self.topics = stack.producer(), [s["topic"] for s in d.config["sources"]]
        self.events, self.rate, self.sent, self.enough = events, rate, 0, False
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        self.started = time.monotonic()
        while self.sent < len(self.events) and not self.enough:
            due = min(len(self.events), int((time.monotonic() - self.started) * self.rate))
            for record in self.events[self.sent:due]:
                self.producer.produce(topic_of(record, self.topics), json.dumps(record), record["subject"])
            self.sent = due
            self.producer.poll(0.01)
        self.producer.flush()
        self.seconds = time.monotonic() - self.started

    def stop(self):
        self.enough = True
        self.thread.join()
        return self.events[:self.sent]


def transaction_open(stack, d):
    """Whether a transaction holds back readers of the output topics, by the broker's word."""
    topic = d.config["outputs"]["tag_changes"]
    return stack.ends(topic, d.partitions, committed=True) != stack.ends(topic, d.partitions, committed=False)


def test_killed_at_random_moments(stack, daemon, tmp_path):
    seed = int(os.environ.get("TAGD_SEED", random.randrange(10**6)))
    print(f"TAGD_SEED={seed}")
    rng = random.Random(seed)
    events = shop_events(200000, 500, seed, step_ms=34)
    d = daemon(CATALOG, time="events", grace="0s", workers=2)
    d.create_topics(4)
    reader = d.reader()
    feeder = Feeder(stack, d, events, RATE)
    d.start(ready=False)
    kills = open_kills = outbox = batches = 0
    while kills < KILLS or (kills < KILLS_MAX and (open_kills < OPEN or outbox < OUTBOX)):
        seen = len(reader.messages)
        wait_for("new changes", 30, lambda: len(reader.messages) > seen, 0.005)
        time.sleep(rng.random())
        assert feeder.sent < len(events), "the events ran out"
        d.kill()
        kills += 1
        open_kills += transaction_open(stack, d)
        d.start()
        metrics = d.metrics()
        outbox += metrics['tagd_takeovers_total{found="outbox"}'] > 0
        batches += metrics["tagd_takeover_outbox_batches_total"]
    fed = feeder.stop()
    assert feeder.sent / feeder.seconds >= 2000
    feed(stack, d, [])
    wanted = simulate(tmp_path, CATALOG, [*fed, event("end", "end", "nobody", END)])
    total = sum(map(len, wanted.values()))
    reader.wait(total, 60)
    wait_for("offsets committed", 30, lambda: committed(stack, d))
    d.stop()
    assert not transaction_open(stack, d)
    reader.stop()
    assert open_kills >= OPEN and outbox >= OUTBOX
    compared, differences = compare(by_customer(reader.changes()), wanted)
    assert not differences, differences[0]
    assert compared == total == len(reader.messages)
    for customer, changes in wanted.items():
        assert d.tags(customer) == final_view(changes), customer
    print(f"{kills} kills, {open_kills} with a transaction open, {outbox} recovered through the outbox ({batches:.0f} batches), "
          f"{len(fed)} events at {feeder.sent / feeder.seconds:.0f}/s; {compared} changes and {len(wanted)} views compared, 0 differences")


def test_another_instance_takes_over_what_a_killed_one_left(stack, daemon, tmp_path):
    seed = int(os.environ.get("TAGD_SEED", random.randrange(10**6)))
    print(f"TAGD_SEED={seed}")
    events = shop_events(60000, 300, seed, step_ms=50)
    a = daemon(CATALOG, time="events", grace="0s", kafka={"bootstrap.servers": stack.bootstrap, "session.timeout.ms": 6000})
    a.create_topics(4)
    b = daemon(CATALOG, time="events", grace="0s")
    b.join(a)
    reader = a.reader()
    a.start()
    b.start()
    wait_for("both have shards", 30, lambda: a.metrics()["tagd_shards_running"] == b.metrics()["tagd_shards_running"] == 2)
    feeder = Feeder(stack, a, events, 4000)
    wait_for("both publish", 30, lambda: len({m.partition() for m in reader.messages}) == 4)
    a.kill()
    killed = time.monotonic()
    wait_for("all shards are with the other", 30, lambda: b.metrics()["tagd_shards_running"] == 4)
    took = time.monotonic() - killed
    feeder.thread.join()
    feed(stack, a, [])
    wanted = simulate(tmp_path, CATALOG, [*events, event("end", "end", "nobody", END)])
    total = sum(map(len, wanted.values()))
    reader.wait(total, 60)
    assert b.metrics()["tagd_takeover_owners_ended_total"] >= 1
    b.stop()
    reader.stop()
    compared, differences = compare(by_customer(reader.changes()), wanted)
    assert not differences, differences[0]
    assert compared == total == len(reader.messages)
    print(f"taken over {took:.1f} s after the kill (session timeout 6 s); {compared} changes compared, 0 differences")
