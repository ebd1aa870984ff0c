"""What records may look like, and in which content mode changes go out, through a real broker and the daemon."""
import json
import time

import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from stack import event, wait_for

CATALOG = {
    "catalog": "shop", "version": "1",
    "events": {"order.paid": {"fields": {"amount": "decimal"}, "dedupe": "1h"}, "login": {}},
    "dimensions": {"value.level": {"tags": [{"tag": "high", "when": "sum(amount, order.paid) >= 100"}, {"tag": "low", "when": "true"}]}}}
MIB = 1 << 20


def now_ms():
    return time.time_ns() // 1000000


def headers(message):
    return {k: v.decode() for k, v in message.headers()}


@pytest.mark.parametrize("codec", ["none", "gzip", "snappy", "lz4", "zstd"])
def test_topics_compressed_by_any_codec_are_read(stack, daemon, codec):
    d = daemon(CATALOG, grace="0s")
    d.create_topics(2)
    d.start()
    reader, producer, at = d.reader(), stack.producer(**{"compression.codec": codec, "linger.ms": 50}), now_ms()
    for i in range(200):  # batches worth compressing
        producer.produce(d.config["sources"][0]["topic"], json.dumps(event(f"e{i}", "order.paid", f"C{i % 20}", at, {"amount": 11})), f"C{i % 20}")
    producer.flush()
    changes = [json.loads(m.value()) for m in reader.wait(40, 20)]
    assert {(c["subject"], c["data"]["to"]) for c in changes} == {(f"C{i}", to) for i in range(20) for to in ("low", "high")}
    assert wait_for("all read", 10, lambda: d.metrics()["tagd_events_total"] == 200)
    d.stop()


def test_a_record_without_key_counts_and_a_tombstone_is_a_dead_letter(stack, daemon):
    d = daemon(CATALOG, grace="0s")
    d.create_topics(1)
    d.start()
    reader, letters, producer, at = d.reader(), d.reader("dead_letter"), stack.producer(), now_ms()
    topic = d.config["sources"][0]["topic"]
    producer.produce(topic, json.dumps(event("e1", "login", "C1", at)), None)
    producer.produce(topic, None, "C1", headers={"why": "deleted"})
    producer.produce(topic, b"", "C1")
    producer.produce(topic, b"   ", None)
    producer.flush()
    assert [json.loads(m.value())["subject"] for m in reader.wait(1, 20)] == ["C1"]
    assert [m.key() for m in reader.messages] == [b"C1"]
    found = [(m.key(), m.value(), headers(m)["tagd_error"], headers(m)["tagd_reason"]) for m in letters.wait(3, 20)]
    assert found == [(b"C1", None, "malformed", "value: the record has none (a tombstone); expected an event"),
                     (b"C1", b"", "malformed", "value: byte 0: there is no value"),
                     (None, b"   ", "malformed", "value: byte 3: there is no value")]
    assert headers(letters.messages[0])["why"] == "deleted"
    d.stop()


def test_binary_events_in(stack, daemon):
    d = daemon(CATALOG, grace="0s")
    d.create_topics(1)
    d.start()
    reader, letters, producer = d.reader(), d.reader("dead_letter"), stack.producer()
    topic = d.config["sources"][0]["topic"]
    attributes = {"ce_specversion": "1.0", "ce_source": "web", "ce_subject": "C1", "ce_time": event("", "", "", now_ms())["time"]}
    producer.produce(topic, b'{"amount":120}', "C1", headers={**attributes, "ce_id": "1", "ce_type": "order.paid", "content-type": "application/json"})
    producer.produce(topic, b"", "C2", headers={**attributes, "ce_id": "2", "ce_type": "login", "ce_subject": "C2"})  # no data is fine
    producer.produce(topic, b"", "C3", headers={**attributes, "ce_id": "3", "ce_type": "login", "ce_subject": ""})
    producer.flush()
    assert {(m.key(), json.loads(m.value())["data"]["to"]) for m in reader.wait(2, 20)} == {(b"C1", "high"), (b"C2", "low")}
    letter = letters.wait(1, 20)[0]
    assert letter.value() == b"" and headers(letter)["ce_id"] == "3" and headers(letter)["tagd_error"] == "junk_subject"
    d.stop()


@pytest.mark.parametrize("mode", ["structured", "binary"])
def test_changes_go_out_in_mode(stack, daemon, mode):
    d = daemon(CATALOG, grace="5s")  # so that the event is not late
    d.config["outputs"]["content_mode"] = mode
    d.write()
    d.create_topics(1)
    d.start()
    reader, letters, producer, at = d.reader(), d.reader("dead_letter"), stack.producer(), now_ms()
    topic = d.config["sources"][0]["topic"]
    producer.produce(topic, json.dumps(event("订单1", "order.paid", "客户", at, {"amount": 120}, "店")), "客户")
    producer.produce(topic, b"{", "客户", headers=[("mine", b"1"), ("mine", b"\x00\x02"), ("none", None)])
    producer.flush()
    message = reader.wait(1, 20)[0]
    names = [name for name, _ in message.headers()]
    assert len(set(names)) == len(names) and message.key() == "客户".encode()
    told = headers(message)
    if mode == "structured":
        assert told.keys() == {"content-type", "tagd_batch", "tagd_group"}
        assert told["content-type"] == "application/cloudevents+json; charset=UTF-8"
        change = json.loads(message.value())
    else:
        assert told.pop("content-type") == "application/json"
        assert told.keys() - {"tagd_batch", "tagd_group"} == {"ce_specversion", "ce_id", "ce_source", "ce_type", "ce_subject", "ce_time",
                                                              "ce_recordedtime", "ce_causationid"}
        change = {**{k[3:]: v for k, v in told.items() if k.startswith("ce_")}, "datacontenttype": "application/json",
                  "data": json.loads(message.value())}
    recorded, data = change.pop("recordedtime"), change.pop("data")
    assert change == {"specversion": "1.0", "id": "tag:客户:1", "source": f"tagd/{d.name}", "type": "tagd.tag.changed", "subject": "客户",
                      "time": event("", "", "", at)["time"], "causationid": "店#订单1", "datacontenttype": "application/json"}
    assert recorded >= change["time"] and (data["dimension"], data["to"], data["revision"]) == ("value.level", "high", 1)
    letter = letters.wait(1, 20)[0]  # its own headers, all of them, in their order, whatever the mode
    assert letter.headers()[:3] == [("mine", b"1"), ("mine", b"\x00\x02"), ("none", None)]
    assert [name for name, _ in letter.headers()[3:]] == ["tagd_error", "tagd_reason", "tagd_topic", "tagd_partition", "tagd_offset",
                                                          "tagd_batch", "tagd_group"]
    d.stop()


def test_a_record_may_have_one_mebibyte_and_a_longer_one_is_cut_where_the_broker_must(stack, daemon):
    d = daemon(CATALOG, grace="0s")
    d.partitions = 1
    topic = d.config["sources"][0]["topic"]
    admin = AdminClient({"bootstrap.servers": stack.bootstrap})
    for future in admin.create_topics([NewTopic(topic, 1, 1, config={"max.message.bytes": str(8 * MIB)})]).values():
        future.result(20)
    stack.create(d.config["outputs"].values(), 1)
    d.start()
    reader, letters = d.reader(), d.reader("dead_letter")
    producer = stack.producer(**{"message.max.bytes": 8 * MIB})

    def padded(id, n):
        text = json.dumps(event(id, "login", "C1", now_ms(), {"pad": ""}))
        return text.replace('"pad": ""', '"pad": "%s"' % ("x" * (n - len(text)))).encode()
    right, long, huge = padded("e1", MIB), padded("e2", MIB + 1), padded("e3", 3 * MIB)
    assert (len(right), len(long)) == (MIB, MIB + 1)
    for value in (right, long, huge):
        producer.produce(topic, value, "C1", headers={"mine": "1"})
    producer.flush()
    assert json.loads(reader.wait(1, 30)[0].value())["causationid"] == "test#e1"
    for message, value in zip(letters.wait(2, 30), (long, huge), strict=True):
        told = headers(message)
        assert told["tagd_error"] == "too_large" and told["tagd_reason"] == f"value: {len(value)} bytes, over the limit of {MIB}"
        assert told["tagd_truncated"] == str(len(value)) and told["mine"] == "1" and message.key() == b"C1"
        assert value.startswith(message.value()) and 900000 < len(message.value()) < MIB
    assert d.metrics()["tagd_events_total"] == 1
    key = b"k" * (2 * MIB)  # then the record's own headers go, and its key is cut too
    producer.produce(topic, b"{", key, headers={"mine": "1"})
    producer.flush()
    message = letters.wait(3, 30)[2]
    told = headers(message)
    assert told["tagd_error"] == "malformed" and told["tagd_truncated"] == "1" and "mine" not in told and message.value() == b"{"
    assert key.startswith(message.key()) and 200000 < len(message.key()) < 300000
    d.stop()
