"""The independent reader: a read_committed client that holds every change, as it comes, against what must come; and what is compared in
the end. The first violation ends the run."""
import json
import random
import re
import subprocess
import threading
import time
from hashlib import blake2b

import redis
from confluent_kafka import Consumer, KafkaError, TopicPartition

from load import PARTITIONS
from stack import final_view

# What may differ between the daemon and `tagd simulate`: the group, when it was recorded, whether all was read.
DIFFERS = re.compile(rb'"source":"tagd/[^"]*",|"recordedtime":"[^"]*",|,"caught_up":(?:true|false)')
PASSING = {KafkaError._ALL_BROKERS_DOWN, KafkaError._TRANSPORT, KafkaError._TIMED_OUT, KafkaError._RESOLVE, KafkaError.LEADER_NOT_AVAILABLE,
           KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.BROKER_NOT_AVAILABLE, KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._MAX_POLL_EXCEEDED}


def digest(change):
    return blake2b(DIFFERS.sub(b"", change), digest_size=8).digest()


def text_of(ms):
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(ms // 1000)) + f".{ms % 1000:03d}Z"


class Wanted:
    """What `tagd simulate` makes of the events: by customer the digests of its changes, and the last one; and the population."""

    def __init__(self, folder, tagd, catalog, lines, until_ms):
        self.path, self.digests, self.last, self.total = folder + "/wanted.jsonl", {}, {}, 0
        with open(folder + "/events.jsonl", "wb") as file:
            file.writelines(lines)
        with open(self.path, "wb") as out, open(folder + "/simulate.log", "wb") as log:
            run = subprocess.run([tagd, "simulate", "--catalog", catalog, "--until", text_of(until_ms), "--population", folder + "/population.json",
                                  folder + "/events.jsonl"], stdout=out, stderr=log)
        assert run.returncode == 0, open(folder + "/simulate.log").read()[-2000:]
        self.tagd, self.population = tagd, json.load(open(folder + "/population.json"))
        for line in open(self.path, "rb"):
            at = line.index(b'"subject":"') + 11
            customer = line[at:line.index(b'"', at)].decode()
            kind = kind_of(line)
            self.digests.setdefault((customer, kind), []).append(digest(line.rstrip(b"\n")))
            if kind == "tag":
                self.last[customer] = line
            self.total += 1

    def show(self, customer, kind, revision):
        for line in open(self.path, "rb"):
            if f'"id":"{kind}:{customer}:{revision}"'.encode() in line:
                return line.decode().strip()
        return "nothing"


def counts_in(node):
    """How many numbers there are."""
    if isinstance(node, dict):
        return sum(map(counts_in, node.values()))
    return sum(map(counts_in, node)) if isinstance(node, list) else isinstance(node, int)


def kind_of(line):
    """tag, alert or goal: each counts its own revisions."""
    at = line.index(b'"id":"') + 6
    return line[at:line.index(b":", at)].decode()


class Customer:
    """revision: by kind. last: of a tag."""
    __slots__ = ("revision", "tags", "last")

    def __init__(self):
        self.revision, self.tags, self.last = {}, {}, None


class Checker:
    """Reads the outputs from their beginning, in a thread."""

    def __init__(self, world, wanted, load):
        self.world, self.wanted, self.load = world, wanted, load
        self.customers, self.letters, self.compared, self.read = {}, set(), 0, 0
        self.by_kind = {}  # events by kind, read
        self.violations = []  # (kind, sentence)
        self.batches = {p: (0, 0) for p in range(PARTITIONS)}  # the last (fence, batch) among its changes
        self.positions = {}   # partition: {(fence, batch): bits of indexes}, of the last few batches
        self.watch_from, self.fresh = 0, {}
        self.heard, self.silence = dict.fromkeys(range(PARTITIONS), 0.0), 0.0
        self.sampled, self.views_sampled = {}, 0
        self.counted = []  # what the population was compared with
        self.lock, self.stopping = threading.Lock(), False
        self.consumer = Consumer({"bootstrap.servers": world.bootstrap, "group.id": "checker", "enable.auto.commit": False, "log_level": 0,
                                  "isolation.level": "read_committed", "auto.offset.reset": "error", "fetch.wait.max.ms": 20,
                                  "reconnect.backoff.ms": 50, "reconnect.backoff.max.ms": 300})
        self.consumer.assign([TopicPartition(t, p, 0) for t in (world.changes, world.dead) for p in range(PARTITIONS)])
        self.thread = threading.Thread(target=self.run, daemon=True)

    def start(self):
        self.thread.start()

    def run(self):
        try:
            while not self.stopping:
                for message in self.consumer.consume(2000, 0.05):
                    self.take(message)
        except Exception as error:
            self.fail("the reader", repr(error))

    def fail(self, kind, text):
        with self.lock:
            if len(self.violations) < 20:
                self.violations.append((kind, text))

    def take(self, message):
        if (error := message.error()) is not None:
            if error.code() not in PASSING:
                self.fail("the reader", str(error))
            return
        headers = dict(message.headers() or ())
        if headers.get("tagd_group") != self.world.group.encode():
            self.fail("header", f"tagd_group of {message.topic()}/{message.partition()}@{message.offset()}")
        self.position(message, headers["tagd_batch"].decode())
        self.read += 1
        if message.topic() == self.world.dead:
            self.letter(message, headers)
            return
        self.change(message)
        partition, now = message.partition(), time.monotonic()
        if now - self.heard[partition] > self.silence:
            self.silence = now - self.heard[partition]
        self.heard[partition] = now
        if partition not in self.fresh and (self.world.live or message.timestamp()[1] >= self.watch_from):  # live: its clock may be set
            self.fresh[partition] = now

    # ---- one change ----

    def change(self, message):
        value = message.value()
        change = json.loads(value)
        name, data = change["subject"], change["data"]
        customer = self.customers.setdefault(name, Customer())
        kind = kind_of(value)
        revision, where, before = data["revision"], f"{name} at {message.partition()}@{message.offset()} (tagd_batch {dict(message.headers())['tagd_batch'].decode()})", customer.revision.get(kind, 0)
        self.compared += 1
        self.by_kind[kind] = self.by_kind.get(kind, 0) + 1
        if message.key() != name.encode() or change["id"] != f"{kind}:{name}:{revision}":
            self.fail("identity", f"{where}: key {message.key()}, id {change['id']}")
        if revision != before + 1:
            self.fail("lost" if revision > before else "doubled", f"{where}: revision {revision} follows {before}: {value.decode()}")
        elif kind == "tag" and data["from"] != customer.tags.get(data["dimension"]):
            self.fail("out of order", f"{where}: from {data['from']!r}, and the tag read last is {customer.tags.get(data['dimension'])!r}")
        elif self.wanted is not None:
            wanted = self.wanted.digests.get((name, kind), [])
            if revision > len(wanted) or wanted[revision - 1] != digest(value):
                self.fail("different", f"{where}:\n  found  {value.decode()}\n  wanted {self.wanted.show(name, kind, revision)}")
        customer.revision[kind] = revision
        if kind != "tag":
            return
        customer.last = value
        customer.tags[data["dimension"]] = data["to"]
        if data["to"] is None:
            del customer.tags[data["dimension"]]
        if name in self.sampled:
            self.settle(name, revision, data["tags"])

    def position(self, message, text):
        """Fences and batches never fall along a partition; an index stands once."""
        fence, batch, index = map(int, text.split("."))
        partition = message.partition()
        seen = self.positions.setdefault(partition, {})
        if (fence, batch) not in seen:
            if message.topic() == self.world.changes:
                before = self.batches[partition]
                if fence < before[0] or batch <= before[1]:
                    self.fail("out of order", f"{message.topic()}/{partition}@{message.offset()}: batch {text} follows {before}")
            if len(seen) > 200:
                del seen[next(iter(seen))]
            seen[fence, batch] = set()
        if message.topic() == self.world.changes:
            self.batches[partition] = (fence, batch)
        if index in seen[fence, batch]:
            self.fail("doubled", f"{message.topic()}/{partition}@{message.offset()}: position {text} once more")
        seen[fence, batch].add(index)

    def letter(self, message, headers):
        at = (headers["tagd_topic"].decode(), int(headers["tagd_partition"]), int(headers["tagd_offset"]))
        wanted = self.load.letters.get(at)
        if wanted is None:
            self.fail("dead letter", f"{at} is none: {headers}")
        elif at in self.letters:
            self.fail("doubled", f"dead letter {at}")
        elif (headers["tagd_error"].decode(), message.value() or b"") != wanted:
            self.fail("dead letter", f"{at}: {headers} {message.value()}, wanted {wanted}")
        self.letters.add(at)

    # ---- views, while it runs: the view says a revision, and what it says of it must be what is published under it ----

    def sample(self, n):
        known = list(self.customers)
        for name in random.sample(known, min(n, len(known))):
            if name in self.sampled:
                continue
            try:
                view = self.world.redis.hgetall(f"{self.world.prefix}tags:{name}")
            except redis.exceptions.RedisError:
                return
            if "_revision" not in view:
                continue
            self.sampled[name] = view
            if self.customers[name].last is None:
                continue
            last = json.loads(self.customers[name].last)["data"]
            self.settle(name, last["revision"], last["tags"])

    def settle(self, name, revision, tags):
        """Called by the thread that samples and by the one that reads: who takes the view out compares it."""
        view = self.sampled.get(name)
        if view is None or int(view["_revision"]) > revision or self.sampled.pop(name, None) is None or int(view["_revision"]) < revision:
            return
        self.views_sampled += 1
        said = {k: v for k, v in view.items() if not k.startswith("_")}
        if said != tags:
            self.fail("view", f"{name}, revision {revision}: the view is {said}, published was {tags}")

    # ---- after a fault ----

    def watch(self, silence=True):
        """From now on: when a change that is new, not one that was on its way, came in each partition; the longest silence of one."""
        self.watch_from, self.fresh = time.time_ns() // 1000000, {}
        if silence:
            self.heard, self.silence = dict.fromkeys(range(PARTITIONS), time.monotonic()), 0.0

    # ---- in the end ----

    def complete(self):
        if self.wanted is not None and self.compared < self.wanted.total:
            return False
        return self.compared > 0 and len(self.letters) >= len(self.load.letters)

    def finish(self, wanted):
        """The rest, once nothing moves any more: all is there, and the views say it. Views compared."""
        self.stopping = True
        self.thread.join()
        self.consumer.close()
        if self.violations:
            return 0
        if self.wanted is not None:
            for (name, kind), digests in self.wanted.digests.items():
                found = self.customers[name].revision.get(kind, 0) if name in self.customers else 0
                if found != len(digests):
                    self.fail("lost", f"{name}: {found} events of kind {kind} of {len(digests)}")
        for at in self.load.letters.keys() - self.letters:
            self.fail("lost", f"dead letter {at}: {self.load.letters[at]}")
        self.population(wanted)
        return self.views(wanted)

    def population(self, wanted):
        """What is counted in Redis: against all profiles, against the views, and against what simulate makes of the events."""
        command = [wanted.tagd, "population", "--config", self.world.a.path]
        told = subprocess.run([*command, "--recount"], capture_output=True, text=True)
        self.counted.append(told.stdout.strip().rsplit("\n", 1)[-1])
        if told.returncode != 0:
            self.fail("population", f"counted again: {told.stdout}{told.stderr}")
        told = subprocess.run([*command, "--json", "--breakdown", "all", "--days", "400", "--months", "24", "--tags", "100000"], capture_output=True, text=True)
        if told.returncode != 0:
            self.fail("population", told.stderr)
            return
        found, views = json.loads(told.stdout), {}
        for key in self.world.redis.scan_iter(match=f"{self.world.prefix}tags:*", count=1000):
            for dimension, tag in self.world.redis.hgetall(key).items():
                views.setdefault(dimension, {}).setdefault(tag, []).append(key)
        for name, of in found["dimensions"].items():
            counts = {t["tag"]: t["customers"] for t in of["tags"] if t["customers"]}
            if counts != {tag: len(keys) for tag, keys in views.get(name, {}).items()}:
                self.fail("population", f"{name} is {of}, and the views say otherwise")
        parts = ["customers", "uncounted", "dimensions", "alerts", "breakdowns", *([] if self.world.live else ["days", "goals"])]  # live: what is late decides about days
        for part in parts:
            if found[part] != wanted.population[part]:
                self.fail("population", f"{part} is {found[part]}, and simulate makes {wanted.population[part]}"[:3000])
        self.counted.append(f"{sum(counts_in(found[part]) for part in parts)} numbers compared with tagd simulate" + ("" if self.world.live else ", days among them"))

    def views(self, wanted):
        pipeline, names = self.world.redis.pipeline(transaction=False), sorted(wanted.last)
        for name in names:
            pipeline.hgetall(f"{self.world.prefix}tags:{name}")
        for name, view in zip(names, pipeline.execute()):
            published = self.customers.get(name)
            if published is None or view != final_view([json.loads(published.last)]):
                self.fail("view", f"{name}: {view}, published last: {published and published.last}")
            said, tags = {k: v for k, v in view.items() if not k.startswith("_")}, json.loads(wanted.last[name])["data"]["tags"]
            if said != tags or (published is not None and published.tags != tags):
                self.fail("different", f"{name}: its tags in the end are {view}, the changes make {published and published.tags}, wanted {tags}")
        there = sum(1 for _ in self.world.redis.scan_iter(match=f"{self.world.prefix}tags:*", count=1000))
        if there != len(names):
            self.fail("view", f"{there} views, {len(names)} customers")
        return len(names)
