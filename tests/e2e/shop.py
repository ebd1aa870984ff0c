"""A shop's events for the end-to-end tests, and how they reach a daemon's topics."""
import json
import os
import random

from confluent_kafka import Consumer, KafkaException, TopicPartition

from stack import ROOT, event

CATALOG = os.path.join(ROOT, "deploy/catalogs/shop.json")
BASE = 1795500000000
END = BASE + 3600000


def shop_events(n, customers, seed, step_ms=1000):
    """In order of time, no two at one instant, step_ms apart at most; some twice, as a producer's retry makes them."""
    rng, out, at = random.Random(seed), [], BASE
    for i in range(n):
        at += rng.randint(1, step_ms)
        subject = f"C{int(customers * rng.random() ** 2):04d}"
        type = rng.choice(["order.paid", "order.paid", "login", "live.view", "chat.message"])
        data = {"order.paid": {"amount": round(rng.random() * 200, 2), "category": "beauty"}, "login": {},
                "live.view": {"watch_seconds": rng.randint(1, 900)}, "chat.message": {"direction": rng.choice(["inbound", "outbound"])}}[type]
        out.append(event(f"e{i}", type, subject, at, data, rng.choice(["douyin", "wechat"])))
        if type == "order.paid" and rng.random() < 0.1:
            out.append(out[-1])
    return out


def topic_of(record, topics):
    order = {"order.paid": 0, "login": 1, "live.view": 2, "chat.message": 1}
    return topics[order.get(record["type"], 0) % len(topics)]


def feed(stack, d, events):
    producer, topics = stack.producer(), [s["topic"] for s in d.config["sources"]]
    for record in events:
        producer.produce(topic_of(record, topics), json.dumps(record), record["subject"])
        producer.poll(0)
    producer.flush()
    for partition in range(d.partitions):  # time goes on to the end, by a record of a type that the catalog does not know
        producer.produce(topics[0], json.dumps(event(f"end{partition}", "end", "nobody", END)), None, partition)
    producer.flush()


def committed(stack, d):
    """Whether all offsets are committed up to the ends."""
    topics = [s["topic"] for s in d.config["sources"]]
    consumer = Consumer({"bootstrap.servers": stack.bootstrap, "group.id": d.name})
    wanted = {(t, p): end for t in topics for p, end in enumerate(stack.ends(t, d.partitions))}
    try:
        got = consumer.committed([TopicPartition(t, p) for t, p in wanted], timeout=10)
    except KafkaException:  # a broker that has just come back is no coordinator yet
        return False
    finally:
        consumer.close()
    return all(c.offset == wanted[c.topic, c.partition] or wanted[c.topic, c.partition] == 0 for c in got)
