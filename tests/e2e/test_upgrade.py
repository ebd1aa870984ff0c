"""An older tagd that meets what a newer one wrote: it stops with what to do, and leaves everything as it is."""
import json
import time

import pytest

from stack import event, wait_for

CATALOG = {"catalog": "shop", "version": "1", "events": {"login": {}},
           "dimensions": {"b.activity": {"tags": [{"tag": "many", "when": "count(login[30d]) >= 2"}, {"tag": "one", "when": "true"}]}}}
HEAD_NOW, PROFILE_NOW = b"3", 4
NEWER_HEAD = ("its head in Redis is of format 4, and this tagd reads format 3: a newer one wrote it; run the version that wrote it, or a new \"group\" and "
              "\"redis.prefix\" read the topics again")
NEWER_PROFILE = "a profile of format 5: this tagd reads format 4; run the version that wrote it"


def login(stack, d, customer, n):
    producer = stack.producer()
    producer.produce(d.config["sources"][0]["topic"], json.dumps(event(f"{customer}-{n}", "login", customer, time.time_ns() // 10**6)), customer)
    producer.flush()


@pytest.fixture
def ran(stack, daemon):
    """A daemon that has run, of one shard, with the state of C1."""
    d = daemon(CATALOG, grace="0s")
    d.create_topics(1)
    d.reading = d.reader()
    d.start()
    login(stack, d, "C1", 1)
    d.reading.wait(1, 30)
    d.stop()
    d.raw = stack.redis.__class__(port=stack.redis_port)  # bytes as they are
    d.keys_of = f"{d.name}:{{{d.name}:0}}:"
    assert d.raw.get(d.keys_of + "head")[:2] == HEAD_NOW + b" " and d.raw.hget(d.keys_of + "profiles", "C1")[0] == PROFILE_NOW
    return d


def everything(d, but=()):
    """All that is stored; of which events there were, daemons tell each other all the while."""
    but = (*but, b":heard")
    return {key: d.raw.dump(key) for key in d.raw.scan_iter(match=d.name + ":*", count=1000) if not any(key.endswith(b) for b in but)}


def refused(d, wanted):
    assert d.process.wait(40) == 78, open(d.log).read()[-2000:]
    line, = [line for line in open(d.log) if line.startswith("tagd: ")]
    assert wanted in line, line


def test_a_newer_head_is_refused_before_anything_is_touched(stack, ran):
    head = ran.raw.get(ran.keys_of + "head")
    ran.raw.set(ran.keys_of + "head", b"4 of another kind " + head)
    login(stack, ran, "C1", 2)
    before = everything(ran)
    ran.start(ready=False)
    refused(ran, "shard 0: " + NEWER_HEAD)
    assert everything(ran) == before
    told = ran.explain("C1")
    assert told.returncode == 78 and NEWER_HEAD in told.stderr
    # the version that wrote it goes on as if nothing had been
    ran.raw.set(ran.keys_of + "head", head)
    ran.start()
    ran.reading.wait(2, 30)
    ran.stop()
    assert [c["data"]["revision"] for c in ran.reading.changes()] == [1, 2]


def test_a_head_that_becomes_newer_while_it_runs_stops_it(stack, ran):
    ran.start()
    pipe = ran.raw.pipeline()  # as a newer daemon that takes the shard over does
    head = b"4 of another kind " + ran.raw.get(ran.keys_of + "head")
    pipe.incrby(ran.keys_of + "fence", 1000)
    pipe.set(ran.keys_of + "head", head)
    pipe.execute()
    before = everything(ran, but=[b":fence"])
    login(stack, ran, "C1", 2)
    refused(ran, "shard 0: " + NEWER_HEAD)
    assert everything(ran, but=[b":fence"]) == before and ran.raw.get(ran.keys_of + "head") == head
    assert len(ran.reading.messages) == 1


def test_a_newer_profile_stops_it_and_stays_as_it_is(stack, ran):
    profile = ran.raw.hget(ran.keys_of + "profiles", "C1")
    newer = bytes([PROFILE_NOW + 1]) + profile[1:]
    ran.raw.hset(ran.keys_of + "profiles", "C1", newer)
    login(stack, ran, "C1", 2)
    state = [b":profiles", b":timers", b":outbox", b"tags:C1"]
    before = {key: value for key, value in everything(ran).items() if any(key.endswith(b) for b in state)}
    batch = ran.raw.get(ran.keys_of + "head").split()[2]
    assert len(before) >= 3
    ran.start(ready=False)
    refused(ran, f"shard 0: the stored profile of customer \"C1\" can't be read: {NEWER_PROFILE}")
    assert {key: value for key, value in everything(ran).items() if any(key.endswith(b) for b in state)} == before
    assert ran.raw.get(ran.keys_of + "head").split()[2] == batch and len(ran.reading.messages) == 1
    told = ran.explain("C1")
    assert told.returncode == 78 and NEWER_PROFILE in told.stderr
    ran.raw.hset(ran.keys_of + "profiles", "C1", profile)
    ran.start()
    ran.reading.wait(2, 30)
    wait_for("the tag", 10, lambda: ran.tags("C1").get("b.activity") == "many")
    ran.stop()
    assert [c["data"]["revision"] for c in ran.reading.changes()] == [1, 2]
