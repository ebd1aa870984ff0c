"""Topics in shapes of their own, read by their maps through a real broker and the daemon."""
import json
import subprocess
import time

from stack import TAGD, event, wait_for

CATALOG = {
    "catalog": "shop", "version": "1",
    "events": {"order.paid": {"fields": {"amount": {"type": "decimal", "required": True}, "category": "string", "paid_at": "time"}, "dedupe": "1h"},
               "login": {}},
    "dimensions": {
        "value.level": {"tags": [{"tag": "high", "when": "sum(amount, order.paid) >= 100"}, {"tag": "low", "when": "true"}]},
        "need.category": {"tags": [{"tag": "beauty", "when": "latest(category, order.paid) == '17'"}]}}}
ORDERS = {"id": "/no", "source": {"const": "store"}, "type": {"const": "order.paid"}, "subject": "/who/member",
          "time": {"at": "/ts", "as": "epoch_ms"},
          "data": {"amount": "/lines/0/total", "category": "/cat~1egory", "paid_at": {"at": "/paid", "as": "epoch_s"}}}
LOGINS = {"id": {"from": "offset"}, "source": "/app", "type": "/what", "subject": {"from": "key"}, "data": "/payload"}


def headers(message):
    return {k: v.decode() for k, v in message.headers()}


def order(no, member, at, total, **more):
    return json.dumps({"no": no, "who": {"member": member}, "ts": at, "lines": [{"total": total}], "cat/egory": 17, "paid": at / 1000, **more})


def test_topics_of_other_shapes_give_tags_beside_one_of_cloudevents(stack, daemon):
    d = daemon(CATALOG, sources=("orders", "logins", "events"), grace="0s")
    orders, logins, events = (s["topic"] for s in d.config["sources"])
    d.config["sources"][0]["map"], d.config["sources"][1]["map"] = ORDERS, LOGINS
    d.write()
    d.create_topics(3)
    d.start()
    reader, letters, producer = d.reader(), d.reader("dead_letter"), stack.producer()
    at = time.time_ns() // 1000000
    producer.produce(orders, order(1001, 88001, at, 60), "88001")
    producer.produce(orders, order(1001, 88001, at, 60), "88001")  # a duplicate, by the number as text
    producer.flush()
    wait_for("the duplicate", 20, lambda: d.metrics().get("tagd_duplicates_total") == 1)
    producer.produce(events, json.dumps(event("e1", "order.paid", "88001", at, {"amount": 50})), "88001")
    producer.produce(logins, json.dumps({"app": "ios", "what": "login", "payload": {}}), "C7")
    producer.produce(logins, json.dumps({"app": "ios", "what": "login", "payload": {}}), "C7")
    producer.flush()
    changes = {(m.key().decode(), c["data"]["dimension"], c["data"]["to"]): c
               for m in reader.wait(4, 20) for c in [json.loads(m.value())]}
    assert set(changes) == {("88001", "value.level", "low"), ("88001", "value.level", "high"), ("88001", "need.category", "beauty"),
                            ("C7", "value.level", "low")}
    assert changes["88001", "value.level", "low"]["causationid"] == "store#1001"
    assert changes["88001", "value.level", "high"]["causationid"] == "test#e1"
    offset_id = changes["C7", "value.level", "low"]["causationid"]
    assert offset_id.startswith(f"ios#{logins}/") and offset_id.endswith("/0")
    assert d.tags("88001")["value.level"] == "high"

    bad = {  # what comes out of the dead-letter topic is what came in, with a reason that names the pointer
        b'{"no":1,"who":{"member":88001},"ts":1e20,"lines":[{"total":1}]}': ("invalid", "time (/ts): expected milliseconds since 1970 as a number, "
                                                                             "found a number out of range"),
        b'{"no":1,"who":{},"ts":%d,"lines":[{"total":1}]}' % at: ("invalid", "subject (/who/member): missing"),
        b'{"no":9007199254740993,"who":{"member":88001},"ts":%d,"lines":[{"total":1}]}' % at: (
            "invalid", "id (/no): expected a string or a whole number, found a number beyond 9007199254740991, "
            "which readers of JSON round (it must come as a string)"),
        b'{"no":2,"who":{"member":88001},"ts":%d,"lines":[]}' % at: ("invalid", "data/amount (/lines/0/total): expected a number, found nothing"),
        b'{"no":2,"who":{"member":0},"ts":%d,"lines":[]}' % at: ("junk_subject", 'subject (/who/member): "0" stands for no customer'),
        b'{"no":2,"who":{"member":88001},"ts":1795399200,"lines":[{"total":1}]}': (
            "past", "time (/ts): 1970-01-21T18:43:19.200Z is before the earliest allowed, 1990-01-01T00:00:00.000Z"),
        b'no,member\n2,88001': ("malformed", "value: byte 0: expected a value")}
    for value in bad:
        producer.produce(orders, value, "88001", headers={"trace": b"\x00\xff"})
    producer.produce(logins, b'{"app":"ios","what":"login"}', None, 0)
    producer.flush()
    letters.wait(len(bad) + 1, 20)
    d.stop()
    found = {}
    for message in letters.messages:
        told = dict(message.headers())
        found[message.value()] = told["tagd_error"].decode(), told["tagd_reason"].decode()
        if message.key() is not None:
            assert message.headers()[0] == ("trace", b"\x00\xff") and message.key() == b"88001"
    assert found == {**bad, b'{"app":"ios","what":"login"}': ("invalid", "subject (the record's key): missing")}


def test_a_crm_topic_updates_attributes_by_its_map(stack, daemon):
    catalog = {**CATALOG, "attributes": {"region": "string"},
               "dimensions": {"where.region": {"tags": [{"tag": "north", "when": "attr.region == 'north'"}]}}}
    d = daemon(catalog, sources=("members",), grace="0s")
    d.config["sources"][0]["map"] = {
        "id": {"from": "offset"}, "source": {"const": "crm"}, "type": {"const": "profile.updated"}, "subject": "/id",
        "time": {"at": "/changed", "as": "epoch_s"}, "data": {"attributes": {"fields": {"region": "/address/region"}}}}
    d.write()
    d.create_topics(1)
    d.start()
    reader, letters, producer, at = d.reader(), d.reader("dead_letter"), stack.producer(), time.time_ns() // 1000000
    topic = d.config["sources"][0]["topic"]
    for region in ("north", None, [1]):
        producer.produce(topic, json.dumps({"id": 7, "changed": at / 1000, "address": {"region": region}}), "7")
    producer.flush()
    assert [(c["data"]["from"], c["data"]["to"]) for c in map(json.loads, (m.value() for m in reader.wait(2, 20)))] == [(None, "north"), ("north", None)]
    assert headers(letters.wait(1, 20)[0])["tagd_reason"] == "data/attributes/region (/address/region): expected a string, found an array"
    d.stop()


def test_check_shows_a_map_and_refuses_one_that_the_catalog_does_not_know(stack, daemon):
    d = daemon(CATALOG, sources=("orders",))
    d.config["sources"][0] |= {"map": ORDERS, "partitioner": "crc32"}
    d.write()
    run = subprocess.run([TAGD, "check", "--config", d.path], capture_output=True, text=True)
    topic = d.config["sources"][0]["topic"]
    assert run.returncode == 0, run.stderr
    assert f'''source {topic}, partitioner crc32
  id: at "/no"
  source: always "store"
  type: always "order.paid"
  subject: at "/who/member"
  time: at "/ts" as epoch_ms
  data/amount: at "/lines/0/total"
  data/category: at "/cat~1egory"
  data/paid_at: at "/paid" as epoch_s
''' in run.stdout
    d.config["sources"][0]["map"] = {**ORDERS, "data": {"amuont": "/total"}}
    d.write()
    for command in (["check"], ["run"], ["explain", "C1"]):
        run = subprocess.run([TAGD, command[0], "--config", d.path, *command[1:]], capture_output=True, text=True, timeout=30)
        assert run.returncode == 78, command
        assert f'at /sources/0/map: the map of topic "{topic}" gives the field "amuont", which the catalog\'s event type order.paid' in run.stderr
    d.config["sources"][0]["map"] = {**ORDERS, "subject": "who/member"}
    d.write()
    run = subprocess.run([TAGD, "check", "--config", d.path], capture_output=True, text=True)
    assert run.returncode == 78 and 'at /sources/0/map/subject: found "who/member"; a JSON Pointer begins with "/"' in run.stderr
    assert run.stderr.splitlines()[-1].strip() == "^"


def test_a_source_may_have_the_other_partitioner(stack, daemon):
    d = daemon(CATALOG, sources=("orders", "events"), grace="0s")
    orders, events = (s["topic"] for s in d.config["sources"])
    d.config["sources"][0] |= {"map": ORDERS, "partitioner": "crc32"}
    d.config["sources"][1]["partitioner"] = "none"
    d.write()
    d.create_topics(5)
    d.start()
    reader, letters, at = d.reader(), d.reader("dead_letter"), time.time_ns() // 1000000
    java, librdkafka = stack.producer(), stack.producer(partitioner="consistent")
    for i in range(10):
        librdkafka.produce(orders, order(i, f"C{i}", at, 1), f"C{i}")
    librdkafka.flush()
    assert len({m.key() for m in reader.wait(20, 20)}) == 10
    java.produce(orders, order(99, "C3", at, 1), "C3")  # not where crc32 puts it
    java.produce(events, json.dumps(event("e1", "login", "C3", at)), None, 0)  # anywhere will do
    java.flush()
    letter = letters.wait(1, 20)[0]
    assert headers(letter)["tagd_error"] == "misrouted"
    assert headers(letter)["tagd_reason"].startswith("subject (/who/member): crc32 puts it in partition ")
    assert headers(letter)["tagd_reason"].endswith("; murmur2 would fit")
    assert wait_for("all read", 20, lambda: d.metrics()["tagd_events_total"] == 11)
    d.stop()
