"""tagd skip: one record is passed over on purpose; head, offsets and the dead letter move together, whatever is killed."""
import json
import os
import signal
import subprocess
import time

import pytest

from shop import committed
from stack import TAGD, event, wait_for
from test_dead_letters import CATALOG, home, order, orders, run as letters_command, shim  # noqa: F401


SESSION_MS = 1000  # a daemon that was stopped stays a member for so long


def skip(d, *more, topic=None, partition=None, offset, code=0, env=None):
    done = subprocess.run([TAGD, "skip", "--config", d.path, "--topic", topic or d.config["sources"][0]["topic"], "--partition",
                           str(home("C1") if partition is None else partition), "--offset", str(offset), *more],
                          capture_output=True, text=True, env={**os.environ, **(env or {})}, timeout=90)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def make(stack, daemon, **settings):
    """A daemon that has read one order of C1 and is stopped; two more have come."""
    d = daemon(CATALOG, grace="0s", kafka={"bootstrap.servers": stack.bootstrap, "session.timeout.ms": SESSION_MS, "heartbeat.interval.ms": 500}, **settings)
    d.create_topics(3)
    send(stack, d, order(0, "C1"))
    d.start()
    wait_for("the first order", 20, lambda: orders(d, "C1") == "n1")
    wait_for("its offset", 20, lambda: committed(stack, d))
    d.stop()
    send(stack, d, order(1, "C1"), order(2, "C1"))
    return d


def send(stack, d, *values, **more):
    producer = stack.producer(**more)
    for value in values:
        producer.produce(d.config["sources"][0]["topic"], value, "C1")
    producer.flush()


def letters(d):
    return json.loads(letters_command(d, "list", "--json"))["letters"]


@pytest.mark.parametrize("delivery", ["exactly_once", "at_least_once"])
def test_the_next_record_becomes_a_dead_letter_and_the_daemon_goes_on_behind_it(stack, daemon, delivery):
    d = make(stack, daemon, delivery=delivery)
    assert "skipped topic" in skip(d, "--reason", "it hangs", offset=1)
    letter, = letters(d)
    assert (letter["error"], letter["offset"], letter["reason"]) == ("poison", 1, "skipped by an operator: it hangs")
    assert json.loads(json.loads(letters_command(d, "show", "--json", letter["place"]))["value"])["id"] == "o1"
    assert "is 2, not 1: only the next one can be skipped; that one is passed already" in skip(d, offset=1, code=78)
    d.start()
    wait_for("the third order, which is the second that counts", 20, lambda: orders(d, "C1") == "n2")
    wait_for("all offsets", 20, lambda: committed(stack, d))
    time.sleep(0.5)
    assert orders(d, "C1") == "n2" and len(letters(d)) == 1
    # what was skipped is in the topic of dead letters, so that it isn't lost
    assert "1 record replayed" in letters_command(d, "replay", letter["place"])
    wait_for("its order", 20, lambda: orders(d, "C1") == "n3")


def test_what_may_not_be_skipped(stack, daemon):
    d = make(stack, daemon)
    assert "is 1, not 7: only the next one can be skipped" in skip(d, offset=7, code=78)
    other = (home("C1") + 1) % 3
    assert "there is nothing to be skipped yet" in skip(d, partition=other, offset=0, code=78)
    assert "is no source topic" in skip(d, topic="other", offset=1, code=64)
    assert "has the partitions 0 to 2" in skip(d, partition=3, offset=1, code=64)
    subprocess.run([TAGD, "hold", "--config", d.path, "--reason", "wait"], check=True, capture_output=True)
    assert "outputs are held" in skip(d, offset=1, code=78)
    subprocess.run([TAGD, "release", "--config", d.path], check=True, capture_output=True)
    assert letters(d) == []
    d.start()
    text = skip(d, offset=3, code=78)
    assert "is running: it has 1 member" in text and "stop it first" in text
    wait_for("all of them", 20, lambda: orders(d, "C1") == "n3")
    d.stop()


def test_a_gap_is_skipped_with_an_empty_letter(stack, daemon):
    d = make(stack, daemon)
    d.start()
    wait_for("all of them", 20, lambda: orders(d, "C1") == "n3")
    producer = stack.producer(**{"transactional.id": d.name + "-test"})
    producer.init_transactions()
    producer.begin_transaction()
    producer.produce(d.config["sources"][0]["topic"], order(3, "C1"), "C1")
    producer.commit_transaction()
    wait_for("the next", 20, lambda: orders(d, "C1") == "n4")
    d.stop()
    assert "a dead letter without its bytes is in" in skip(d, offset=4)  # the transaction's end
    letter, = letters(d)
    assert letter["offset"] == 4
    send(stack, d, order(4, "C1"))
    d.start()
    wait_for("the one behind it", 20, lambda: orders(d, "C1") == "n5")


@pytest.mark.parametrize("at", ["rd_kafka_begin_transaction:before:1", "rd_kafka_send_offsets_to_transaction:before:1", "rd_kafka_commit_transaction:before:1",
                                "rd_kafka_commit_transaction:after:1"])
def test_a_skip_that_is_killed_behind_its_commit_is_finished_by_the_next_owner(stack, daemon, shim, at):  # noqa: F811
    d = make(stack, daemon)
    skip(d, offset=1, code=-signal.SIGKILL, env={"LD_PRELOAD": shim, "KILL_AT": at})
    d.start()
    wait_for("the third order, which is the second that counts", 30, lambda: orders(d, "C1") == "n2")
    wait_for("all offsets", 20, lambda: committed(stack, d))
    letter, = letters(d)
    assert letter["error"] == "poison" and letter["offset"] == 1
    assert d.metrics()["tagd_repairs_begun_total"] == 0
