"""A record that kills the daemon kills it once: the next one tries what the dead one may have held, and goes on without it."""
import json
import os
import resource
import signal
import subprocess

import pytest

from shop import CATALOG, END, committed, feed, shop_events
from stack import ROOT, by_customer, compare, event, final_view, simulate, wait_for
from test_at_least_once import first_copies

AMOUNTS = {"kills-decoding": 1e-07, "kills-applying": 99, "hangs-decoding": 2e-07}  # see poison_shim.c
REASONS = {"kills-decoding": "decoding it killed the process twice, the second time alone: SIGSEGV",
           "kills-applying": "applying it killed the process twice, the second time alone: SIGSEGV",
           "hangs-decoding": "decoding it killed the process twice, the second time alone: no end within 10000 ms"}


@pytest.fixture
def deadly(tmp_path, monkeypatch):
    """From here on daemons die of records that say so; no core is dumped."""
    shim, limits = str(tmp_path / "poison.so"), resource.getrlimit(resource.RLIMIT_CORE)
    subprocess.run(["cc", "-O1", "-fno-builtin", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o", shim, ROOT + "/tests/e2e/poison_shim.c"], check=True)
    resource.setrlimit(resource.RLIMIT_CORE, (0, limits[1]))
    yield lambda: monkeypatch.setenv("LD_PRELOAD", shim)
    resource.setrlimit(resource.RLIMIT_CORE, limits)


def start_deadly(d, deadly, monkeypatch, ready=True):
    deadly()
    try:
        d.start(ready=ready)
    finally:
        monkeypatch.delenv("LD_PRELOAD")


def poisons(letters):
    """The dead letters but those of the records that end time."""
    return [m for m in letters.messages if dict(m.headers())["tagd_error"] == b"poison"]


@pytest.mark.parametrize("kind, delivery", [*[(kind, "exactly_once") for kind in REASONS], ("kills-decoding", "at_least_once")])
def test_a_record_that_kills_the_daemon_becomes_a_dead_letter(stack, daemon, tmp_path, deadly, monkeypatch, kind, delivery):
    events = shop_events(4000, 50, 7, step_ms=200)
    before, after = events[:2000], events[2000:]
    # of a customer whose first event it is: it brings changes about
    poison = {**event(kind, "order.paid", "P0001", 0, {"amount": AMOUNTS[kind]}), "time": before[-1]["time"]}
    d = daemon(CATALOG, time="events", grace="0s", delivery=delivery)
    d.create_topics(2)
    reader, letters, topic = d.reader(), d.reader("dead_letter"), d.config["sources"][0]["topic"]
    start_deadly(d, deadly, monkeypatch)
    producer = stack.producer()
    for e in before:
        producer.produce(topic, json.dumps(e), e["subject"])
    producer.flush()
    wait_for("some changes", 30, lambda: reader.messages)
    assert d.metrics()["tagd_records_total"] > 0 and d.process.poll() is None
    producer.produce(topic, json.dumps(poison), b"P0001", headers=[("trace", b"\x00\x01"), ("empty", b""), ("none", None)])
    for e in after:
        producer.produce(topic, json.dumps(e), e["subject"])
    producer.flush()
    if kind == "hangs-decoding":
        wait_for("it stands", 30, lambda: d.metrics()["tagd_records_total"] >= len(before))
        d.kill()
    assert d.process.wait(30) == (-signal.SIGKILL if kind == "hangs-decoding" else -signal.SIGSEGV)
    start_deadly(d, deadly, monkeypatch, ready=False)
    feed(stack, d, [])
    wanted = simulate(tmp_path, CATALOG, [*events, event("end", "end", "nobody", END)])
    total = sum(map(len, wanted.values()))
    reader.wait(total, 60)
    wait_for("the dead letter", 60, lambda: poisons(letters))
    wait_for("offsets committed", 30, lambda: committed(stack, d))
    assert d.process.poll() is None, "it died again"
    metrics = d.metrics()
    assert metrics['tagd_dead_letters_total{code="poison"}'] == 1
    d.stop()
    changes, repeats = first_copies(reader.messages)
    compared, differences = compare(by_customer(changes), wanted)
    assert not differences, differences[0]
    assert compared == total and (delivery == "at_least_once" or repeats == 0)
    for customer, changes in wanted.items():
        assert d.tags(customer) == final_view(changes), customer
    letter, = poisons(letters)
    assert letter.value() == json.dumps(poison).encode() and letter.key() == b"P0001"
    headers = letter.headers()
    assert headers[:3] == [("trace", b"\x00\x01"), ("empty", b""), ("none", None)]
    said = dict(headers)
    assert said["tagd_error"] == b"poison" and said["tagd_reason"].decode() == REASONS[kind]
    assert said["tagd_topic"].decode() == topic and int(said["tagd_offset"]) > 0
    assert "offset " + said["tagd_offset"].decode() + ": " + REASONS[kind] + "; it becomes a dead letter" in open(d.log).read()

    # the same daemon, after a clean end: nothing is tried, and the dead letter stays one
    start_deadly(d, deadly, monkeypatch)
    assert d.metrics()["tagd_records_total"] == 0
    d.stop()
    assert len(poisons(letters)) == 1
    print(f"{kind}, {delivery}: died once; {compared} changes compared, 0 differences, 1 dead letter")
