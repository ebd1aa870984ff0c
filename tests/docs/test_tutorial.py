"""The tutorial and the example consumer, on a real broker and a real Redis."""
import json
import os
import re
import subprocess
import sys
import time

import pytest

import runner
import stack as stack_module
from stack import event, free_port, wait_for
from validators import ROOT, SCHEMAS

CATALOG = {"catalog": "shop", "version": "1", "events": {"login": {}}, "dimensions": {
    "behaviour.activity": {"tags": [{"tag": "active", "when": "count(login) >= 2"}, {"tag": "new", "when": "true"}]}}}


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    made = stack_module.Stack(tmp_path_factory.mktemp("stack"))
    yield made
    made.stop()


def addresses(stack):
    return {"127.0.0.1:9092": stack.bootstrap, "127.0.0.1:6379": f"127.0.0.1:{stack.redis_port}", "127.0.0.1:9464": f"127.0.0.1:{free_port()}"}


def test_every_command_of_the_tutorial(stack, tmp_path):
    run = runner.Runner(tmp_path, addresses(stack))
    done = run.document(os.path.join(ROOT, "deploy/tutorial.md"))
    assert done["commands"] >= 10 and done["outputs"] >= 8 and done["files"] == 3


def test_every_command_of_the_small_history(stack, tmp_path):
    done = runner.Runner(tmp_path, addresses(stack)).document(os.path.join(ROOT, "deploy/history.md"))
    assert done == {"files": 4, "commands": 4, "outputs": 3}


def test_records_from_the_future_and_misrouted_ones_get_the_reasons_shown(stack):
    shown = dict(re.findall(r"^(future|misrouted): (.*)$", open(SCHEMAS + "/events-in.md").read(), re.MULTILINE))
    d = stack_module.Daemon(stack, "reasons", CATALOG, ["reasons.events"])
    d.create_topics(2)
    d.start()
    try:
        producer, now = stack.producer(), time.time_ns() // 1000000
        producer.produce("reasons.events", json.dumps(event("e1", "login", "C1", now + 86400000)), "C1")
        for i in range(8):  # murmur2 puts some of them into the other partition, and crc32 some of those here
            producer.produce("reasons.events", json.dumps(event(f"m{i}", "login", f"C{i}", now)), None, 0)
        producer.flush()
        reader = d.reader("dead_letter")
        wait_for("both codes", 20, lambda: {dict(m.headers())["tagd_error"] for m in reader.messages} >= {b"future", b"misrouted"})
        reader.stop()
        found = {}
        for message in reader.messages:
            told = {k: v.decode() for k, v in message.headers()}
            found.setdefault(told["tagd_error"], set()).add(re.sub(r"\d{4}-[\dT:.-]+Z", "2026-12-01T00:00:00.000Z", told["tagd_reason"]))
        assert {code for code in shown if shown[code] in found[code]} == {"future", "misrouted"}, found
    finally:
        d.stop()


def test_the_example_consumer_drops_repeats_and_acts_on_what_is_fresh(stack, tmp_path):
    run = runner.Runner(tmp_path, addresses(stack))
    for block in runner.blocks(os.path.join(SCHEMAS, "events-out.md")):
        if block.values.get("file") == "consumer.py":
            run.block(block)
    source = open(tmp_path / "consumer.py").read().replace('"tagd.tag-changes"', '"consumer.changes"')
    (tmp_path / "consumer.py").write_text(source)
    assert len([line for line in source.splitlines() if line.strip()]) <= 25

    d = stack_module.Daemon(stack, "consumer", CATALOG, ["consumer.events"])
    d.create_topics(1)
    d.start()
    consumer = None
    try:
        producer, now = stack.producer(), time.time_ns() // 1000000
        old = now - 86400000  # applied late: an old change, which is kept but not acted on
        producer.produce("consumer.events", json.dumps(event("e0", "login", "C0", old)), "C0")
        for i in range(2):
            producer.produce("consumer.events", json.dumps(event(f"e{i + 1}", "login", "C1", now)), "C1")
        producer.flush()
        reader = d.reader()
        messages = reader.wait(3, 30)
        reader.stop()
        for message in messages[:2]:  # a repeat, as at_least_once may bring it
            producer.produce("consumer.changes", message.value(), message.key(), headers=message.headers())
        gap = json.loads(messages[-1].value())
        gap["data"]["revision"] += 2
        producer.produce("consumer.changes", json.dumps(gap), messages[-1].key())
        producer.flush()
        out = open(tmp_path / "out", "w+")
        consumer = subprocess.Popen([sys.executable, str(tmp_path / "consumer.py")], stdout=out)
        lines = wait_for("its lines", 60, lambda: len(found := open(tmp_path / "out").read().splitlines()) >= 5 and found)
        by_gap = [line for line in lines if "missed" in line]
        assert by_gap == ["C1: changes 3 to 3 were missed; go on from {'behaviour.activity': 'active'}"]
        verbs = [line for line in lines if "missed" not in line]
        assert len(verbs) == 4, lines
        assert {line.split(": ", 1)[1] for line in verbs[:3]} == {"C0 behaviour.activity: None -> new", "C1 behaviour.activity: None -> new",
                                                                   "C1 behaviour.activity: new -> active"}
        assert [line.split(":")[0] for line in verbs if "C0" in line] == ["keep"]
        assert [line.split(":")[0] for line in verbs if "C1" in line] == ["act"] * 3
    finally:
        if consumer is not None:
            consumer.kill()
            consumer.wait()
        d.stop()
