"""Clients that others wrote: kcat, confluent-kafka, Kafka's Java client and the CloudEvents SDK feed the daemon, each as it comes; the
SDK reads what the daemon emits. Every change is compared with `tagd simulate` on the same events, and each client's default
partitioner with tagd's check."""
import fcntl
import hashlib
import json
import os
import subprocess

import pytest
from cloudevents.core.bindings import kafka as sdk
from cloudevents.core.v1.event import CloudEvent
from cloudevents.v1 import kafka as old_sdk
from cloudevents.v1.http import CloudEvent as OldCloudEvent
from confluent_kafka import Producer
from dateutil.parser import isoparse

from shop import CATALOG, END, committed, shop_events
from stack import BROKER, ROOT, Reader, by_customer, compare, event, final_view, meaning, simulate, wait_for

PARTITIONS = 5  # odd, so that no bit of a hash decides alone
CACHE = os.environ.get("TAGD_CACHE", os.path.expanduser("~/.cache/tagd"))
TOOLS = os.path.join(CACHE, "kafka-tools-4.1.0", "kafka-tools-4.1.0.jar")  # the console producer; the client itself is among the broker's jars
TOOLS_SHA256 = "1c2836cee57a947d2db461410ac5008ca80facbd19b7ed9d284ca883782ea741"
STRUCTURED = "application/cloudevents+json"


def tools_are_there():
    return os.path.exists(TOOLS) and hashlib.sha256(open(TOOLS, "rb").read()).hexdigest() == TOOLS_SHA256


@pytest.fixture(scope="session")
def console_producer():
    """The Java class path with Kafka's console producer, fetched once from Maven Central."""
    subprocess.run([BROKER, "fetch"], check=True)
    os.makedirs(os.path.dirname(TOOLS), exist_ok=True)
    with open(os.path.dirname(TOOLS) + "/lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not tools_are_there():
            subprocess.run(["mvn", "-q", "-B", "-Dstyle.color=never", "-f", ROOT + "/deploy/broker/pom.xml", "dependency:copy",
                            "-Dartifact=org.apache.kafka:kafka-tools:4.1.0", "-DoutputDirectory=" + os.path.dirname(TOOLS)], check=True)
    assert tools_are_there(), f"{TOOLS} is not the one that was tested; remove it and try again"
    return f"{CACHE}/kafka-4.1.0/*:{TOOLS}"


def binary(record):
    """(headers, value) of the record as a binary CloudEvent, written by hand."""
    headers = {"ce_" + k: v for k, v in record.items() if k != "data"}
    return {"content-type": "application/json", **headers}, json.dumps(record.get("data", {}))


# ---- the clients: each takes events in order and writes them, keyed by customer, in its own way ----

def by_kcat(bootstrap, topic, events, folder, *, options=()):
    path = f"{folder}/kcat.txt"
    with open(path, "w") as file:
        file.writelines(f"{e['subject']}\t{json.dumps(e)}\n" for e in events)
    subprocess.run(["kcat", "-P", "-b", bootstrap, "-t", topic, "-K", "\t", "-H", "content-type=" + STRUCTURED, *options, "-l", path],
                   check=True, timeout=60)


def by_confluent(bootstrap, topic, events, folder, **more):
    producer = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True, "log_level": 0, **more})
    for e in events:
        producer.produce(topic, json.dumps(e), e["subject"], headers={"content-type": STRUCTURED})
        producer.poll(0)
    assert producer.flush(30) == 0


def by_java(bootstrap, topic, events, folder, *, class_path, is_binary):
    lines = []
    for e in events:
        headers, value = binary(e) if is_binary else ({"content-type": STRUCTURED}, json.dumps(e))
        lines.append(";".join(f"{k}~{v}" for k, v in headers.items()) + f"\t{e['subject']}\t{value}\n")
    properties = ["parse.key=true", "parse.headers=true", "headers.separator=;", "headers.key.separator=~"]
    run = subprocess.run(["java", "-Xmx256m", "-XX:TieredStopAtLevel=1", "-cp", class_path, "org.apache.kafka.tools.ConsoleProducer", "--bootstrap-server",
                    bootstrap, "--topic", topic, *(a for p in properties for a in ("--property", p))],
                         input="".join(lines), text=True, timeout=120, capture_output=True)
    assert run.returncode == 0 and " ERROR " not in run.stderr, run.stderr[-3000:]


def by_sdk(bootstrap, topic, events, folder, *, serialize):
    producer = Producer({"bootstrap.servers": bootstrap, "partitioner": "murmur2_random", "enable.idempotence": True, "log_level": 0})
    for e in events:
        message = serialize(e)
        producer.produce(topic, message.value, message.key, headers=message.headers)
        producer.poll(0)
    assert producer.flush(30) == 0


def sdk_event(e):
    attributes = {k: v for k, v in e.items() if k != "data"}
    return CloudEvent({**attributes, "time": isoparse(e["time"]), "partitionkey": e["subject"], "datacontenttype": "application/json"}, e["data"])


def old_sdk_event(e):
    attributes = {k: v for k, v in e.items() if k != "data"}
    return OldCloudEvent({**attributes, "partitionkey": e["subject"], "datacontenttype": "application/json"}, e["data"])


CLIENTS = {
    "kcat": ("crc32", by_kcat, {}),
    "kcat, partitioner=murmur2_random": ("murmur2", by_kcat, {"options": ("-X", "partitioner=murmur2_random")}),
    "confluent-kafka": ("crc32", by_confluent, {}),
    "confluent-kafka, partitioner=murmur2_random": ("murmur2", by_confluent, {"partitioner": "murmur2_random"}),
    "Java client, structured": ("murmur2", by_java, {"is_binary": False}),
    "Java client, binary": ("murmur2", by_java, {"is_binary": True}),
    "CloudEvents SDK, to_structured": ("murmur2", by_sdk, {"serialize": lambda e: sdk.to_structured_event(sdk_event(e))}),
    "CloudEvents SDK, to_binary": ("murmur2", by_sdk, {"serialize": lambda e: sdk.to_binary_event(sdk_event(e))}),
    "CloudEvents SDK 1, to_structured": ("murmur2", by_sdk, {"serialize": lambda e: old_sdk.to_structured(old_sdk_event(e))}),
    "CloudEvents SDK 1, to_binary": ("murmur2", by_sdk, {"serialize": lambda e: old_sdk.to_binary(old_sdk_event(e))}),
}


def write_by(client, stack, topic, events, folder, request):
    _, write, more = CLIENTS[client]
    if write is by_java:
        more = {**more, "class_path": request.getfixturevalue("console_producer")}
    write(stack.bootstrap, topic, events, folder, **more)


def make(daemon, partitioner, **settings):
    d = daemon(CATALOG, time="events", grace="0s", **settings)
    d.config["sources"][0]["partitioner"] = partitioner
    d.write()
    d.create_topics(PARTITIONS)
    return d, d.config["sources"][0]["topic"]


def let_time_end(stack, d):
    """Time goes on to the end in every partition, by a record that is no customer's."""
    producer = stack.producer()
    for partition in range(d.partitions):
        producer.produce(d.config["sources"][0]["topic"], json.dumps(event("end", "end", "unknown", END)), None, partition)
    producer.flush()


def source_records(stack, topic, n):
    reader = Reader(stack, topic, PARTITIONS)
    try:
        return list(reader.wait(n, 30))
    finally:
        reader.stop()


def told(message):
    return {k: v.decode() for k, v in message.headers()}


def letters_of(reader, stack, d):
    """The dead letters but those of the records that end time."""
    reader.wait(sum(stack.ends(d.config["outputs"]["dead_letter"], PARTITIONS)) and PARTITIONS, 30)
    return [m for m in reader.messages if told(m)["tagd_error"] != "junk_subject"]


@pytest.mark.parametrize("client", CLIENTS)
def test_a_client_s_events_make_the_changes_that_simulate_tells(stack, daemon, tmp_path, request, client):
    events = shop_events(1500, 60, 23)
    wanted = simulate(tmp_path, CATALOG, [*events, event("end", "end", "nobody", END)])
    d, topic = make(daemon, CLIENTS[client][0])
    reader, letters = d.reader(), d.reader("dead_letter")
    d.start()
    write_by(client, stack, topic, events, tmp_path, request)
    let_time_end(stack, d)
    total = sum(map(len, wanted.values()))
    reader.wait(total, 60)
    wait_for("offsets committed", 30, lambda: committed(stack, d))
    assert letters_of(letters, stack, d) == []
    assert d.metrics()['tagd_dead_letters_total{code="misrouted"}'] == 0
    assert d.metrics()["tagd_duplicates_total"] == len(events) - len({e["id"] for e in events}) > 0
    d.stop()
    compared, differences = compare(by_customer(reader.changes()), wanted)
    assert not differences, differences[0]
    assert compared == total == len(reader.messages)
    for customer, changes in wanted.items():
        assert d.tags(customer) == final_view(changes), customer
    print(f"{client}: {len(events)} events, {compared} changes and {len(wanted)} views compared, 0 differences, 0 misrouted")


@pytest.mark.parametrize("client,wrong", [("kcat", "murmur2"), ("confluent-kafka", "murmur2"), ("Java client, structured", "crc32")])
def test_what_sits_elsewhere_by_the_configured_partitioner_is_misrouted_and_told_which_fits(stack, daemon, tmp_path, request, client, wrong):
    fits = CLIENTS[client][0]
    events = shop_events(1500, 60, 29)
    d, topic = make(daemon, wrong)
    write_by(client, stack, topic, events, tmp_path, request)
    records = source_records(stack, topic, len(events))
    # where each customer would sit by the other partitioner is asked of a client that uses it
    other = d.name + ".other"
    stack.create([other], PARTITIONS)
    by_confluent(stack.bootstrap, other, events, tmp_path, partitioner={"murmur2": "murmur2_random", "crc32": "consistent"}[wrong])
    right_place = {m.key(): m.partition() for m in source_records(stack, other, len(events))}
    elsewhere = {m.key() for m in records if m.partition() != right_place[m.key()]}
    assert 0 < len(elsewhere) < len(right_place)
    let_time_end(stack, d)
    wanted = simulate(tmp_path, CATALOG, [*(e for e in events if e["subject"].encode() not in elsewhere), event("end", "end", "nobody", END)])
    reader, letters = d.reader(), d.reader("dead_letter")
    d.start()
    total = sum(map(len, wanted.values()))
    reader.wait(total, 60)
    misrouted = [m for m in records if m.key() in elsewhere]
    letters.wait(len(misrouted) + PARTITIONS, 30)
    found = [m for m in letters.messages if told(m)["tagd_error"] == "misrouted"]
    assert len(found) + PARTITIONS == len(letters.messages)
    by_place = {(m.partition(), m.offset()): m for m in records}
    for letter in found:
        headers = told(letter)
        source = by_place[int(headers["tagd_partition"]), int(headers["tagd_offset"])]
        assert (letter.key(), letter.value(), headers["tagd_topic"]) == (source.key(), source.value(), topic)
        assert source.headers()[0] in letter.headers() and source.key() in elsewhere
        assert headers["tagd_reason"] == (f"subject: {wrong} puts it in partition {right_place[source.key()]} of {PARTITIONS}, the record is in "
                                          f"{source.partition()}; {fits} would fit")
    assert len({(told(m)["tagd_partition"], told(m)["tagd_offset"]) for m in found}) == len(misrouted) == len(found)
    wait_for("offsets committed", 30, lambda: committed(stack, d))
    d.stop()
    compared, differences = compare(by_customer(reader.changes()), wanted)
    assert not differences, differences[0]
    assert compared == total == len(reader.messages)
    print(f"{client} against \"partitioner\": \"{wrong}\": {len(found)} of {len(records)} records misrouted, each told that {fits} would fit; "
          f"{compared} changes of the other customers compared, 0 differences")


@pytest.mark.parametrize("mode", ["structured", "binary"])
def test_the_sdk_reads_every_attribute_of_every_change(stack, daemon, tmp_path, mode):
    events = shop_events(800, 40, 31)
    wanted = simulate(tmp_path, CATALOG, [*events, event("end", "end", "nobody", END)])
    total = sum(map(len, wanted.values()))
    d, topic = make(daemon, "crc32")
    if mode == "binary":
        d.config["outputs"]["content_mode"] = "binary"
        d.write()
    by_confluent(stack.bootstrap, topic, events, tmp_path)
    let_time_end(stack, d)
    reader = d.reader()
    d.start()
    reader.wait(total, 60)
    d.stop()
    found, at = {}, 0
    for message in reader.messages:
        headers = dict(message.headers())
        read = sdk.from_kafka_event(sdk.KafkaMessage(headers, message.key(), message.value()))
        old = (old_sdk.from_binary if mode == "binary" else old_sdk.from_structured)(old_sdk.KafkaMessage(headers, message.key(), message.value()))
        customer = read.get_subject()
        change = wanted[customer][len(found.setdefault(customer, []))]
        assert type(read) is CloudEvent and read.get_specversion() == "1.0" and read.get_type() == "tagd.tag.changed"
        assert read.get_id() == f"tag:{customer}:{read.get_data()['revision']}" and read.get_source() == "tagd/" + d.name
        assert read.get_time() == isoparse(change["time"]) and read.get_datacontenttype() == "application/json"
        assert read.get_extension("partitionkey") == customer == old["partitionkey"].decode()
        assert isoparse(read.get_extension("recordedtime")) >= read.get_time()
        assert read.get_extension("causationid") == change.get("causationid")
        attributes = {k: v for k, v in read.get_attributes().items() if k != "partitionkey"}
        # version 1 also takes the record's other headers for attributes, and of a structured event its content type for the data's
        assert {**attributes, "time": change["time"]} == {
            **{k: v for k, v in old.get_attributes().items() if k != "partitionkey" and not k.startswith("tagd_")}, "datacontenttype": "application/json"}
        assert read.get_data() == old.get_data()
        whole = {**attributes, "time": change["time"], "data": read.get_data()}
        assert meaning(whole) == meaning(change)
        found[customer].append(whole)
        at += len(attributes)
    assert len(reader.messages) == total and found.keys() == wanted.keys()
    print(f"{mode}: {total} changes read by both forms of the SDK, {at} attributes and {total} data compared, 0 differences")


def test_headers_that_are_ignored_are_no_form_and_still_reach_the_dead_letter(stack, daemon):
    d, topic = make(daemon, "none")
    d.config["sources"][0]["headers"] = "ignore"
    d.write()
    first, second, third = (event(f"e{i}", "login", "C1", END - 5000 + i) for i in range(3))
    headers, value = binary(second)
    producer = stack.producer()
    producer.produce(topic, json.dumps(first), "C1", 0, headers={"content-type": "text/plain"})
    producer.produce(topic, value, "C1", 0, headers=headers)
    producer.produce(topic, json.dumps(third), "C1", 0)
    producer.flush()
    reader, letters = d.reader(), d.reader("dead_letter")
    d.start()
    letters.wait(1, 30)
    wait_for("two events", 30, lambda: d.metrics()["tagd_events_total"] == 2)
    reader.wait(1, 30)
    assert json.loads(reader.messages[0].value())["subject"] == "C1"
    letter = letters.messages[0]
    kept = told(letter)
    assert (letter.value(), kept["tagd_offset"], kept["tagd_error"]) == (value.encode(), "1", "invalid")
    assert {k: kept[k] for k in headers} == headers
    d.stop()
