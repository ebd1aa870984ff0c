"""From an event to the change that a read_committed reader has of it, at several rates; beside it, what producing and fetching take without tagd,
and the bare transaction. Each system has a broker and a Redis of its own, so that none is measured on what another has left behind."""
import json
import time

from common import CATALOG, PARTITIONS, Committed, Meter, attempt, create, daemon, fill, repeated, run, say, servers
from throughput import start_peer

GRACE_MS = 2000
WARM_S = 10  # before what is counted, as in latency.c
BEFORE_MS = 3600000  # each customer's first event is so long ago; the second, which is measured, makes them active


def alone(stack, options):
    """What an event takes to a reader of its own topic, at each rate, which a change does twice. The broker is warm then."""
    create(stack, "alone")
    return [run("latency", stack.bootstrap, "alone", "alone", PARTITIONS, 0, rate, options.seconds, GRACE_MS)["events"] for rate in options.rates]


def load_all(stack, options, name, pid, topic, out, before):
    """The rates one after the other, each on customers of its own."""
    found, first = [], 0
    for rate, without in zip(options.rates, before):
        meter = Meter(stack, pid)
        figures = run("latency", stack.bootstrap, topic, out, PARTITIONS, first, rate, options.seconds, GRACE_MS)
        figures["load_cores"] = figures["cpu_us"] / 1e6 / (time.monotonic() - meter.began)
        sent = rate * (options.seconds + WARM_S)
        found.append({"rate": rate, **figures, "system": meter.figures(sent), "alone": without})
        first += sent
        say(f"{name}, {rate}/s: {json.dumps(figures['events'])}")
    return found


def prepare(stack, options, name):
    """A topic with each customer's first event."""
    topic, n = f"{name}.in", sum(options.rates) * (options.seconds + WARM_S)
    create(stack, topic)
    fill(stack, topic, n, n, 0, base_ms=int(time.time() * 1000) - BEFORE_MS, who="each", types="logins")
    return topic, n


def tagd(stack, options, name, delivery, before):
    topic, n = prepare(stack, options, name)
    d = daemon(stack, name, CATALOG, topic, delivery=delivery)
    try:
        d.start()
        Committed(stack, name, topic).wait(n)
        return load_all(stack, options, f"tagd, {delivery}", d.process.pid, topic, d.config["outputs"]["tag_changes"], before)
    finally:
        d.kill()


def streams(stack, options, name, commit_ms, before):
    topic, n = prepare(stack, options, name)
    create(stack, f"{name}.changes")
    peer = start_peer(stack, name, "kafka-streams", topic, f"{name}.changes", 10**12, 1, "memory", "eos", commit_ms)
    try:
        Committed(stack, name, topic).wait(n, pause=0.5)
        return load_all(stack, options, f"Kafka Streams, {commit_ms} ms", peer.pid, topic, f"{name}.changes", before)
    finally:
        peer.kill()
        peer.wait()


def transaction(stack, options, name, how, before):
    create(stack, name)
    return run("transaction", stack.bootstrap, name, PARTITIONS, options.seconds)


def on_own_stack(folder, options, name, measure, how):
    with servers(f"{folder}/{name}") as stack:
        return measure(stack, options, name, how, alone(stack, options))


def measured(folder, options, turn):
    bare = on_own_stack(folder, options, f"bare-{turn}", transaction, None)
    say(f"bare transaction: {json.dumps(bare['arrivals'])}")
    systems = {f"tagd, {delivery}": (tagd, delivery) for delivery in ("exactly_once", "at_least_once")}
    systems.update({f"Kafka Streams, exactly once, commit every {commit_ms} ms": (streams, commit_ms) for commit_ms in (20, 100)})
    systems = {system: attempt(system, on_own_stack, folder, options, f"{measure.__name__}-{how}-{turn}", measure, how)
               for system, (measure, how) in systems.items() if any(part in system for part in options.systems.split(","))}
    return {"bare": bare, "systems": systems}


def main(folder, options):
    repeated("latency", options, {"seconds": options.seconds}, lambda turn: measured(folder, options, turn))
