"""Servers that are out of reach, of another kind, or not as they must be, and what the daemon says of each: log lines on standard
error, then one line with what was found and what to do. All rows run at the same time, since many wait for their server."""
import contextlib
import json
import re
import socket
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import table
from confluent_kafka import Consumer, TopicPartition
from stack import TAGD, event, free_port, wait_for

PARTITIONS = 2


class Deaf:
    """A server that takes connections and never says a word."""

    def __init__(self):
        self.socket, self.taken = socket.create_server(("127.0.0.1", 0)), []
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        with contextlib.suppress(OSError):
            while True:
                self.taken.append(self.socket.accept()[0])

    def stop(self):
        self.socket.close()
        for taken in self.taken:
            taken.close()


class World:
    """A broker, and a Redis of each kind."""

    def __init__(self, stack, folder):
        self.stack, self.folder, self.started = stack, folder, []

    def start(self):
        stack = self.stack
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
        threading.Thread(target=self.http.serve_forever, daemon=True).start()
        self.deaf = Deaf()
        self.closed = free_port()
        self.locked = self.redis("--requirepass", "secret", "--user", "reader", "on", ">word", "+@read")
        self.evicting = self.redis("--maxmemory-policy", "allkeys-lru")
        self.replica = self.redis("--replicaof", "127.0.0.1", str(stack.redis_port))
        self.cluster = self.redis("--cluster-enabled", "yes", "--cluster-port", str(free_port()))
        self.topic("events", PARTITIONS)
        self.topic("three", PARTITIONS + 1)
        self.topic("changes", PARTITIONS)
        self.topic("dead", PARTITIONS)

    def redis(self, *options):
        port = free_port()
        folder = self.folder / str(port)
        folder.mkdir()
        self.started.append(subprocess.Popen(["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder), *options],
                                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))

        def serves():
            with contextlib.suppress(OSError):
                return socket.create_connection(("127.0.0.1", port)).close() is None
        wait_for("a Redis", 20, serves)
        return port

    def topic(self, name, partitions):
        self.stack.create([name], partitions)

    def stop(self):
        for process in self.started:
            process.terminate()
        for process in self.started:
            process.wait()
        self.http.shutdown()
        self.deaf.stop()


def kafka(address, **more):
    return {"kafka": {"bootstrap.servers": address, **more}}


def redis(port, user="", path="", **more):
    return {"redis": {"url": f"redis://{user}127.0.0.1:{port}{path}", **more}}


def sources(*names):
    return {"sources": [{"topic": name} for name in names]}


def outputs(**names):
    return {"outputs": {"tag_changes": "changes", "churn_risk": "churn", "dead_letter": "dead", **names}}


# (name, command, what the configuration has of its own, exit code, the line)
ROWS = [
    ("Kafka's port is closed", "run", lambda w: kafka(f"127.0.0.1:{w.closed}"), 69,
     'Kafka at 127.0.0.1:{closed} is out of reach: 127.0.0.1:{closed}/bootstrap: Connect to ipv4#127.0.0.1:{closed} failed: Connection refused; '
     'start it, or correct "bootstrap.servers"'),
    ("Kafka's host is unknown", "run", lambda w: kafka("nosuch.invalid:9092"), 69,
     "Kafka at nosuch.invalid:9092 is out of reach: nosuch.invalid:9092/bootstrap: Failed to resolve 'nosuch.invalid:9092': …; "
     'start it, or correct "bootstrap.servers"'),
    ("a Redis in Kafka's place", "run", lambda w: kafka(f"127.0.0.1:{w.stack.redis_port}"), 69,
     'Kafka at 127.0.0.1:{redis} is out of reach: it is connected to, but gives no answer of a Kafka; start it, or correct "bootstrap.servers"'),
    ("an HTTP server in Kafka's place", "run", lambda w: kafka(f"127.0.0.1:{w.http.server_port}"), 69,
     'Kafka at 127.0.0.1:{http} is out of reach: it is connected to, but gives no answer of a Kafka; start it, or correct "bootstrap.servers"'),
    ("a deaf server in Kafka's place", "run", lambda w: kafka(f"127.0.0.1:{w.deaf.port}"), 69,
     'Kafka at 127.0.0.1:{deaf} is out of reach: it is connected to, but gives no answer of a Kafka; start it, or correct "bootstrap.servers"'),
    ("TLS to a Kafka without it", "run", lambda w: kafka(w.stack.bootstrap, **{"security.protocol": "ssl"}), 69,
     'Kafka at {kafka} is out of reach: ssl://{kafka}/bootstrap: …SSL…; start it, or correct "bootstrap.servers"'),
    ("a source topic that isn't there", "run", lambda w: sources("nowhere"), 78,
     'topic "nowhere" does not exist; create it, or start with --create-topics'),
    ("a second source topic that isn't there", "run", lambda w: sources("events", "nowhere"), 78,
     'topic "nowhere" does not exist; create it with 2 partitions, or start with --create-topics'),
    ("an output topic that isn't there", "run", lambda w: outputs(dead_letter="nowhere"), 78,
     'topic "nowhere" does not exist; create it with 2 partitions, or start with --create-topics'),
    ("sources of different numbers of partitions", "run", lambda w: sources("events", "three"), 78,
     'source topic "three" has 3 partitions, "events" has 2; all sources need the same number: create "three" anew with 2'),
    ("an output of another number of partitions", "run", lambda w: outputs(tag_changes="three"), 78,
     'output topic "three" has 3 partitions, the sources have 2; create it anew with 2'),
    ("Redis's port is closed", "run", lambda w: redis(w.closed), 69,
     'Redis at 127.0.0.1:{closed} is out of reach: Connection refused; start it, or correct "redis.url"'),
    ("Redis's host is unknown", "explain", lambda w: {"redis": {"url": "redis://nosuch.invalid"}}, 69,
     'Redis at nosuch.invalid:6379 is out of reach: …; start it, or correct "redis.url"'),
    ("Redis's socket isn't there", "explain", lambda w: {"redis": {"url": "unix:///nowhere/redis.sock"}}, 69,
     'Redis at /nowhere/redis.sock is out of reach: No such file or directory; start it, or correct "redis.url"'),
    ("an HTTP server in Redis's place", "run", lambda w: redis(w.http.server_port), 69,
     'what serves at 127.0.0.1:{http} gives no answer of a Redis: Protocol error, got "<" as reply type byte; start one there, or correct "redis.url" ("rediss://" is with TLS)'),
    ("a Kafka in Redis's place", "run", lambda w: redis(w.stack.bootstrap.split(":")[1]), 69,
     'what serves at {kafka} gives no answer of a Redis: Server closed the connection; start one there, or correct "redis.url" ("rediss://" is with TLS)'),
    ("a deaf server in Redis's place", "run", lambda w: redis(w.deaf.port), 69,
     'what serves at 127.0.0.1:{deaf} gives no answer of a Redis: no answer in time; start one there, or correct "redis.url" ("rediss://" is with TLS)'),
    ("Redis wants a password", "run", lambda w: redis(w.locked), 78,
     'Redis at 127.0.0.1:{locked} refuses us: NOAUTH Authentication required.; give "redis.password", and "redis.user" if it isn\'t the default user'),
    ("a wrong password", "run", lambda w: redis(w.locked, ":wrong@"), 78,
     'Redis at 127.0.0.1:{locked} refuses us: WRONGPASS invalid username-password pair or user is disabled.; '
     'correct "redis.user" and "redis.password", or those in "redis.url"'),
    ("an unknown user", "explain", lambda w: redis(w.locked, "nobody:secret@"), 78,
     'Redis at 127.0.0.1:{locked} refuses us: WRONGPASS invalid username-password pair or user is disabled.; '
     'correct "redis.user" and "redis.password", or those in "redis.url"'),
    ("a user who may not", "run", lambda w: redis(w.locked, "reader:word@"), 78,
     "Redis at 127.0.0.1:{locked} refuses us: NOPERM this user has no permissions to run the 'info' command; "
     'give our Redis user the commands that deploy/security.md lists'),
    ("a database that isn't there", "run", lambda w: redis(w.stack.redis_port, path="/99"), 78,
     'Redis at 127.0.0.1:{redis} refuses us: ERR DB index is out of range; correct "redis.url", as in "redis://user:password@host:6379/0"'),
    ("a Redis that evicts", "run", lambda w: redis(w.evicting), 78,
     "Redis has maxmemory-policy allkeys-lru, which would drop customers' state; set it to noeviction, as in: "
     "redis-cli config set maxmemory-policy noeviction"),
    ("a replica", "run", lambda w: redis(w.replica), 69, 'Redis is a replica, which takes no writes; give "redis.url" the address of the master'),
    ("a cluster", "run", lambda w: redis(w.cluster), 78,
     'Redis runs as a cluster, which is not in this version yet; give "redis.url" a single server'),
    ("explain before anything ran", "explain", lambda w: {}, 65,
     "group {group} keeps nothing under prefix {group}: yet; has tagd run with this configuration?"),
    ("a port that others listen on", "run", lambda w: {"http": {"listen": f"127.0.0.1:{w.http.server_port}"}}, 78,
     "can't listen on 127.0.0.1:{http}: Address already in use; choose another \"http.listen\", or \"off\""),
    ("a log file in a folder that isn't there", "run", lambda w: {"log": {"file": "/nowhere/tagd.log"}}, 78,
     'can\'t open the log file /nowhere/tagd.log: No such file or directory; correct "log.file", or leave it out to log to standard error'),
    ("a host's name to listen on", "run", lambda w: {"http": {"listen": "example.org:0", "insecure": True}}, 78,
     '"http.listen" wants a numeric address, as in "127.0.0.1:9464", found "example.org"'),
    ("an address of another host to listen on", "run", lambda w: {"http": {"listen": "192.0.2.1:0", "insecure": True}}, 78,
     "can't listen on 192.0.2.1:0: Cannot assign requested address; choose another \"http.listen\", or \"off\""),
    ("a certificate that isn't there", "run", lambda w: {"http": {"listen": "127.0.0.1:0", "tls": {"cert": "none.pem", "key": "shop.json"}}}, 78,
     "…/none.pem: No such file or directory; expected a certificate (http.tls.cert) in a readable file"),
    ("a certificate that is none", "run", lambda w: {"http": {"listen": "127.0.0.1:0", "tls": {"cert": "shop.json", "key": "shop.json"}}}, 78,
     "\"http.tls.cert\" and \"http.tls.key\" don't serve: …; name PEM files, a key without a password"),
]


def write(world, name, of_its_own):
    group = "".join(c if c.isascii() and c.isalnum() else "-" for c in name)
    folder = world.folder / group
    folder.mkdir()
    (folder / "shop.json").write_text(table.CATALOG)
    config = {"group": group, "instance": "a", "catalog": "shop.json", **sources("events"), **outputs(), **kafka(world.stack.bootstrap),
              **redis(world.stack.redis_port), "http": {"listen": "off"}, **of_its_own}
    config["redis"].setdefault("prefix", group + ":")
    (folder / "tagd.json").write_text(json.dumps(config))
    return group, folder / "tagd.json"


def start(command, path):
    return subprocess.Popen([TAGD, command, "--config", str(path), *(["C1"] if command == "explain" else [])], stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True)


def said(process, seconds=40):
    """(exit code, the lines that are not log, the log lines)"""
    out, err = process.communicate(timeout=seconds)
    assert out == ""
    lines = [line for line in err.splitlines() if not line.startswith("tagd: warning: everyone on this machine may read ")]  # these files hold passwords
    log = [line for line in lines if re.match(r"time=\S+Z level=\w+ msg=", line)]
    assert lines[:len(log)] == log, err  # the error is the last line
    return process.returncode, lines[len(log):], log


def fits(line, wanted, world, group):
    wanted = wanted.format(closed=world.closed, redis=world.stack.redis_port, http=world.http.server_port, deaf=world.deaf.port, kafka=world.stack.bootstrap,
                           locked=world.locked, group=group)
    assert re.fullmatch(re.escape("tagd: " + wanted).replace("…", ".*"), line), f"said:\n{line}\nexpected:\ntagd: {wanted}"


@pytest.fixture(scope="module")
def world(stack, tmp_path_factory):
    made = World(stack, tmp_path_factory.mktemp("servers"))
    try:
        made.start()
        yield made
    finally:
        made.stop()


@pytest.fixture(scope="module")
def rows(world):
    started = {"passed": 0}
    for name, command, of_its_own, _, _ in ROWS:
        group, path = write(world, name, of_its_own(world))
        started[name] = group, start(command, path), time.monotonic()
    yield started
    print(f"\n{started.pop('passed')} servers that will not do, each told in one line")
    for _, process, _ in started.values():
        process.kill()
        process.wait()


@pytest.mark.parametrize("name,command,of_its_own,code,wanted", ROWS, ids=[row[0] for row in ROWS])
def test_a_server_that_will_not_do_is_told_in_one_line(world, rows, name, command, of_its_own, code, wanted):
    group, process, began = rows[name]
    found, lines, log = said(process)
    assert found == code and len(lines) == 1, lines
    fits(lines[0], wanted, world, group)
    rows["passed"] += 1
    assert time.monotonic() - began < 60
    if code == 69 and command == "run":  # who waits says so
        assert any(re.search(r"; waiting for it up to \d+ s", line) for line in log), log


# ---- what is kept doesn't fit ----

def refused(d, code, wanted):
    """The daemon ends with the code and the one line."""
    if d.process is not None and d.process.poll() is None:
        d.stop()
    open(d.log, "w").close()
    d.start(ready=False)
    assert d.process.wait(40) == code, open(d.log).read()
    lines = [line for line in open(d.log).read().splitlines() if not line.startswith("time=")]
    assert len(lines) == 1 and re.fullmatch(re.escape("tagd: " + wanted).replace("…", ".*"), lines[0]), f"said:\n{lines}\nexpected:\ntagd: {wanted}"


@pytest.fixture
def kept(stack, daemon):
    """A daemon that has run: its group has offsets and its prefix state."""
    d = daemon(json.loads(table.CATALOG), sources=("a", "b"), grace="0s", http={"listen": "off"})
    d.create_topics(PARTITIONS)
    d.topics = [s["topic"] for s in d.config["sources"]]
    reader = d.reader()
    d.start(ready=False)
    producer = stack.producer()
    producer.produce(d.topics[0], json.dumps(event("e1", "login", "C1", time.time_ns() // 10**6)), "C1")
    producer.flush()
    reader.wait(1, 30)
    d.stop()
    return d


AGAIN = 'a new "group" and "redis.prefix" read the topics again'


def test_another_group_on_the_prefix_is_refused(kept):
    kept.config["group"] = "another"
    kept.write()
    refused(kept, 78, f'the Redis prefix "{kept.name}:" belongs to group "{kept.name}", not "another"; give this group its own "redis.prefix"')
    told = kept.explain("C1")
    assert (told.returncode, told.stdout) == (78, "") and told.stderr == (
        f'tagd: the Redis prefix "{kept.name}:" belongs to group "{kept.name}", not "another"; give this group its own "redis.prefix"\n')


def test_another_catalog_on_the_group_is_refused(kept):
    with open(kept.config["catalog"], "w") as file:
        file.write(table.CATALOG.replace('"true"', '"count(login) >= 1"'))
    refused(kept, 78, f"shard …: its state was made by another catalog (…, now …); run that one, or give this one a group of its own: {AGAIN}")
    told = kept.explain("C1")
    assert (told.returncode, told.stdout, told.stderr) == (78, "", "tagd: a profile of another catalog: take a new group and prefix\n")


@pytest.mark.parametrize("change", ["renamed", "one more", "one less", "in another order"])
def test_other_sources_on_the_group_are_refused(stack, kept, change):
    a, b = kept.topics
    stack.create([kept.name + ".c"], PARTITIONS)
    now = {"renamed": [a, kept.name + ".c"], "one more": [a, b, kept.name + ".c"], "one less": [a], "in another order": [b, a]}[change]
    kept.config["sources"] = [{"topic": topic} for topic in now]
    kept.write()
    refused(kept, 78, f'the state under Redis prefix "{kept.name}:" was made from the sources {a} {b}, in this order, and "sources" has {" ".join(now)}: '
                      f"records would be passed over; go back to those, or {AGAIN}")


def test_another_number_of_partitions_is_refused(stack, kept):
    topics = [f"{kept.name}.{n}3" for n in ("a", "b", "changes", "dead")]
    stack.create(topics, 3)
    kept.config["sources"] = [{"topic": topic} for topic in topics[:2]]
    kept.config["outputs"].update(tag_changes=topics[2], dead_letter=topics[3])
    kept.write()
    refused(kept, 78, f'the state under Redis prefix "{kept.name}:" was made with 2 partitions and the topics have 3: customers would sit in other shards; '
                      f"go back to 2 partitions, or {AGAIN}")


def test_offsets_that_somebody_reset_are_refused(stack, kept):
    time.sleep(11)  # until the daemon's membership ends: offsets of a group with members can't be set from outside
    consumer = Consumer({"bootstrap.servers": stack.bootstrap, "group.id": kept.name, "log_level": 0})
    consumer.commit(offsets=[TopicPartition(topic, p, 0) for topic in kept.topics for p in range(PARTITIONS)], asynchronous=False)
    consumer.close()
    refused(kept, 78, f'shard …: topic "{kept.name}.…" has a committed offset (0) that tagd did not write: somebody reset group "{kept.name}" or used its '
                      f"name; put the offset back with its metadata, or take a group name of its own: {AGAIN}")


def test_a_group_with_members_of_another_kind_is_refused(stack, daemon):
    d = daemon(json.loads(table.CATALOG), http={"listen": "off"})
    d.create_topics(PARTITIONS)
    other = Consumer({"bootstrap.servers": stack.bootstrap, "group.id": d.name, "partition.assignment.strategy": "roundrobin", "log_level": 0})
    other.subscribe([d.config["sources"][0]["topic"]])
    wait_for("the other one is a member", 30, lambda: other.poll(0.1) or other.assignment())
    enough = threading.Event()

    def stay():
        while not enough.is_set():
            other.poll(0.1)
    staying = threading.Thread(target=stay)
    staying.start()
    try:
        refused(d, 78, f'Kafka\'s group "{d.name}" has members that are no tagd (JoinGroup failed: Broker: Inconsistent group protocol); '
                       'end them, or give "group" a name of its own')
    finally:
        enough.set()
        staying.join()
        other.close()


def test_rights_to_other_keys_only_are_told(world, stack):
    stack.redis.acl_setuser("stranger", enabled=True, passwords=["+word"], categories=["+@all"], keys=["other:*"])
    group, path = write(world, "a user of other keys", redis(stack.redis_port, "stranger:word@"))
    code, lines, _ = said(start("run", path))
    assert code == 78 and len(lines) == 1
    fits(lines[0], 'Redis at 127.0.0.1:{redis} doesn\'t let us use the keys under "{group}:": NOPERM this user has no permissions to access one of the keys '
                   'used as arguments; give our Redis user the commands that deploy/security.md lists on them', world, group)


def test_a_customer_nobody_has_heard_of(kept):
    told = kept.explain("C99")
    assert (told.returncode, told.stdout, told.stderr) == (65, "", "tagd: customer C99 is not known: no applied event of theirs was in their shard\n")
