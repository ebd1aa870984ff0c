"""tagd dead-letters: what couldn't be used is listed, shown, and replayed once it can be, each record once, whatever happens."""
import json
import os
import signal
import subprocess
import time

import pytest

from chaos.load import murmur2
from stack import ROOT, TAGD, Reader, event, wait_for

CATALOG = {"catalog": "letters", "version": "1",
           "events": {"order.paid": {"fields": {"amount": "decimal", "note": "string"}}, "login": {"dedupe": "7d"}},
           "dimensions": {"value.orders": {"tags": [{"tag": f"n{n}", "when": f"count(order.paid) == {n}"} for n in range(60, 0, -1)]},
                          "value.logins": {"tags": [{"tag": f"n{n}", "when": f"count(login) == {n}"} for n in range(9, 0, -1)]}}}
NOW = time.time_ns() // 10**6
FEW = 2000  # max_event_bytes before it is raised


def run(d, *arguments, env=None, code=0, config=None):
    done = subprocess.run([TAGD, "dead-letters", *arguments[:1], "--config", config or d.path, *arguments[1:]], capture_output=True, text=True,
                          env={**os.environ, **(env or {})}, timeout=60)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def listed(d, *arguments):
    return json.loads(run(d, "list", "--json", *arguments))


def orders(d, customer):
    return d.tags(customer).get("value.orders")


def order(i, customer, size=0):
    return json.dumps(event(f"o{i}", "order.paid", customer, NOW + i, {"amount": 1, "note": "n" * size if size <= 1000 else "", **({"x": "x" * size} if size > 1000 else {})}))


def restart(d, **changes):
    d.stop()
    d.config.update(changes)
    d.write()
    d.start()


def make(daemon, **settings):
    d = daemon(CATALOG, grace="0s", **settings)
    d.create_topics(3)
    return d, d.config["sources"][0]["topic"]


def send(stack, topic, records):
    """(value, key, partition or None, headers or None)"""
    producer = stack.producer()
    for value, key, partition, headers in records:
        producer.produce(topic, value, key, **({} if partition is None else {"partition": partition}), headers=headers)
    producer.flush()


def home(customer):
    return murmur2(customer.encode()) % 3


AT_HOME = {home(f"N{i}"): f"N{i}" for i in range(20)}  # somebody in each partition


def source_records(stack, d, topic):
    """All committed records of the source."""
    reader, ends = Reader(stack, topic, 3), stack.ends(topic, 3, committed=False)
    # behind what is to be seen, one more record a partition
    send(stack, topic, [(json.dumps(event("end", "unknown", customer, NOW)), customer, p, None) for p, customer in AT_HOME.items()])
    wait_for("all is read", 20, lambda: len({m.partition() for m in reader.messages if m.offset() >= ends[m.partition()]}) == 3)
    reader.stop()
    return reader.messages


def replayed(messages):
    return [m for m in messages if any(k == "tagd_replayed_from" for k, _ in m.headers() or [])]


@pytest.fixture(scope="module")
def shim(tmp_path_factory):
    path = str(tmp_path_factory.mktemp("shim") / "kill.so")
    subprocess.run(["cc", "-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o", path, ROOT + "/tests/e2e/kill_shim.c", "-ldl"], check=True)
    return path


def test_letters_are_listed_shown_and_replayed_once(stack, daemon):
    d, topic = make(daemon, max_event_bytes=FEW)
    d.start()
    letters = d.reader("dead_letter")
    own = [("trace", b"\x00\x01"), ("empty", b""), ("none", None), ("tagd_offset", b"own")]
    send(stack, topic, [(order(1, "C1"), "C1", None, None),
                        (order(2, "C1", 3000), "C1", None, own),
                        (order(3, "C1"), "C1", (home("C1") + 1) % 3, None),  # misrouted
                        (json.dumps(event("j", "login", "unknown", NOW)), "unknown", None, None),
                        (b"\xff\x00not json", None, 0, None),
                        (json.dumps(event("i", "order.paid", "C1", NOW, {"amount": "12"})), "C1", None, None)])
    letters.wait(5, 30)
    wait_for("the order that is fine", 20, lambda: orders(d, "C1") == "n1")

    # list
    text = run(d, "list")
    assert "5 dead letters of group" in text and "1 too_large, 1 malformed, 1 junk_subject, 1 invalid, 1 misrouted" in text
    assert "murmur2 puts it in partition" in text and len(text.splitlines()) == 6
    found = listed(d)
    assert found["by_code"] == {"too_large": 1, "malformed": 1, "junk_subject": 1, "invalid": 1, "misrouted": 1} and found["n"] == 5 and found["replayed"] == 0
    by_code = {letter["error"]: letter for letter in found["letters"]}
    for message in letters.messages:
        said = {k: v for k, v in message.headers()}
        letter = by_code[said["tagd_error"].decode()]
        assert letter["place"] == f"{message.partition()}:{message.offset()}" and letter["offset"] == int(said["tagd_offset"])
        assert (letter["topic"], letter["partition"], letter["reason"]) == (topic, int(said["tagd_partition"]), said["tagd_reason"].decode())
    assert listed(d, "--code", "invalid")["n"] == 1 and listed(d, "--topic", "other")["n"] == 0
    soon = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 60))
    assert listed(d, "--since", soon)["n"] == 0 and listed(d, "--until", soon)["n"] == 5 and listed(d, "--until", "2020-01-01T00:00:00Z")["n"] == 0
    assert [len(listed(d, "--limit", "2")["letters"]), listed(d, "--limit", "2")["n"]] == [2, 5]

    # show
    text = run(d, "show", by_code["too_large"]["place"])
    assert "error      too_large" in text and "header     trace: \\x00\\x01" in text and "header     none has no value" in text
    assert 'key        C1' in text and '  "subject": "C1",\n' in text and "truncated" not in text
    assert "value      \\xFF\\x00not json" in run(d, "show", by_code["malformed"]["place"])
    shown = json.loads(run(d, "show", "--json", by_code["malformed"]["place"]))
    assert shown["value"] == {"base64": "/wBub3QganNvbg=="} and shown["key"] is None and shown["error"] == "malformed"
    assert "no record at 0:999" in run(d, "show", "0:999", code=65)

    # nothing is fixed but what misrouted means
    text = run(d, "replay", "--dry-run", code=65)
    assert f"would go to partition {home('C1')}, where its subject belongs" in text and "1 record would be replayed, 4 left" in text
    assert "it would be a dead letter again, invalid: data/amount: expected a number, found a string" in text
    assert listed(d)["replayed"] == 0 and not replayed(source_records(stack, d, topic))
    text = run(d, "replay", "--code", "misrouted")
    assert "1 record replayed" in text
    wait_for("the second order", 20, lambda: orders(d, "C1") == "n2")

    # more is fixed
    restart(d, max_event_bytes=100000, junk_subjects=["anonymous"])
    assert "2 records replayed, 2 left; 1 replayed before" in run(d, "replay", code=65)
    wait_for("the third order", 20, lambda: orders(d, "C1") == "n3")
    wait_for("the login of a customer called unknown", 20, lambda: d.tags("unknown").get("value.logins") == "n1")
    copy, = [m for m in replayed(source_records(stack, d, topic)) if len(m.value()) > FEW]
    assert copy.headers() == [*own, ("tagd_replayed_from", by_code["too_large"]["place"].encode())]
    assert copy.value().decode() == order(2, "C1", 3000) and copy.key() == b"C1"

    # nothing is replayed twice
    for again in ((), (by_code["too_large"]["place"],), ("--code", "misrouted")):
        assert "0 records replayed" in run(d, "replay", *again, code=65 if not again else 0)
    assert {letter["error"] for letter in listed(d)["letters"] if letter["replayed"]} == {"too_large", "misrouted", "junk_subject"}
    assert "no dead letter" in run(d, "replay", "0:999", code=65)
    marker = next(m for m in letters.messages if any(k == "tagd_replayed" for k, _ in m.headers()))
    assert "it says that one was replayed" in run(d, "show", f"{marker.partition()}:{marker.offset()}", code=65)

    # one that is a dead letter again says where it comes from
    later = dict(d.config, max_event_bytes=200000)
    path = d.folder + "/later.json"
    json.dump(later, open(path, "w"))
    send(stack, topic, [(order(9, "C2", 150000), "C2", None, None)])
    wait_for("its letter", 20, lambda: listed(d)["n"] == 6)
    assert "1 record replayed" in run(d, "replay", "--code", "too_large", config=path)
    wait_for("its letter again", 20, lambda: listed(d)["n"] == 7)
    first, second = listed(d, "--code", "too_large")["letters"][-2:]
    assert first["replayed"] and not second["replayed"]
    assert ["tagd_replayed_from", first["place"]] in json.loads(run(d, "show", "--json", second["place"]))["headers"]
    restart(d, max_event_bytes=200000)
    assert "1 record replayed" in run(d, "replay", second["place"])
    wait_for("its order", 20, lambda: orders(d, "C2") == "n1")
    assert orders(d, "C1") == "n3"


def test_what_cannot_be_replayed_is_refused_by_name(stack, daemon):
    d, topic = make(daemon, max_event_bytes=10000, kafka={"bootstrap.servers": stack.bootstrap, "message.max.bytes": "8000"})
    d.start()
    other = topic + ".gone"
    producer = stack.producer()

    def letter(code, source, **more):
        headers = {"tagd_error": code, "tagd_reason": "made by a test", "tagd_topic": source, "tagd_partition": "0", "tagd_offset": "7", "tagd_batch": "1.1.0", "tagd_group": d.name, **more}
        producer.produce(d.config["outputs"]["dead_letter"], order(1, "C1"), "C1", 0, headers=list(headers.items()))

    send(stack, topic, [(order(2, "C1", 20000), "C1", None, None)])
    wait_for("its letter", 20, lambda: listed(d)["n"] == 1)
    letter("invalid", other)
    letter("poison", topic)
    letter("invalid", topic, tagd_group="another", tagd_offset="8")
    letter("invalid", topic, tagd_partition="9")
    producer.flush()
    d.config["max_event_bytes"] = 100000
    d.write()
    text = run(d, "replay", code=65)
    assert "left: it was truncated, so its record isn't here" in text and "left: its topic is no source of this configuration" in text
    assert "left: its topic has no such partition any more" in text
    assert "0 records replayed, 3 left; 1 poison, which killed the daemon: replayed with --code poison or by place alone" in text
    assert "truncated  the first" in run(d, "show", listed(d, "--code", "too_large")["letters"][0]["place"])
    assert "1 record replayed" in run(d, "replay", "--code", "poison")


def test_an_event_without_a_time_keeps_that_of_its_record(stack, daemon):
    d, topic = make(daemon, max_event_bytes=FEW)
    d.start()
    timeless = json.loads(order(1, "C1", 3000))
    del timeless["time"]
    at = NOW - 86400000
    producer = stack.producer()
    producer.produce(topic, json.dumps(timeless), "C1", timestamp=at)
    producer.flush()
    wait_for("its letter", 20, lambda: listed(d)["n"] == 1)
    restart(d, max_event_bytes=100000)
    changes = d.reader()
    run(d, "replay")
    wait_for("its change", 20, lambda: changes.changes())
    copy, = replayed(source_records(stack, d, topic))
    assert copy.timestamp()[1] == at
    assert json.loads(d.reader().wait(1, 20)[0].value())["subject"] == "C1"


KILLS = ["rd_kafka_init_transactions:before:1", "rd_kafka_init_transactions:after:1", "rd_kafka_begin_transaction:after:1",
         "rd_kafka_header_add:after:8", "rd_kafka_header_add:after:150", "rd_kafka_commit_transaction:before:1", "rd_kafka_commit_transaction:after:1"]


def letters_of_many(stack, daemon, n):
    d, topic = make(daemon, max_event_bytes=FEW)
    d.start()
    send(stack, topic, [(order(i, f"C{i % 5}", 3000), f"C{i % 5}", None, None) for i in range(n)])
    wait_for("the letters", 30, lambda: listed(d)["n"] == n)
    restart(d, max_event_bytes=100000)
    return d, topic


def test_a_replay_that_is_killed_anywhere_goes_on_and_each_letter_counts_once(stack, daemon, shim):
    d, topic = letters_of_many(stack, daemon, 50)
    for i, at in enumerate(KILLS):
        place = listed(d)["letters"][i]["place"]  # also by place, also all
        done = subprocess.run([TAGD, "dead-letters", "replay", "--config", d.path, *([place] if i == 2 else [])], capture_output=True, text=True,
                              env={**os.environ, "LD_PRELOAD": shim, "KILL_AT": at}, timeout=60)
        assert done.returncode == -signal.SIGKILL, (at, done.stdout + done.stderr)
    assert "0 records replayed; 50 replayed before" in run(d, "replay")  # the last one died after its commit
    for customer in range(5):
        wait_for("its orders", 30, lambda: orders(d, f"C{customer}") == "n10")
    assert len(replayed(source_records(stack, d, topic))) == 50


def test_large_records_are_replayed_in_several_transactions(stack, daemon, shim):
    d, topic = make(daemon, max_event_bytes=FEW)
    d.start()
    send(stack, topic, [(order(i, "C1", 900000), "C1", None, None) for i in range(6)])
    wait_for("the letters", 30, lambda: listed(d)["n"] == 6)
    restart(d, max_event_bytes=1000000)
    done = subprocess.run([TAGD, "dead-letters", "replay", "--config", d.path], env={**os.environ, "LD_PRELOAD": shim, "KILL_AT": "rd_kafka_begin_transaction:before:2"}, timeout=60)
    assert done.returncode == -signal.SIGKILL
    assert "1 record replayed; 5 replayed before" in run(d, "replay")  # 4 MiB and one more
    wait_for("its orders", 30, lambda: orders(d, "C1") == "n6")


def test_two_replays_at_once_and_kills_at_any_time(stack, daemon):
    d, topic = letters_of_many(stack, daemon, 300)
    places = [letter["place"] for letter in listed(d)["letters"]]
    ends = []
    for i in range(8):
        some = places[i * 20:(i + 1) * 20]
        both = [subprocess.Popen([TAGD, "dead-letters", "replay", "--config", d.path, *some], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) for _ in range(2)]
        time.sleep(0.05 + 0.04 * i)
        if i % 3 == 0:
            both[0].kill()
        for process in both:
            process.wait(60)
        ends += [(process.returncode, process.stderr.read()) for process in both]
    assert all(code in (0, 69, -signal.SIGKILL) for code, _ in ends), ends
    assert all("another replay of group" in text or "transactional id" in text for code, text in ends if code == 69), ends
    assert listed(d)["replayed"] < 180
    run(d, "replay")  # the others, in more than one transaction
    for customer in range(5):
        wait_for("its orders", 30, lambda: orders(d, f"C{customer}") is not None)
    copies = [dict(m.headers())["tagd_replayed_from"].decode() for m in replayed(source_records(stack, d, topic))]
    assert sorted(copies) == sorted(places)
    print("ends:", sorted(code for code, _ in ends))


def test_markers_are_no_letters_to_a_repair(stack, daemon):
    """Redis goes back to before the letters and the replay: what was replayed counts once, and nothing is published twice."""
    d, topic = make(daemon, max_event_bytes=FEW)
    d.start()
    changes, letters = d.reader(), d.reader("dead_letter")
    send(stack, topic, [(order(1, "C1"), "C1", None, None)])
    wait_for("the first", 20, lambda: orders(d, "C1") == "n1")
    copy = stack.copy_redis()
    send(stack, topic, [(order(2, "C1", 3000), "C1", None, None)])
    wait_for("its letter", 20, lambda: listed(d)["n"] == 1)
    restart(d, max_event_bytes=100000)
    run(d, "replay")
    wait_for("the second", 20, lambda: orders(d, "C1") == "n2")
    d.kill()
    stack.roll_back_redis(copy)
    d.start()
    wait_for("the second, again", 30, lambda: orders(d, "C1") == "n2")
    assert d.metrics()["tagd_repairs_begun_total"] >= 1
    send(stack, topic, [(order(3, "C1"), "C1", None, None)])
    wait_for("the third", 20, lambda: orders(d, "C1") == "n3")
    assert [json.loads(m.value())["data"]["revision"] for m in changes.wait(3, 20)] == [1, 2, 3]
    assert listed(d)["n"] == 1 and len(letters.messages) == 2  # and the marker


def test_a_repair_waits_for_the_transaction_of_a_replay_that_was_killed(stack, daemon, shim):
    """It hides letters that were published behind it: one that the repair doesn't see would be applied, and be replayed too."""
    d, topic = make(daemon, max_event_bytes=FEW)
    d.start()
    here = home("C1")
    away = next(customer for customer in ("N1", "N2", "N3", "N4", "N5") if home(customer) != here)
    send(stack, topic, [(order(1, away), away, here, None)])
    wait_for("the misrouted one", 20, lambda: listed(d)["n"] == 1)
    copy = stack.copy_redis()
    done = subprocess.run([TAGD, "dead-letters", "replay", "--config", d.path], env={**os.environ, "LD_PRELOAD": shim, "KILL_AT": "rd_kafka_commit_transaction:before:1"}, timeout=60)
    assert done.returncode == -signal.SIGKILL
    send(stack, topic, [(order(2, "C1", 3000), "C1", None, None)])
    wait_for("its letter", 20, lambda: d.metrics()['tagd_dead_letters_total{code="too_large"}'] == 1)
    time.sleep(0.5)
    d.kill()
    stack.roll_back_redis(copy)
    d.config.update(max_event_bytes=100000)
    d.write()
    d.start()
    wait_for("the repair is over", 40, lambda: d.metrics()["tagd_repairs_total"] >= 1 and d.is_ready())
    assert orders(d, "C1") is None
    assert "2 records replayed" in run(d, "replay")
    for customer in ("C1", away):
        wait_for("its order", 20, lambda: orders(d, customer) == "n1")
