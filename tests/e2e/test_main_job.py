"""The main job on a real broker and a real Redis: tags change by events and by silence, exactly when they should."""
import json
import time

from stack import by_customer, event, final_view, wait_for

CATALOG = {
    "catalog": "shop", "version": "1",
    "events": {"order.paid": {"fields": {"amount": "decimal"}, "dedupe": "1h"}, "login": {}},
    "groups": {"interaction": ["login", "order.paid"]},
    "dimensions": {
        "value.level": {"tags": [{"tag": "high", "when": "sum(amount, order.paid) >= 100"}, {"tag": "low", "when": "true"}]},
        "behaviour.activity": {"tags": [{"tag": "silent", "when": "since(interaction) >= 1500ms"}, {"tag": "busy", "when": "true"}]}}}


def now_ms():
    return time.time_ns() // 1000000


def headers(message):
    return {k: v.decode() for k, v in message.headers()}


def test_tags_change_by_events_and_by_silence(stack, daemon):
    d = daemon(CATALOG, grace="1s")
    d.partitions = 6  # --create-topics makes as many by default
    d.start("--create-topics")
    reader = d.reader()
    producer = stack.producer()
    topic = d.config["sources"][0]["topic"]
    at = now_ms()
    producer.produce(topic, json.dumps(event("e1", "order.paid", "C1", at, {"amount": 120.5})), "C1")
    producer.flush()
    reader.wait(3, 20)
    reader.stop()
    changes = reader.changes()
    assert [(c["data"]["dimension"], c["data"]["from"], c["data"]["to"], c["data"]["origin"]) for c in changes] == [
        ("value.level", None, "high", "event"), ("behaviour.activity", None, "busy", "event"), ("behaviour.activity", "busy", "silent", "time")]
    assert [c["id"] for c in changes] == ["tag:C1:1", "tag:C1:2", "tag:C1:3"]
    assert all(c["data"]["caught_up"] for c in changes)
    assert changes[1]["data"]["valid_until"] == changes[2]["time"] and changes[1]["data"]["then"] == "silent"
    late = reader.messages[2].timestamp()[1] - (at + 1500 + 1000)
    assert 0 <= late < 1000, f"published {late} ms after its instant and the grace"
    assert d.tags("C1") == final_view(changes)
    for i, message in enumerate(reader.messages):
        assert headers(message)["content-type"].startswith("application/cloudevents+json")
        assert headers(message)["tagd_group"] == d.name and message.key() == b"C1"
    told = d.explain("C1")
    assert told.returncode == 0, told.stderr
    assert "value.level: high" in told.stdout and "behaviour.activity: silent" in told.stdout and "=> silent" in told.stdout
    assert d.explain("nobody").returncode == 65
    metrics = d.metrics()
    assert metrics['tagd_tag_changes_total{origin="event"}'] == 2 and metrics['tagd_tag_changes_total{origin="time"}'] == 1
    assert metrics["tagd_events_total"] == 1 and d.get("/livez")[0] == 200
    assert d.stop() < 5
    assert '"C1"' not in open(d.log).read()


def test_nothing_bad_is_dropped(stack, daemon):
    d = daemon(CATALOG, grace="0s", max_event_bytes=4096)
    d.create_topics(2)
    d.start()
    producer, reader, letters = stack.producer(), d.reader(), d.reader("dead_letter")
    topic = d.config["sources"][0]["topic"]
    at = now_ms()
    good = json.dumps(event("e1", "login", "C1", at))
    bad = {"malformed": b"{nonsense", "junk_subject": json.dumps(event("e2", "login", "unknown", at)).encode(),
           "invalid": json.dumps(event("e3", "order.paid", "C1", at, {"amount": "much"})).encode(),
           "past": json.dumps(event("e4", "login", "C1", 0)).encode(),
           "future": json.dumps(event("e5", "login", "C1", at + 3600000)).encode(),
           "unsupported": json.dumps(event("e6", "customer.erased", "C1", at)).encode(),
           "too_large": b'"' + b"x" * 4095 + b'"'}
    producer.produce(topic, good, "C1")
    producer.produce(topic, good, "C1")  # a login has no dedupe: both count
    producer.flush()
    partition = wait_for("its changes", 20, lambda: reader.messages)[0].partition()
    producer.produce(topic, json.dumps(event("e7", "login", "C1", at)), "C1", 1 - partition)
    for code, value in bad.items():
        producer.produce(topic, value, "C1", headers={"mine": code})
    producer.produce(topic, None, "C1")
    big = stack.producer(**{"message.max.bytes": 1048000})  # all but its headers fits, and they don't
    big.produce(topic, b"{big", "C1", headers={"huge": b"x" * 1047000})
    big.flush()
    producer.produce(topic, json.dumps(event("e8", "unheard.of", "C1", at)), "C1")
    producer.produce(topic, json.dumps(event("e9", "order.paid", "C1", at, {"amount": 1})), "C1")
    producer.produce(topic, json.dumps(event("e9", "order.paid", "C1", at, {"amount": 1})), "C1")
    producer.flush()
    letters.wait(len(bad) + 3, 20)  # misrouted, the record without a value, the one with huge headers
    letters.stop()
    found = {}
    for message in letters.messages:
        told = headers(message)
        found.setdefault(told["tagd_error"], []).append((message, told))
        assert told["tagd_reason"] and told["tagd_topic"] == topic and int(told["tagd_offset"]) >= 0
    assert sorted(found) == sorted({*bad, "misrouted"})
    for code, value in bad.items():
        assert [m.value() for m, told in found[code] if told.get("mine") == code] == [value], code
    assert len(found["malformed"]) == 3
    assert [m.value() for m, told in found["malformed"] if "tagd_truncated" in told and "huge" not in told] == [b"{big"]
    metrics = wait_for("all read", 20, lambda: (m := d.metrics())["tagd_events_total"] >= 3 and m)
    assert metrics['tagd_ignored_total{reason="undeclared"}'] == 1 and metrics["tagd_duplicates_total"] == 1 and metrics["tagd_events_total"] == 3
    d.stop()
    reader.stop()
    changes = reader.changes()
    assert d.tags("C1") == final_view(by_customer(changes)["C1"])


def test_a_second_group_on_one_prefix_is_refused(stack, daemon):
    first, second = daemon(CATALOG), daemon(CATALOG)
    first.create_topics(1)
    first.start()
    first.stop()
    second.create_topics(1)
    second.config["redis"]["prefix"] = first.config["redis"]["prefix"]
    second.write()
    second.start(ready=False)
    assert second.process.wait(30) == 78
    assert "belongs to group" in open(second.log).read()


def test_topics_of_different_size_are_refused_by_name(stack, daemon):
    d = daemon(CATALOG, sources=("a", "b"))
    topics = [s["topic"] for s in d.config["sources"]]
    stack.create([topics[0], *d.config["outputs"].values()], 2)
    stack.create([topics[1]], 3)
    d.start(ready=False)
    assert d.process.wait(30) == 78
    assert topics[1] in open(d.log).read()
