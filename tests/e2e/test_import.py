"""History from files, then the stream: killed, resumed, refused; CDNOW's first year imported and the rest live."""
import json
import os
import random
import signal
import subprocess
import time

import pytest
from confluent_kafka import Consumer, TopicPartition

import cdnow
from stack import ROOT, TAGD, by_customer, event, final_view, free_port, meaning, simulate, wait_for

DATA = os.path.join(ROOT, "build/data/lifetimes/datasets/CDNOW_master.txt")
UNTIL = "1998-01-01T00:00:00.000Z"
OVERLAP = "1997-12-01T00:00:00.000Z"  # the stream begins here: a month that the history has too
T0 = 1795500000000
CATALOG = {"catalog": "shop", "version": "1", "events": {"login": {}, "order.paid": {"fields": {"amount": "decimal"}, "dedupe": "7d"}},
           "dimensions": {"b.activity": {"tags": [{"tag": "lost", "when": "since(login) > 1h"}, {"tag": "active", "when": "true"}]}}}


def write(path, events):
    with open(path, "w") as file:
        file.writelines((e if isinstance(e, str) else json.dumps(e)) + "\n" for e in events)
    return str(path)


def at(ms):
    return event("", "", "", ms)["time"]


def import_command(d, files, until):
    return [TAGD, "import", "--config", d.path, "--until", until, *map(str, files)]


def run_import(d, files, until):
    return subprocess.run(import_command(d, files, until), capture_output=True, text=True)


def heads(stack, d):
    found = [stack.redis.get(f"{d.name}:{{{d.name}:{p}}}:head") for p in range(d.partitions)]
    return [h.split() if h else None for h in found]


def baseline(head):
    """(identity, finished, before, lines, events, duplicates, ignored, customers)"""
    at = head.index("import")
    return (head[at + 1], *map(int, head[at + 2:]))


def lines_done(stack, d):
    return max((baseline(h)[3] for h in heads(stack, d) if h), default=0)


def store(stack, d):
    """All that the group keeps, but fences, heads and names of its own."""
    out = {}
    raw = stack.redis.__class__(port=stack.redis_port)
    for key in raw.scan_iter(match=f"{d.name}:*", count=10000):
        name = key.decode().replace(d.name, "")
        kind = raw.type(key)
        if name.endswith((":fence", ":head", ":group", ":sources")):
            continue
        out[name] = raw.get(key) if kind == b"string" else raw.hgetall(key) if kind == b"hash" else dict(raw.zrange(key, 0, -1, withscores=True))
    return out


def begin_import(stack, d, file, until):
    """An import that has committed something and goes on."""
    process = subprocess.Popen(import_command(d, [file], until), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_for("it has begun", 30, lambda: process.poll() is not None or lines_done(stack, d) > 0, 0.002)
    assert process.poll() is None, process.communicate()
    return process


def logins(n):
    return [event(f"e{i}", "login", f"C{i % 700}", T0 + i) for i in range(n)]


def killed_and_resumed(stack, d, files, until, kills, seed):
    """Runs the import, killed so many times at random moments, then to its end."""
    rng, positions = random.Random(seed), []
    while len(positions) < kills:
        seen = lines_done(stack, d)
        process = subprocess.Popen(import_command(d, files, until), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for("it goes on", 60, lambda: process.poll() is not None or lines_done(stack, d) > seen, 0.002)
        time.sleep(rng.random() * 0.1)
        assert process.poll() is None, "it was over before it could be killed"
        process.send_signal(signal.SIGKILL)
        process.wait()
        positions.append(lines_done(stack, d))
    assert any(baseline(h)[1] == 0 for h in heads(stack, d))
    return positions


def test_cdnow_first_year_imported_and_the_rest_live_is_as_all_live(stack, daemon, tmp_path):
    events = cdnow.records(DATA)
    past, stream = [e for e in events if e["time"] < UNTIL], [e for e in events if e["time"] >= OVERLAP]
    overlap = sum(e["time"] < UNTIL for e in stream)
    assert len(past) > 50000 and overlap > 1000
    files = [write(tmp_path / "a.jsonl", past[::2]), write(tmp_path / "b.jsonl", past[1::2] + events[-100:])]

    whole = daemon(cdnow.CATALOG, time="events", grace="0s", batch_events=300)
    whole.create_topics(4)
    ran = run_import(whole, files, UNTIL)
    assert ran.returncode == 0, ran.stderr
    subjects = {e["subject"] for e in past}
    assert f"{len(past) + 100} lines: {len(past)} events applied, 0 duplicates" in ran.stdout, ran.stdout
    assert f"100 at or after {UNTIL}, 0 bad; {len(subjects)} customers in 4 of 4 shards" in ran.stdout, ran.stdout

    d = daemon(cdnow.CATALOG, time="events", grace="0s", batch_events=300)
    d.create_topics(4)
    positions = killed_and_resumed(stack, d, files, UNTIL, 6, 5)
    d.start(ready=False)
    assert d.process.wait(30) == 78 and "isn't finished in 4 of 4 shards" in open(d.log).read()
    resumed = run_import(d, files, UNTIL)
    assert resumed.returncode == 0 and f"goes on after line {positions[-1]}" in resumed.stderr
    assert resumed.stdout.rsplit(",", 1)[0] == ran.stdout.rsplit(",", 1)[0]  # all but the seconds
    assert store(stack, d) == store(stack, whole)
    for output in d.config["outputs"].values():
        assert stack.ends(output, 4, committed=False) == [0, 0, 0, 0]

    wanted = simulate(tmp_path, cdnow.CATALOG, events, until=cdnow.UNTIL)
    told = {c: [x for x in changes if x["time"] >= UNTIL] for c, changes in wanted.items()}
    told = {c: changes for c, changes in told.items() if changes}
    topic, producer = d.config["sources"][0]["topic"], stack.producer()
    for record in stream:
        producer.produce(topic, json.dumps(record), record["subject"])
        producer.poll(0)
    for partition in range(4):
        producer.produce(topic, json.dumps({**event(f"end{partition}", "end", "nobody", 0), "time": cdnow.UNTIL}), None, partition)
    producer.flush()
    total = sum(map(len, told.values()))
    reader = d.reader()
    d.start()
    reader.wait(total, 120)
    found = by_customer(reader.changes())
    metrics = d.metrics()
    assert metrics['tagd_ignored_total{reason="before_baseline"}'] == overlap
    assert metrics['tagd_ignored_total{reason="undeclared"}'] == 1 and metrics["tagd_events_total"] == len(stream) - overlap
    assert metrics['tagd_takeovers_total{found="new"}'] == 4
    d.stop()
    assert len(reader.messages) == total and found.keys() == told.keys()

    def unnumbered(change):
        out = meaning(change)
        return {**out, "id": None, "data": {**out["data"], "revision": None}}
    for customer, changes in told.items():
        assert [c["data"]["revision"] for c in found[customer]] == list(range(1, len(changes) + 1)), customer
        assert [unnumbered(c) for c in found[customer]] == [unnumbered(c) for c in changes], customer
    views = {c: stack.redis.hgetall(f"{d.name}:tags:{c}") for c in wanted}
    silent = 0
    for customer, changes in wanted.items():
        revision = len(told.get(customer, []))
        silent += revision == 0
        assert views[customer] == {**final_view(changes), "_revision": str(revision)}, customer
    print(f"{len(past)} events imported, killed after {positions} lines; {overlap} of {len(stream)} stream events ignored; {total} changes of {len(told)} "
          f"customers and {len(views)} views ({silent} never told of) compared with all live: 0 differences")


def test_what_is_and_is_not_history(stack, daemon, tmp_path):
    d = daemon(CATALOG)
    d.create_topics(3)
    until = T0 + 10_000_000 if T0 + 10_000_000 < time.time() * 1000 else int(time.time() * 1000) - 1000
    order = event("o", "order.paid", "C1", until - 9_000_000, {"amount": 1})
    files = [write(tmp_path / "x", [order, "{not json", "", event("l", "login", "C1", until - 1), event("m", "login", "C2", until)]),
             write(tmp_path / "y", [order, event("u", "unheard.of", "C3", until - 8_000_000), event("n", "login", "C4", until - 7_200_000),
                                    {k: v for k, v in event("t", "login", "C4", 0).items() if k != "time"}])]
    ran = run_import(d, files, at(until))
    assert ran.returncode == 65
    assert f"imported: 8 lines: 3 events applied, 1 duplicates, 1 ignored (types the catalog does not declare), 1 at or after {at(until)}, 2 bad; " \
           "2 customers in" in ran.stdout
    bad = [json.loads(line) for line in ran.stderr.splitlines() if line.startswith("{")]
    assert [(b["file"], b["line"], b["error"]) for b in bad] == [(files[0], 2, "malformed"), (files[1], 4, "invalid")]
    assert "the import is complete, without 2 bad lines" in ran.stderr
    assert d.tags("C1") == {"b.activity": "active", "_revision": "0", "_at": str(until - 9_000_000)}
    assert d.tags("C4") == {"b.activity": "lost", "_revision": "0", "_at": str(until - 7_200_000 + 3_600_001)}
    assert not d.tags("C2") and not d.tags("C3")
    for head in heads(stack, d):  # shards without customers too
        assert baseline(head)[1:3] == (1, until) and int(head[5]) == until - 1
    told = d.explain("C1").stdout
    assert f"baseline   {at(until)}: earlier events came by an import, the stream's are ignored" in told
    again = run_import(d, files, at(until))
    assert again.returncode == 65 and "complete already" in again.stderr and again.stdout.split(" s\n")[0].rsplit(",", 1)[0] == ran.stdout.rsplit(",", 1)[0]
    d.start()
    d.stop()
    assert d.tags("C4")["_revision"] == "0"


def test_a_customer_of_the_history_falls_silent_live(stack, daemon, tmp_path):
    d = daemon(CATALOG)
    d.create_topics(1)
    now = int(time.time() * 1000)
    file = write(tmp_path / "x", [event("l", "login", "C1", now - 3_600_000 + 6000)])
    assert run_import(d, [file], at(now - 1000)).returncode == 0
    reader = d.reader()
    d.start()
    reader.wait(1, 30)
    change = reader.changes()[0]
    assert change["time"] == at(now + 6001) and change["data"]["from"] == "active" and change["data"]["to"] == "lost" and change["id"] == "tag:C1:1"
    d.stop()


def test_more_customers_fall_silent_at_the_end_than_a_batch_holds(stack, daemon, tmp_path):
    d = daemon(CATALOG, time="events")
    d.create_topics(1)
    n = 11000  # a batch looks at 5,000 for time alone
    file = write(tmp_path / "x", [event(f"e{i}", "login", f"C{i}", T0 + i % 5) for i in range(n)])
    ran = run_import(d, [file], at(T0 + 7_200_000))
    assert ran.returncode == 0 and f"{n} customers in 1 of 1 shards" in ran.stdout
    pipe = stack.redis.pipeline(transaction=False)
    for i in range(n):
        pipe.hgetall(f"{d.name}:tags:C{i}")
    for i, view in enumerate(pipe.execute()):
        assert view == {"b.activity": "lost", "_revision": "0", "_at": str(T0 + i % 5 + 3_600_001)}


def test_attributes_and_drawn_tags_of_the_history_are_as_simulated(stack, daemon, tmp_path):
    catalog = {"catalog": "shop", "version": "1", "attributes": {"region": "string", "birthday": "date"},
               "events": {"order.paid": {"fields": {"amount": "decimal", "category": "string"}, "dedupe": "1d"}, "login": {}},
               "dimensions": {"need.category": {"value": "top(category, order.paid[30d])"}, "who.region": {"value": "attr.region"},
                              "who.birthday": {"tags": [{"tag": "soon", "when": "days_until(attr.birthday) <= 30"}]},
                              "b.days": {"tags": [{"tag": "often", "when": "days(login[7d]) >= 2"}, {"tag": "seldom", "when": "true"}]}}}
    rng, events, ms = random.Random(4), [], T0 - 60 * 86_400_000
    for i in range(4000):
        ms += rng.randint(1, 2_000_000)
        subject = f"C{rng.randrange(60)}"
        kind = rng.choice(["order.paid", "login", "profile.updated"])
        data = {"order.paid": {"amount": 5, "category": rng.choice(["tea", "rice", "茶"])}, "login": {},
                "profile.updated": {"attributes": rng.choice([{"region": "north"}, {"region": None}, {"birthday": "1990-12-05"}])}}[kind]
        events.append(event(f"e{i}", kind, subject, ms, data))
    until = ms + 40 * 86_400_000
    d = daemon(catalog, time="events", batch_events=500)
    d.create_topics(3)
    assert run_import(d, [write(tmp_path / "x", events)], at(until)).returncode == 0
    wanted = simulate(tmp_path, catalog, events, until=at(until - 1))
    kinds = set()
    for customer, changes in wanted.items():
        assert d.tags(customer) == {**final_view(changes), "_revision": "0"}, customer
        kinds |= set(changes[-1]["data"]["tags"].items())
    assert {("who.region", "north"), ("b.days", "seldom")} <= kinds and len(wanted) == 60


@pytest.mark.parametrize("what", ["empty", "all-after"])
def test_no_history_is_a_baseline_too(stack, daemon, tmp_path, what):
    d = daemon(CATALOG, time="events")
    d.create_topics(2)
    file = write(tmp_path / "x", [] if what == "empty" else [event("l", "login", "C1", T0)])
    ran = run_import(d, [file], at(T0))
    assert ran.returncode == 0 and "0 customers in 0 of 2 shards" in ran.stdout
    assert [baseline(h)[1:3] for h in heads(stack, d)] == [(1, T0)] * 2


def test_a_group_that_runs_or_ran_is_refused(stack, daemon, tmp_path):
    d = daemon(CATALOG, time="events")
    d.create_topics(1)
    file = write(tmp_path / "x", [event("l", "login", "C1", T0)])
    d.start()
    ran = run_import(d, [file], at(T0 + 1))
    assert ran.returncode == 78 and "is running: it has 1 member" in ran.stderr and "stop it first" in ran.stderr
    producer = stack.producer()
    producer.produce(d.config["sources"][0]["topic"], json.dumps(event("m", "login", "C1", T0)), "C1")
    producer.flush()
    wait_for("its tags", 30, lambda: d.tags("C1"))
    d.stop()
    wait_for("it has left", 30, lambda: "is running" not in (told := run_import(d, [file], at(T0 + 1))).stderr and told)
    ran = run_import(d, [file], at(T0 + 1))
    assert ran.returncode == 78 and "shard 0 has state already: the daemon committed batch 1 there" in ran.stderr and "new \"group\"" in ran.stderr
    for key in stack.redis.scan_iter(match=f"{d.name}:*"):
        stack.redis.delete(key)
    ran = run_import(d, [file], at(T0 + 1))
    assert ran.returncode == 78 and "has committed offsets already" in ran.stderr and "new \"group\"" in ran.stderr
    d.config["redis"]["prefix"] += "other:"
    d.config["group"] += "-other"  # its past is in the output topics alone
    d.write()
    consumer = Consumer({"bootstrap.servers": stack.bootstrap, "group.id": d.config["group"], "enable.auto.commit": False})
    consumer.commit(offsets=[TopicPartition(d.config["sources"][0]["topic"], 0, 1)], asynchronous=False)
    consumer.close()
    ran = run_import(d, [file], at(T0 + 1))
    assert ran.returncode == 78 and "has committed offsets already" in ran.stderr


def test_outputs_of_an_earlier_life_are_refused(stack, daemon, tmp_path):
    d = daemon(CATALOG, time="events")
    d.create_topics(2)
    producer = stack.producer()
    producer.produce(d.config["outputs"]["tag_changes"], b"{}", "C1", 1, headers={"tagd_group": d.name, "tagd_batch": "3.7.0"})
    producer.flush()
    ran = run_import(d, [write(tmp_path / "x", [event("l", "login", "C1", T0)])], at(T0 + 1))
    assert ran.returncode == 78 and "partition 1 of its output topics holds its batch 7" in ran.stderr


def test_another_import_is_refused_and_a_run_waits_for_the_one_begun(stack, daemon, tmp_path):
    d = daemon(CATALOG, time="events", batch_events=50)
    d.create_topics(2)
    events = logins(30000)
    file = write(tmp_path / "x", events)
    killed_and_resumed(stack, d, [file], at(T0 + 40000), 1, 3)
    position = lines_done(stack, d)
    for files, until, why in [([file], at(T0 + 40001), "with --until " + at(T0 + 40000)),
                              ([write(tmp_path / "y", events[:-1])], at(T0 + 40000), "files of other contents"),
                              ([file, write(tmp_path / "z", [])], at(T0 + 40000), "files of other contents")]:
        ran = run_import(d, files, until)
        assert ran.returncode == 78 and why in ran.stderr and "run that one again" in ran.stderr, ran.stderr
    catalog = json.load(open(d.config["catalog"]))
    json.dump({**catalog, "dimensions": {"c.activity": catalog["dimensions"]["b.activity"]}}, open(d.config["catalog"], "w"))
    ran = run_import(d, [file], at(T0 + 40000))
    assert ran.returncode == 78 and "with another catalog" in ran.stderr
    json.dump(catalog, open(d.config["catalog"], "w"))
    d.start(ready=False)
    assert d.process.wait(30) == 78
    assert "isn't finished in 2 of 2 shards; run the same \"tagd import\" again" in open(d.log).read()
    assert lines_done(stack, d) == position
    stack.redis.set(f"{d.name}:{{{d.name}:1}}:fence", 1000)  # as if another process had come in between
    ran = run_import(d, [file], at(T0 + 40000))
    assert ran.returncode == 0 and "700 customers in 2 of 2 shards" in ran.stdout and "30000 events applied" in ran.stdout


def test_an_import_that_stood_still_while_another_went_on_ends_and_says_so(stack, daemon, tmp_path):
    d = daemon(CATALOG, time="events", batch_events=50)
    d.create_topics(2)
    file = write(tmp_path / "x", logins(30000))
    first = begin_import(stack, d, file, at(T0 + 40000))
    first.send_signal(signal.SIGSTOP)
    second = run_import(d, [file], at(T0 + 40000))
    kept = store(stack, d)
    first.send_signal(signal.SIGCONT)
    told = first.communicate(timeout=60)[1]
    assert first.returncode == 69 and "a second import, works on the same group" in told and "it goes on where it stopped" in told
    assert second.returncode == 0 and "30000 events applied" in second.stdout and "700 customers" in second.stdout
    assert store(stack, d) == kept and all(baseline(h)[1] == 1 for h in heads(stack, d))


def test_redis_restarts_while_it_imports(stack, daemon, tmp_path):
    d = daemon(CATALOG, time="events", batch_events=50)
    d.create_topics(2)
    file = write(tmp_path / "x", logins(30000))
    process = begin_import(stack, d, file, at(T0 + 40000))
    stack.stop_redis()
    stack.start_redis()
    out, told = process.communicate(timeout=120)
    assert process.returncode == 0, told
    assert "trying again" in told and "30000 events applied" in out and "700 customers" in out


def test_a_redis_user_without_a_right_ends_the_import_and_says_which(stack, daemon, tmp_path):
    d = daemon(CATALOG)
    d.create_topics(2)
    file = write(tmp_path / "x", logins(50))
    for command in ["zadd", "mget"]:
        stack.redis.execute_command("ACL", "SETUSER", "bob", "reset", "on", ">pw", "~*", "+@all", "-" + command)
        d.config["redis"]["url"] = f"redis://bob:pw@127.0.0.1:{stack.redis_port}"
        d.write()
        ran = subprocess.run(import_command(d, [file], at(T0 + 1000)), capture_output=True, text=True, timeout=20)
        assert ran.returncode == 78 and f"NOPERM this user has no permissions to run the '{command}' command" in ran.stderr
        assert f'give our Redis user the commands that deploy/security.md lists on the keys under "{d.name}:"' in ran.stderr
        assert "trying again" not in ran.stderr
    stack.redis.execute_command("ACL", "DELUSER", "bob")
    d.config["redis"]["url"] = f"redis://127.0.0.1:{stack.redis_port}"
    d.write()
    assert run_import(d, [file], at(T0 + 1000)).returncode == 0


def test_an_import_that_begins_and_gets_no_further_ends_after_a_minute(stack, daemon, tmp_path):
    d = daemon(CATALOG)
    d.create_topics(2)
    port, log = free_port(), open(tmp_path / "log", "w")
    server = subprocess.Popen(["redis-server", "--port", str(port), "--save", "", "--dir", str(tmp_path), "--rename-command", "ZADD", ""], stdout=log)
    try:
        d.config["redis"]["url"] = f"redis://127.0.0.1:{port}"
        d.write()
        started = time.monotonic()
        ran = subprocess.run(import_command(d, [write(tmp_path / "x", logins(50))], at(T0 + 1000)), capture_output=True, text=True, timeout=100)
        assert ran.returncode == 69 and 60 <= time.monotonic() - started < 75
        assert "unknown command 'ZADD'" in ran.stderr.splitlines()[-1] and "it goes on where it stopped" in ran.stderr.splitlines()[-1]
    finally:
        server.terminate()
        server.wait()


def test_a_file_that_changes_while_it_is_imported_is_refused(stack, daemon, tmp_path):
    d = daemon(CATALOG, time="events", batch_events=20)
    d.create_topics(2)
    file = write(tmp_path / "x", logins(30000))
    process = begin_import(stack, d, file, at(T0 + 40000))
    with open(file, "a") as more:
        more.write(json.dumps(event("more", "login", "C1", T0)) + "\n")
    told = process.communicate(timeout=120)[1]
    assert process.returncode == 65 and "it changed while it was imported" in told
    assert all(baseline(h)[1] == 0 for h in heads(stack, d))
    ran = run_import(d, [file], at(T0 + 40000))
    assert ran.returncode == 78 and "files of other contents" in ran.stderr


def test_command_lines_and_configurations_that_are_wrong(stack, daemon, tmp_path):
    d = daemon(CATALOG)
    d.create_topics(1)
    file = write(tmp_path / "x", [event("l", "login", "C1", T0)])
    for arguments, code, why in [
            ([], 64, "import wants --config FILE, --until TIME and files"),
            (["--config", d.path, "--until", "2020-01-01T00:00:00Z"], 64, "import wants"),
            (["--config", d.path, file], 64, "import wants"),
            (["--config", d.path, "--until", "yesterday", file], 64, "expected a time such as"),
            (["--config", d.path, "--until", "2999-01-01T00:00:00Z", file], 64, "has not come yet"),
            (["--config", d.path, "--until", "2020-01-01T00:00:00Z", "-"], 64, "standard input can't be read again"),
            (["--config", d.path, "--until", "2020-01-01T00:00:00Z", file, file], 64, "are the same file"),
            (["--config", d.path, "--until", "2020-01-01T00:00:00Z", *["x"] * 257], 64, "257 files; at most 256 are taken"),
            (["--config", d.path, "--until", "2020-01-01T00:00:00Z", "--force", file], 64, "unexpected \"--force\""),
            (["--config", d.path, "--until", "2020-01-01T00:00:00Z", str(tmp_path / "none")], 65, "No such file"),
            (["--config", d.path, "--until", "2020-01-01T00:00:00Z", str(tmp_path)], 65, "not a file that can be read again"),
            (["--config", str(tmp_path / "none"), "--until", "2020-01-01T00:00:00Z", file], 78, "No such file")]:
        ran = subprocess.run([TAGD, "import", *arguments], capture_output=True, text=True)
        assert ran.returncode == code and why in ran.stderr and ran.stderr.count("\n") == 1, (arguments, ran)
    many = [write(tmp_path / f"many{i}", []) for i in range(256)]
    other = daemon(CATALOG, sources=("a", "b"))
    other.create_topics(1)
    assert run_import(other, many, "2020-01-01T00:00:00Z").returncode == 0
    for sources, why in [([{"partitioner": "none"}, {}], "partitioner \"none\""), ([{}, {"partitioner": "crc32"}], "different partitioners")]:
        other.config["sources"] = [{"topic": f"{other.name}.{s}", **more} for s, more in zip("ab", sources)]
        other.write()
        ran = run_import(other, [file], "2020-01-01T00:00:00Z")
        assert ran.returncode == 78 and why in ran.stderr
    new = daemon(CATALOG)
    ran = run_import(new, [file], "2020-01-01T00:00:00Z")
    assert ran.returncode == 78 and "does not exist" in ran.stderr and "--create-topics" in ran.stderr
    assert run_import(new, ["--create-topics", file], "2020-01-01T00:00:00Z").returncode == 0
    new.config["kafka"]["auto.offset.reset"] = "latest"
    new.write()
    ran = run_import(new, [file], "2020-01-01T00:00:00Z")
    assert ran.returncode == 78 and "/kafka/auto.offset.reset" in ran.stderr and "take it out" in ran.stderr
    ran = subprocess.run([TAGD, "run", "--config", new.path], capture_output=True, text=True, timeout=60)
    assert ran.returncode == 78 and "/kafka/auto.offset.reset" in ran.stderr and "take it out" in ran.stderr
    shown = subprocess.run([TAGD, "import", "--help"], capture_output=True, text=True)
    assert shown.returncode == 0 and "tagd import --config tagd.json --until" in shown.stdout
    d.config["redis"]["url"] = "redis://127.0.0.1:1"
    d.write()
    ran = run_import(d, [file], "2020-01-01T00:00:00Z")
    assert ran.returncode == 69 and "is out of reach" in ran.stderr
