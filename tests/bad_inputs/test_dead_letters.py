"""Bad records through the real daemon: each is in the dead-letter topic, its bytes, key and headers as they were, with code and reason."""
import json
import time

import table
from stack import Reader, event, wait_for

BYTES_MAX = 4096
NOW = time.time_ns() // 10**6
ATTRIBUTES = {"ce_specversion": "1.0", "ce_id": "e1", "ce_source": "shop", "ce_type": "order.paid", "ce_subject": "C1", "ce_time": "2026-11-23T10:00:00Z"}


def login(**more):
    return json.dumps(event("e1", "login", "C1", NOW) | more).encode()


def binary(without=(), **more):
    return [(k, v) for k, v in {**ATTRIBUTES, **more}.items() if k not in without]


# (name, headers, value, code, reason): what a line of a file can't be
WITH_HEADERS = [
    ("a tombstone", [], None, "malformed", "value: the record has none (a tombstone); expected an event"),
    ("an empty value", [], b"", "malformed", "value: byte 0: there is no value"),
    ("a batch of events", [("content-type", "application/cloudevents-batch+json")], b"[]", "malformed",
     "header content-type: expected application/cloudevents+json, one event a record"),
    ("an event in Avro", [("content-type", "application/cloudevents+avro")], b"\x00", "malformed",
     "header content-type: expected application/cloudevents+json, one event a record"),
    ("an attribute that isn't UTF-8", binary(ce_id=b"\xff"), b"{}", "malformed", "header ce_id: invalid UTF-8"),
    ("an attribute with a NUL", binary(ce_source=b"a\x00b"), b"{}", "malformed", "header ce_source: a NUL byte"),
    ("an attribute that is missing", binary(without=["ce_type"]), b"{}", "invalid", "type: missing"),
    ("an attribute that is empty", binary(ce_id=""), b"{}", "invalid", "id: expected 1 to 1024 bytes, found an empty string"),
    ("an older version in headers", binary(ce_specversion="0.3"), b"{}", "invalid", 'specversion: expected "1.0", found "0.3"'),
    ("a time in words in a header", binary(ce_time="today"), b"{}", "invalid", 'time: expected a time as RFC 3339 writes it, found "today"'),
    ("data that is text", binary(**{"content-type": "text/plain"}), b"{}", "invalid", "data: expected JSON, but content-type says otherwise"),
    ("data that is cut short", binary(), b'{"amount":', "malformed", "value: byte 10: the text ends before the value does"),
    ("data without what is required", binary(), b"{}", "invalid", "data/amount: expected a number, found nothing"),
    ("no data at all", binary(), b"", "invalid", "data/amount: expected a number, found nothing"),
    ("a record too large", [], b'"' + b"x" * BYTES_MAX + b'"', "too_large", f"value: {BYTES_MAX + 2} bytes, over the limit of {BYTES_MAX}"),
    ("an hour ahead", [], login(time="2999-01-01T00:00:00Z"), "future", "time: 2999-01-01T00:00:00.000Z is over 300000 ms ahead of the clock"),
]


def rows():
    """(name, headers, value, code, reason) of all that sit in the right partition."""
    of_lines = [(name, [], value if isinstance(value, bytes) else value.encode(), code, reason) for name, value, code, reason in table.RECORDS
                if name != "no time" and code != "too_large"]  # the record's own time stands in; the limit here is another
    return of_lines + WITH_HEADERS


def test_every_bad_record_is_in_the_dead_letter_topic_as_it_was(stack, daemon):
    d = daemon(table.RECORDS_CATALOG, grace="0s", max_event_bytes=BYTES_MAX)
    d.create_topics(3)
    topic = d.config["sources"][0]["topic"]
    d.start()
    reader, letters = d.reader(), d.reader("dead_letter")
    producer = stack.producer()
    producer.produce(topic, login(), "C1")
    producer.flush()
    partition = wait_for("its change", 20, lambda: reader.messages)[0].partition()
    wanted = {}
    for name, headers, value, code, reason in rows():
        producer.produce(topic, value, "C1", partition, headers=[("row", name), *headers])
        wanted[name] = ([("row", name), *headers], b"C1", value, code, reason, partition)
    other = (partition + 1) % 3
    for name, key, subject in [("elsewhere", b"C1", "C1"), ("elsewhere without a key", None, "C1"), ("elsewhere by another key", b"order-7", "C1")]:
        value = login(subject=subject)
        producer.produce(topic, value, key, other, headers=[("row", name)])
        reason = f"subject: murmur2 puts it in partition {partition} of 3, the record is in {other}; "
        wanted[name] = ([("row", name)], key, value, "misrouted", reason, other)
    producer.produce(topic, login(id="e2"), "C1")
    producer.flush()
    letters.wait(len(wanted), 30)
    source = Reader(stack, topic, 3)
    by_place = {(m.partition(), m.offset()): m for m in source.wait(len(wanted) + 2, 30)}
    source.stop()
    found = {}
    for letter in letters.messages:
        headers = letter.headers()
        own = {k: v.decode() for k, v in headers if k.startswith("tagd_")}
        name = dict(headers)["row"].decode()
        had, key, value, code, reason, place = wanted[name]
        assert [(k, v) for k, v in headers if not k.startswith("tagd_")] == [(k, v if isinstance(v, bytes) else v.encode()) for k, v in had], name
        assert (letter.key(), letter.value()) == (key, value), name
        assert own["tagd_error"] == code and own["tagd_topic"] == topic and own["tagd_partition"] == str(place) == str(letter.partition()), name
        assert own["tagd_reason"] == reason or code == "misrouted" and own["tagd_reason"].startswith(reason), (name, own["tagd_reason"])
        assert ("the record's key is not the subject" in own["tagd_reason"]) == (key == b"order-7"), name
        assert by_place[place, int(own["tagd_offset"])].value() == value and dict(by_place[place, int(own["tagd_offset"])].headers())["row"].decode() == name
        assert set(own) - {"tagd_batch", "tagd_group"} == {"tagd_error", "tagd_reason", "tagd_topic", "tagd_partition", "tagd_offset"}, name
        assert name not in found
        found[name] = code
    assert found.keys() == wanted.keys()
    codes = {code: list(found.values()).count(code) for code in sorted(set(found.values()))}
    assert set(codes) == {"too_large", "malformed", "junk_subject", "invalid", "past", "future", "misrouted", "unsupported"}
    metrics = wait_for("all read", 20, lambda: (m := d.metrics())["tagd_events_total"] == 2 and m)
    assert {code: metrics[f'tagd_dead_letters_total{{code="{code}"}}'] for code in codes} == codes
    assert d.stop() < 5
    print(f"\n{len(found)} bad records through the daemon, each a dead letter as it was: {codes}")
