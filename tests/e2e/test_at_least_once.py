"""Delivery at_least_once: nothing lost, nothing invented, each customer's changes in their order once repeats are dropped by id;
repeats the same bytes; and no repeats without a fault."""
import json
import os
import random
import signal
import subprocess
import time

from confluent_kafka.admin import AdminClient, NewTopic

from shop import CATALOG, END, committed, feed, shop_events
from stack import TAGD, by_customer, compare, event, final_view, simulate, wait_for
from test_kill import Feeder

KILLS = 12


def first_copies(messages):
    """The changes without repeats, which must be the first copy's bytes in the same partition; and how many repeats there were."""
    seen, out = {}, []
    for message in messages:
        change = json.loads(message.value())
        if change["id"] not in seen:
            seen[change["id"]] = (message.key(), message.value(), message.partition())
            out.append(change)
        assert seen[change["id"]] == (message.key(), message.value(), message.partition()), change["id"]
    return out, len(messages) - len(out)


def check(stack, d, reader, events, tmp_path):
    """Lets all be read, and compares: (changes compared, repeats)."""
    feed(stack, d, [])
    wanted = simulate(tmp_path, CATALOG, [*events, event("end", "end", "nobody", END)])
    total = sum(map(len, wanted.values()))
    wait_for("all changes", 90, lambda: len(first_copies(reader.messages[:])[0]) >= total)
    reader.wait(total, 10)
    wait_for("offsets committed", 30, lambda: committed(stack, d))
    wait_for("all acknowledged", 10, lambda: d.metrics()["tagd_outputs_unacknowledged"] == 0)
    assert d.stop() < 5
    reader.stop()
    changes, repeats = first_copies(reader.messages)
    compared, differences = compare(by_customer(changes), wanted)
    assert not differences, differences[0]
    assert compared == total == len(changes)
    for customer, of in wanted.items():
        assert d.tags(customer) == final_view(of), customer
    for partition in range(d.partitions):
        assert stack.redis.hlen(f"{d.name}:{{{d.name}:{partition}}}:outbox") == 0
    return f"{compared} changes and {len(wanted)} views compared, 0 differences, {repeats} repeats", repeats


def make(daemon, partitions=4, **settings):
    d = daemon(CATALOG, delivery="at_least_once", time="events", grace="0s", **settings)
    d.create_topics(partitions)
    return d


def test_without_faults_nothing_is_repeated(stack, daemon, tmp_path):
    events = shop_events(40000, 300, 5, step_ms=150)
    d = make(daemon, workers=2)
    reader = d.reader()
    d.start()
    feeder = Feeder(stack, d, events, 10000)
    feeder.thread.join()
    for _ in range(2):  # left cleanly and taken over again
        wait_for("changes", 20, lambda: reader.messages)
        assert d.stop() < 5
        d.start()
    told, repeats = check(stack, d, reader, events, tmp_path)
    assert repeats == 0
    print(told)


def test_killed_at_random_moments(stack, daemon, tmp_path):
    seed = int(os.environ.get("TAGD_SEED", random.randrange(10**6)))
    print(f"TAGD_SEED={seed}")
    rng = random.Random(seed)
    events = shop_events(200000, 500, seed, step_ms=34)
    d = make(daemon, workers=2, batch_events=200)
    reader = d.reader()
    feeder = Feeder(stack, d, events, 3000)
    d.start(ready=False)
    outbox = redelivered = 0
    for _ in range(KILLS):
        seen = len(reader.messages)
        wait_for("new changes", 30, lambda: len(reader.messages) > seen, 0.005)
        time.sleep(rng.random())
        assert feeder.sent < len(events), "the events ran out"
        d.kill()
        d.start()
        metrics = d.metrics()
        outbox += metrics['tagd_takeovers_total{found="outbox"}'] > 0
        redelivered += metrics["tagd_outputs_redelivered_total"]
    told, repeats = check(stack, d, reader, feeder.stop(), tmp_path)
    assert outbox > 0 and repeats <= redelivered
    print(f"{KILLS} kills, {outbox} recovered through the outbox, {redelivered:.0f} outputs sent again; {told}")


def disturbed(stack, daemon, tmp_path, disturb, **settings):
    events = shop_events(24000, 300, 17, step_ms=250)
    d = make(daemon, workers=2, **settings)
    reader = d.reader()
    d.start()
    feeder = Feeder(stack, d, events, 3000)
    wait_for("first changes", 30, lambda: reader.messages)
    time.sleep(1)
    disturb(d)
    feeder.thread.join()
    print(check(stack, d, reader, events, tmp_path)[0])


def test_the_broker_is_restarted(stack, daemon, tmp_path):
    disturbed(stack, daemon, tmp_path, stack.restart_broker)


def test_redis_is_restarted(stack, daemon, tmp_path):
    disturbed(stack, daemon, tmp_path, lambda d: stack.restart_redis(3, d), batch_events=40)


def test_delivery_is_changed_and_changed_back_by_killed_daemons(stack, daemon, tmp_path):
    seed = int(os.environ.get("TAGD_SEED", random.randrange(10**6)))
    print(f"TAGD_SEED={seed}")
    rng = random.Random(seed)
    events = shop_events(100000, 300, seed, step_ms=60)
    d = make(daemon, workers=2, batch_events=200)
    reader = d.reader()
    feeder = Feeder(stack, d, events, 3000)
    d.start(ready=False)
    for i in range(8):
        seen = len(reader.messages)
        wait_for("new changes", 30, lambda: len(reader.messages) > seen, 0.005)
        time.sleep(rng.random())
        d.kill()
        d.config["delivery"] = ["exactly_once", "at_least_once"][i % 2]
        d.write()
        d.start(ready=i % 4 == 3)  # mostly killed again while it may still take over
    print(check(stack, d, reader, feeder.stop(), tmp_path)[0])


def test_a_dead_letter_that_the_broker_refuses_goes_out_smaller_and_overtaken_by_nothing(stack, daemon, tmp_path):
    d = daemon(CATALOG, delivery="at_least_once", time="events", grace="0s", batch_events=50)
    d.partitions = 2
    stack.create([d.config["sources"][0]["topic"], d.config["outputs"]["tag_changes"], d.config["outputs"]["churn_risk"]], 2)
    admin = AdminClient({"bootstrap.servers": stack.bootstrap})
    dead = NewTopic(d.config["outputs"]["dead_letter"], 2, 1, config={"max.message.bytes": "20000"})
    for future in admin.create_topics([dead]).values():
        future.result(20)
    reader, letters, topic = d.reader(), d.reader("dead_letter"), d.config["sources"][0]["topic"]
    events, producer = shop_events(1000, 40, 3), stack.producer()
    for i, record in enumerate(events):
        producer.produce(topic, json.dumps(record), record["subject"])
        if i == 500:
            producer.produce(topic, os.urandom(150000).hex(), "C1")  # not to be compressed below the limit
    producer.flush()
    d.start()
    wait_for("the dead letter", 60, lambda: letters.messages)
    told = dict(letters.messages[0].headers())
    assert told["tagd_error"] == b"malformed" and told["tagd_truncated"] == b"300000" and len(letters.messages[0].value()) < 20000
    assert d.metrics()['tagd_publishes_total{outcome="aborted"}'] > 0 and d.metrics()["tagd_kafka_producers_total"] > 1
    print(check(stack, d, reader, events, tmp_path)[0])


def test_a_daemon_that_was_frozen_repeats_at_most_what_another_went_on_with(stack, daemon, tmp_path):
    events = shop_events(60000, 300, 23, step_ms=50)
    kafka = {"bootstrap.servers": stack.bootstrap, "session.timeout.ms": 6000}
    a = make(daemon, kafka=kafka, batch_events=100)
    b = make(daemon, partitions=1, kafka=kafka)  # its own topics stay empty: it runs on the first one's
    b.join(a)
    reader = a.reader()
    a.start()
    b.start()
    wait_for("both have shards", 30, lambda: a.metrics()["tagd_shards_running"] == b.metrics()["tagd_shards_running"] == 2)
    feeder = Feeder(stack, a, events, 4000)
    wait_for("both publish", 30, lambda: len({m.partition() for m in reader.messages[:]}) == 4)
    a.process.send_signal(signal.SIGSTOP)
    wait_for("all shards are with the other", 30, lambda: b.metrics()["tagd_shards_running"] == 4)
    a.process.send_signal(signal.SIGCONT)
    wait_for("it has shards again", 40, lambda: (a.metrics().get("tagd_shards_running"), b.metrics()["tagd_shards_running"]) == (2, 2))
    feeder.thread.join()
    feed(stack, a, [])
    wait_for("all is read", 60, lambda: committed(stack, a))
    assert b.stop() < 5
    print(check(stack, a, reader, events, tmp_path)[0])


def test_it_builds_on_an_imported_baseline_and_changes_delivery_upon_it(stack, daemon, tmp_path):
    history, rest = shop_events(3000, 60, 8), [event(f"n{i}", "login", f"C{i % 60:04d}", END + 1000 * i) for i in range(200)]
    cut = END - 60000  # in time: all of the history is before it
    assert all(e["time"] < event("", "", "", cut)["time"] for e in history)
    path = tmp_path / "history.jsonl"
    path.write_text("".join(json.dumps(e) + "\n" for e in history))
    d = make(daemon, partitions=2)
    run = subprocess.run([TAGD, "import", "--config", d.path, "--until", event("", "", "", cut)["time"], str(path)], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    reader, producer, topic = d.reader(), stack.producer(), d.config["sources"][0]["topic"]
    d.start()  # marks heads without a batch of their own
    d.kill()
    d.start()
    for record in rest[:100]:
        producer.produce(topic, json.dumps(record), record["subject"])
    producer.flush()
    wait_for("changes", 20, lambda: reader.messages)
    d.kill()
    d.config["delivery"] = "exactly_once"
    d.write()
    d.start()
    for record in rest[100:]:
        producer.produce(topic, json.dumps(record), record["subject"])
    end = event("end", "end", "nobody", END + 1000 * len(rest))
    for partition in range(2):
        producer.produce(topic, json.dumps(end), None, partition)
    producer.flush()
    wait_for("all is read", 30, lambda: committed(stack, d))
    assert d.stop() < 5
    reader.stop()
    changes = by_customer(first_copies(reader.messages)[0])
    wanted = simulate(tmp_path, CATALOG, [*history, *rest, end])
    revisions = {c: [x["data"]["revision"] for x in of] for c, of in changes.items()}
    assert all(r == list(range(1, len(r) + 1)) for r in revisions.values())
    for customer, of in wanted.items():
        tags = {k: v for k, v in d.tags(customer).items() if not k.startswith("_")}
        assert tags == of[-1]["data"]["tags"], customer
    print(f"{len(reader.messages)} changes after {len(history)} imported events, {len(wanted)} customers' tags compared")
