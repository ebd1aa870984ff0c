"""The daemon's log: in JSON, by level, in a file that is rotated while it runs, and without secrets."""
import json
import os
import signal
import time

from shop import CATALOG
from stack import event, free_port, wait_for

SECRET = "hunter2-in-plain-sight"


def lines_of(path):
    return open(path).read().splitlines() if os.path.exists(path) else []


def said(path):
    """Every line, each of which must be a JSON object with what all have."""
    out = [json.loads(line) for line in lines_of(path)]
    for line in out:
        assert line["time"].endswith("Z") and line["level"] in ("info", "warn", "error") and line["msg"], line
    return out


def find(path, **wanted):
    return next((line for line in said(path) if all(wanted[k] in str(line.get(k)) for k in wanted)), None)


def login(stack, d, customer="C1"):
    producer = stack.producer()
    producer.produce(d.config["sources"][0]["topic"], json.dumps(event("e" + customer, "login", customer, time.time_ns() // 10**6)), customer)
    producer.flush()


def test_lines_of_json_have_the_shard_and_a_rotated_file_is_left_on_a_hangup(stack, daemon):
    d = daemon(CATALOG, log={"format": "json", "file": "tagd.json.log"}, grace="0s")
    path, old = d.folder + "/tagd.json.log", d.folder + "/tagd.json.log.1"
    d.create_topics(2)
    d.start()
    reader = d.reader()
    login(stack, d)
    reader.wait(1, 30)
    started = find(path, msg="started")
    assert started["group"] == d.name and started["shards"] == 2 and started["level"] == "info"

    # a foreign hand takes a shard: the next commit is fenced, and the line says which shard it was
    for head in stack.redis.scan_iter(match=d.name + ":*:fence"):
        stack.redis.incrby(head, 1)
    fenced = wait_for("the shard is told", 40, lambda: find(path, msg="Redis no longer has it") or find(path, msg="another owner") or find(path, msg="this process had left it"))
    assert fenced["shard"] in (0, 1) and fenced["batch"] >= 0 and fenced["level"] == "warn" and f"shard {fenced['shard']}" in fenced["msg"]

    os.rename(path, old)
    login(stack, d, "C2")
    reader.wait(2, 30)
    assert not os.path.exists(path)
    d.process.send_signal(signal.SIGHUP)
    wait_for("the new file", 10, lambda: find(path, msg="the log file was opened anew"))
    known = lines_of(old)
    login(stack, d, "C3")
    reader.wait(3, 30)
    d.stop()
    assert lines_of(old) == known and find(path, msg="stopping on a signal") and said(path)[-1]["msg"] == "stopped"
    assert lines_of(d.log) == []  # nothing stands on standard error


def test_a_hangup_without_a_file_changes_nothing(daemon):
    d = daemon(CATALOG)
    d.create_topics(1)
    d.start()
    for _ in range(3):
        d.process.send_signal(signal.SIGHUP)
        time.sleep(0.3)
    assert d.is_ready()
    d.stop()


def test_what_is_below_the_level_is_not_there(stack, daemon):
    d = daemon(CATALOG, log={"format": "json", "level": "error"})
    d.create_topics(1)
    d.start()
    d.stop()
    assert lines_of(d.log) == []
    d.config["log"]["level"] = "warn"
    d.config["redis"]["url"] = f"redis://127.0.0.1:{free_port()}"
    d.write()
    d.start(ready=False)
    assert d.process.wait(40) == 69
    lines = said(d.log)  # also the last one: on standard error there is nothing but JSON
    assert {line["level"] for line in lines} == {"warn", "error"} and lines[-1]["exit"] == 69
    assert "is out of reach" in lines[-1]["msg"] and 'correct "redis.url"' in lines[-1]["msg"]


def test_a_server_that_stays_away_is_told_a_few_times_a_minute(stack, daemon):
    d = daemon(CATALOG, log={"format": "json"}, grace="0s")
    d.create_topics(2)
    d.start()
    stack.stop_redis()
    try:
        for i in range(8):
            login(stack, d, f"C{i}")
            time.sleep(0.5)
        wait_for("it is told", 20, lambda: find(d.log, msg="Redis", level="warn"))
        time.sleep(5)
    finally:
        stack.start_redis()
    wait_for("ready again", 40, d.is_ready)
    d.stop()
    kinds = {}
    for line in said(d.log):
        if line["level"] == "warn" and "left_out" not in line:
            kind = " ".join("".join(c for c in line["msg"] if not c.isdigit()).split(" ")[:5])
            kinds[kind] = kinds.get(kind, 0) + 1
    assert kinds and max(kinds.values()) <= 6, kinds
    left_out = [line for line in said(d.log) if "left_out" in line]
    assert left_out and all(line["msg"].startswith(f"and {line['left_out']:,} more like it: ") for line in left_out)
    print(f"lines by kind: {kinds}; left out: {[(line['left_out'], line['msg'][:60]) for line in left_out]}")


def test_no_secret_of_the_configuration_is_in_the_log(stack, daemon):
    d = daemon(CATALOG, log={"format": "json"})
    d.create_topics(1)
    d.config["kafka"] |= {"debug": "all", "sasl.username": "us", "sasl.password": SECRET, "ssl.key.password": SECRET,
                          "sasl.oauthbearer.config": "token=" + SECRET}
    d.write()
    d.start()
    d.stop()
    assert find(d.log, msg="started") and SECRET not in open(d.log).read()
