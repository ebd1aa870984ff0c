"""From an event to the change that a read_committed reader has of it, at several rates; the bare transaction beside it."""
import json
import time

from common import CATALOG, PARTITIONS, Committed, Meter, attempt, create, daemon, drop, fill, repeated, run, say
from throughput import start_peer

GRACE_MS = 2000
WARM_S = 10  # before what is counted, as in latency.c
BEFORE_MS = 3600000  # each customer's first event is so long ago; the second, which is measured, makes them active


def load_all(stack, options, name, pid, topic, out):
    """The rates one after the other, each on customers of its own."""
    found, first = [], 0
    for rate in options.rates:
        meter = Meter(stack, pid)
        figures = run("latency", stack.bootstrap, topic, out, PARTITIONS, first, rate, options.seconds, GRACE_MS)
        figures["load_cores"] = figures["cpu_us"] / 1e6 / (time.monotonic() - meter.began)
        sent = rate * (options.seconds + WARM_S)
        found.append({"rate": rate, **figures, "system": meter.figures(sent)})
        first += sent
        say(f"{name}, {rate}/s: {json.dumps(figures['events'])}")
    return found


def prepare(stack, options, name):
    """A topic with each customer's first event."""
    topic, n = f"{name}.in", sum(options.rates) * (options.seconds + WARM_S)
    create(stack, topic)
    fill(stack, topic, n, n, 0, base_ms=int(time.time() * 1000) - BEFORE_MS, who="each", types="logins")
    return topic, n


def tagd(stack, options, name, delivery):
    stack.flush_redis()
    topic, n = prepare(stack, options, name)
    d = daemon(stack, name, CATALOG, topic, delivery=delivery)
    try:
        d.start()
        Committed(stack, name, topic).wait(n)
        return load_all(stack, options, f"tagd, {delivery}", d.process.pid, topic, d.config["outputs"]["tag_changes"])
    finally:
        d.kill()
        drop(stack, name)


def streams(stack, options, name, commit_ms):
    topic, n = prepare(stack, options, name)
    create(stack, f"{name}.changes")
    peer = start_peer(stack, name, "kafka-streams", topic, f"{name}.changes", 10**12, 1, "memory", "eos", commit_ms)
    try:
        Committed(stack, name, topic).wait(n, pause=0.5)
        return load_all(stack, options, f"Kafka Streams, {commit_ms} ms", peer.pid, topic, f"{name}.changes")
    finally:
        peer.kill()
        peer.wait()
        drop(stack, name)


def measured(stack, options, turn):
    create(stack, f"bare-{turn}")
    bare = run("transaction", stack.bootstrap, f"bare-{turn}", PARTITIONS, options.seconds)
    say(f"bare transaction: {json.dumps(bare['arrivals'])}")
    systems = {f"tagd, {delivery}": (tagd, delivery) for delivery in ("exactly_once", "at_least_once")}
    systems.update({f"Kafka Streams, exactly once, commit every {commit_ms} ms": (streams, commit_ms) for commit_ms in (20, 100)})
    systems = {system: attempt(system, measure, stack, options, f"{measure.__name__}-{how}-{turn}", how)
               for system, (measure, how) in systems.items() if any(part in system for part in options.systems.split(","))}
    return {"bare": bare, "systems": systems}


def main(stack, options):
    repeated("latency", options, {"seconds": options.seconds}, lambda turn: measured(stack, options, turn))
