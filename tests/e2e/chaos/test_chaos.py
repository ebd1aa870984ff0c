"""The real thing under faults, shortly: every kind can come; tests/run.sh --full runs it for longer. run.py runs one by hand."""
import json
import os
import random

import pytest

import faults
from check import Checker
from load import murmur2
from run import chaos
from stack import event, wait_for
from shop import committed

SEED = int(os.environ.get("TAGD_SEED", random.randrange(10**6)))
EVENTS, FAULTS = int(os.environ.get("TAGD_CHAOS_EVENTS", 100000)), int(os.environ.get("TAGD_CHAOS_FAULTS", 8))


def run(**options):
    summary, violations = chaos(seed=SEED, **options)
    print(f"\nTAGD_SEED={SEED}\n{summary}")
    assert not violations, violations[0]


def test_nothing_is_lost_doubled_or_out_of_order_whatever_fails():
    run(events=EVENTS, faults=FAULTS)


def test_nothing_is_lost_or_doubled_while_clocks_are_set():
    run(events=12000, faults=4, live=True, kinds=["clock_steps", "killed", "redis_cut", "kafka_cut"])


def test_an_eager_disk_changes_nothing():
    run(events=15000, faults=4, fsync="always", kinds=["redis_killed", "redis_disk_full", "both_killed", "redis_cut"])


CATALOG = {"catalog": "gap", "version": "1", "events": {"login": {}},
           "dimensions": {"use.count": {"tags": [{"tag": f"n{n}", "when": f"count(login) == {n}"} for n in range(1, 200)]}}}


@pytest.mark.parametrize("policy", ["stop", "continue"])
def test_records_deleted_before_they_are_read_are_told_of_and_passed_over_if_that_is_wanted(stack, daemon, policy):
    d = daemon(CATALOG, time="events", grace="0s", on_data_gap=policy)
    d.create_topics(1)
    reader, producer, topic = d.reader(), stack.producer(), d.config["sources"][0]["topic"]

    def feed(first, n):
        for i in range(first, first + n):
            producer.produce(topic, json.dumps(event(f"e{i}", "login", "C1", 1795500000000 + i)), "C1")
        producer.flush()
    feed(0, 30)
    d.start()
    reader.wait(30, 20)
    wait_for("offsets committed", 20, lambda: committed(stack, d))
    d.kill()
    feed(30, 30)
    stack.delete_records({(topic, 0): 45})
    d.start(ready=False)
    if policy == "stop":
        assert d.process.wait(30) == 78
        assert "15 records were deleted before they were read" in open(d.log).read()
        d.config["on_data_gap"] = "continue"
        d.write()
        d.start()
    changes = [json.loads(m.value()) for m in reader.wait(45, 30)]
    assert [(c["data"]["revision"], c["data"]["to"]) for c in changes] == [(n, f"n{n}") for n in range(1, 46)]
    assert d.metrics()["tagd_data_gaps_total"] == 1
    d.stop()


def test_the_java_partitioner_is_ours():
    known = {b"21": -973932308, b"foobar": -790332482, b"a-little-bit-long-string": -985981536, b"a-little-bit-longer-string": -1486304829}
    assert {key: murmur2(key) for key in known} == {key: value & 0x7fffffff for key, value in known.items()}


# ---- the reader finds what it is there to find ----

class Planted:
    """A message as the reader sees it."""

    def __init__(self, change, partition, batch, topic="changes", key=None):
        self.parts = (change, partition, batch, topic, key)

    def error(self):
        return None

    def value(self):
        return self.parts[0] if isinstance(self.parts[0], bytes) else json.dumps(self.parts[0], separators=(",", ":")).encode()

    def key(self):
        return self.parts[4] or json.loads(self.value())["subject"].encode()

    def headers(self):
        return [("tagd_group", b"chaos"), ("tagd_batch", self.parts[2].encode())]

    def partition(self):
        return self.parts[1]

    def topic(self):
        return self.parts[3]

    def offset(self):
        return 0

    def timestamp(self):
        return 1, 0


def planted(revision, came_from, to, subject="C1"):
    return {"id": f"tag:{subject}:{revision}", "subject": subject, "data": {"revision": revision, "dimension": "a.b", "from": came_from, "to": to, "tags": {"a.b": to}}}


@pytest.mark.parametrize("kind,messages", [
    (None, [(1, None, "x", "1.1.0"), (2, "x", "y", "1.2.0"), (3, "y", "z", "1.2.1")]),
    ("lost", [(1, None, "x", "1.1.0"), (3, "x", "y", "1.2.0")]),
    ("doubled", [(1, None, "x", "1.1.0"), (1, None, "x", "1.2.0")]),
    ("out of order", [(1, None, "x", "1.1.0"), (2, "y", "x", "1.2.0")]),
    ("out of order", [(1, None, "x", "2.2.0"), (2, "x", "y", "1.3.0")]),
    ("out of order", [(1, None, "x", "1.2.0"), (2, "x", "y", "2.1.0")]),
    ("doubled", [(1, None, "x", "1.1.0"), (2, "x", "y", "1.1.0")])])
def test_the_reader_finds_what_is_planted(kind, messages):
    class World:
        group, dead, changes, live, bootstrap = "chaos", "dead", "changes", False, "127.0.0.1:1"
    checker = Checker(World, None, None)
    for revision, came_from, to, batch in messages:
        checker.take(Planted(planted(revision, came_from, to), 0, batch))
    checker.consumer.close()
    assert [k for k, _ in checker.violations[:1]] == [kind] * (kind is not None)


def test_every_kind_comes_as_often_and_a_rebuild_before_the_topics_beginnings_go():
    rng = random.Random(1)
    for _ in range(100):
        plan = faults.plan(rng, 60, list(faults.KINDS))
        counts = [plan.count(kind) for kind in faults.KINDS]
        assert max(counts) - min(counts) <= 1
        assert max((i for i, k in enumerate(plan) if k == "redis_emptied"), default=-1) < plan.index("trimmed_below_what_is_committed")
