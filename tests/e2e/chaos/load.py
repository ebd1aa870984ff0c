"""A stream of events that a seed decides, and what must come of it.

Why the changes are unique, although two topics and eight partitions reach the daemons in any order: a customer has one topic and
one partition, and its events are in order of time there, each at an instant of its own. Changes then depend on other customers
only by the shard's watermark, the latest event time read less `grace`. An event is produced only once all that is older by GRACE or
more has been committed by the daemons, so none is ever behind the watermark when it is applied, whatever fails for however long.
So each customer's changes are those of its own events, as `tagd simulate` has them.

The live variant's events happen when they are produced. What is late there depends on the faults, and with it when changes take place, but
not where they end: every rule counts, sums, or looks at the latest. So the tags in the end are those of `tagd simulate`."""
import json
import random
import threading
import time
from typing import NamedTuple

from confluent_kafka import Consumer, KafkaException, TopicPartition

from stack import event

TOPICS, PARTITIONS = 2, 8
BASE = 1795500000000
STEP_MS = 4           # between two events
UNIT_S = 10           # of the catalog's windows; live: 1
GRACE_MS = 60000      # 15,000 events
BAD_ONE_IN = 1500     # records for the dead-letter topic
SILENCE_UNITS = 16    # after so long without events nothing changes any more
LIVE_GRACE_MS = 2000


def catalog(unit_s=UNIT_S):
    def span(units):
        return f"{units * unit_s}s"
    return {
        "catalog": "chaos", "version": "1",
        "events": {"order.paid": {"fields": {"amount": "decimal", "category": "string"}, "dedupe": span(30)}, "login": {},
                   "live.view": {"fields": {"seconds": "decimal"}}},
        "groups": {"interaction": ["login", "live.view", "order.paid"]},
        "metrics": {"spend": f"sum(amount, order.paid[{span(8)}])"},
        "dimensions": {
            "value.level": {"tags": [{"tag": "high", "when": "spend >= 300"}, {"tag": "mid", "when": "spend >= 100"}, {"tag": "low", "when": "true"}]},
            "behaviour.activity": {"tags": [
                {"tag": "lost", "when": f"since(interaction) > {span(12)}"}, {"tag": "dormant", "when": f"since(interaction) >= {span(5)}"},
                {"tag": "active", "when": f"count(interaction[{span(6)}]) >= 3"}, {"tag": "quiet", "when": "true"}]},
            "value.total": {"value": "sum(amount, order.paid)"},  # an order lost or doubled shows for ever
            "need.category": {"value": f"top(category, order.paid[{span(10)}])"},
            "care.plan": {"tags": [{"tag": "call", "when": "value.level == \"high\" and behaviour.activity == \"dormant\""},
                                   {"tag": "thank", "when": "value.level == \"high\""}, {"tag": "none", "when": "true"}]}},
        "alerts": {"silent-spender": {"when": "value.level != \"low\" and behaviour.activity == \"dormant\"", "for": span(1)}},
        "goals": {"wake": {"start": "behaviour.activity.dormant", "reach": "order.paid", "within": span(6), "target": 0.15, "holdout": 0.2},
                  "order": {"start": "care.plan.thank", "reach": "order.paid", "within": span(2)}},
        "breakdowns": [["value.level", "behaviour.activity"], ["need.category", "value.level"]]}


def murmur2(data):
    """The Java clients' partitioner."""
    mask, m = 0xffffffff, 0x5bd1e995
    h = 0x9747b28c ^ len(data)
    for i in range(0, len(data) & ~3, 4):
        k = int.from_bytes(data[i:i + 4], "little") * m & mask
        h = h * m & mask ^ (k ^ k >> 24) * m & mask
    rest = data[len(data) & ~3:]
    if rest:
        h = (h ^ int.from_bytes(rest, "little")) * m & mask
    h = (h ^ h >> 13) * m & mask
    return (h ^ h >> 15) & 0x7fffffff


class Record(NamedTuple):
    topic: int
    partition: int
    key: bytes
    value: bytes
    code: str  # of the dead letter it becomes; empty: none


def bad_record(rng, i, subject, at_ms):
    return rng.choice([("malformed", '{"specversion":"1.0","id":' + str(i)),
                       ("malformed", ""),
                       ("invalid", json.dumps(event(f"b{i}", "order.paid", subject, at_ms, {"amount": "much"}))),
                       ("junk_subject", json.dumps(event(f"b{i}", "login", "anonymous", at_ms)))])


def records(seed, n, customers, at_of):
    """n events, some of them twice and some bad ones between. at_of(i): the i-th one's instant."""
    rng = random.Random(seed)
    known = {}
    for i in range(n):
        number = int(customers * rng.random() ** 2)
        subject = f"C{number:05d}"
        topic, partition = known.setdefault(subject, (number % TOPICS, murmur2(subject.encode()) % PARTITIONS))
        key, at = subject.encode(), at_of(i)
        if rng.random() < 1 / BAD_ONE_IN:
            code, value = bad_record(rng, i, subject, at)
            yield i, Record(topic, partition, key, value.encode(), code)
            continue
        type = rng.choice(("order.paid", "order.paid", "login", "live.view", "page.left"))  # the last one isn't declared
        data = {"order.paid": lambda: {"amount": round(rng.random() * 160, 2), "category": rng.choice(("beauty", "home", "food"))}, "login": dict,
                "live.view": lambda: {"seconds": rng.randint(1, 900)}, "page.left": dict}[type]()
        record = Record(topic, partition, key, json.dumps(event(f"e{i}", type, subject, at, data, rng.choice(("douyin", "wechat")))).encode(), "")
        yield i, record
        if type == "order.paid" and rng.random() < 0.05:  # a producer's retry
            yield i, record


class Load:
    """Produces the stream, and knows what stands where. The pace is what `rate` says, in events a second; `pause` stops it."""

    def __init__(self, world, seed, n, customers):
        self.world, self.seed, self.n, self.customers = world, seed, n, customers
        self.rate, self.paused, self.sent, self.stopping, self.error = 0.0, False, 0, False, None
        self.placed = {(t, p): [] for t in range(TOPICS) for p in range(PARTITIONS)}  # the events' numbers, by offset
        self.letters = {}  # (topic, partition, offset): (code, value)
        self.live_lines = open(world.folder + "/live.jsonl", "wb") if world.live else None
        self.producer = world.producer(partitioner="consistent", **{"reconnect.backoff.max.ms": 500, "queue.buffering.max.messages": 500000})
        self.group = Consumer({"bootstrap.servers": world.bootstrap, "group.id": world.group, "log_level": 0, "reconnect.backoff.max.ms": 500})
        self.thread = threading.Thread(target=self.run, daemon=True)

    def at(self, i):
        return time.time_ns() // 1000000 if self.world.live else BASE + i * STEP_MS

    def last_ms(self):
        return self.at(self.n - 1)

    def lines(self):
        """What `tagd simulate` is to read: all but the bad ones."""
        for _, record in records(self.seed, self.n, self.customers, self.at):
            if not record.code:
                yield record.value + b"\n"

    def start(self):
        self.thread.start()

    def run(self):
        try:
            self.produce()
        except Exception as error:  # the main thread tells
            self.error = error

    def produce(self):
        allowed, due, last, looked = 0, 0.0, time.monotonic(), 0.0
        for i, record in records(self.seed, self.n, self.customers, self.at):
            while (i >= due or i >= allowed or self.paused) and not self.stopping:
                now = time.monotonic()
                due = max(due, i) if self.paused else min(due + (now - last) * self.rate, i + self.rate)
                last = now
                if i >= allowed - GRACE_MS // STEP_MS // 2 and now - looked > 0.2:
                    allowed, looked = self.oldest() + GRACE_MS // STEP_MS, now
                self.producer.poll(0.005)
            if self.stopping:
                break
            self.put(i, record)
            self.sent = i + 1
        self.producer.flush()

    def put(self, i, record):
        place = self.placed[record.topic, record.partition]
        if record.code:
            self.letters[self.world.topics[record.topic], record.partition, len(place)] = (record.code, record.value)
        elif self.live_lines is not None:
            self.live_lines.write(record.value + b"\n")
        place.append(i)
        self.producer.produce(self.world.topics[record.topic], record.value, record.key, record.partition)

    def committed(self):
        """{(topic, partition): next offset}, by the group's word; None: nobody says."""
        names = {name: t for t, name in enumerate(self.world.topics)}
        try:
            found = self.group.committed([TopicPartition(self.world.topics[t], p) for t, p in self.placed], timeout=2)
        except KafkaException:
            return None
        if any(c.error is not None for c in found):
            return None
        return {(names[c.topic], c.partition): max(c.offset, 0) for c in found}

    def oldest(self):
        """The number of the first event that isn't committed; as far as is known, so never too late a one."""
        if self.world.live:
            return self.n
        committed = self.committed()
        if committed is None:
            return self.known
        left = [place[committed[at]] for at, place in self.placed.items() if committed[at] < len(place)]
        self.known = min(left, default=self.sent)
        return self.known
    known = 0

    def all_committed(self):
        committed = self.committed()
        return committed is not None and all(committed[at] == len(place) for at, place in self.placed.items())

    def end(self, at_ms):
        """Lets time run to at_ms: records of a type that isn't declared, once all else is committed."""
        for partition in range(PARTITIONS):
            nobody = next(name for i in range(10**6) if murmur2((name := f"nobody{i}").encode()) % PARTITIONS == partition)
            self.put(self.n, Record(0, partition, None, json.dumps(event(f"end{partition}", "end", nobody, at_ms)).encode(), ""))
        self.producer.flush()

    def stop(self):
        self.stopping = True
        if self.thread.ident:
            self.thread.join()
        if self.live_lines is not None:
            self.live_lines.close()
        self.group.close()
