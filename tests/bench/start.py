"""From kill -9 of a daemon under load to the first change that the one started in its place publishes, as a read_committed reader sees it."""
import subprocess
import time

from confluent_kafka import Consumer, TopicPartition

from common import PARTITIONS, create, daemon, drop, machine, on_one_stack, path_of, save, say, start
from timers import catalog

RATE = 1000
REST_S = 2  # between kills


def fence_of(message):
    """Of the batch that a change was published with; whoever takes the shard over has a larger one."""
    return int(dict(message.headers())["tagd_batch"].split(b".")[0])


def newest(consumer, fence, seconds):
    """The fence of the first change that has a larger one."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        for message in consumer.consume(1000, 0.005):
            if not message.error() and fence_of(message) > fence:
                return fence_of(message)
    raise AssertionError(f"no new change within {seconds} s")


def drain(consumer, fence, seconds):
    """Reads on for a while; the largest fence seen."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        fence = max([fence] + [fence_of(m) for m in consumer.consume(1000, 0.05) if not m.error()])
    return fence


@on_one_stack
def main(stack, options):
    name, times = "start", options.kills
    create(stack, name + ".in")
    d = daemon(stack, name, catalog("30d"), name + ".in")
    d.start()
    seconds = times * 15
    load = start([path_of("latency"), stack.bootstrap, name + ".in", name + ".changes", PARTITIONS, 0, RATE, seconds, 2000], stdout=subprocess.DEVNULL)
    consumer = Consumer({"bootstrap.servers": stack.bootstrap, "group.id": "start", "enable.auto.commit": False, "isolation.level": "read_committed",
                         "fetch.wait.max.ms": 50, "log_level": 0})
    consumer.assign([TopicPartition(name + ".changes", p, 0) for p in range(PARTITIONS)])
    took, fence = [], 0
    try:
        fence = newest(consumer, fence, 30)
        for _ in range(times):
            fence = drain(consumer, fence, REST_S)
            began = time.monotonic()
            d.kill()
            d.start(ready=False)
            fence = newest(consumer, fence, 30)
            took.append((time.monotonic() - began) * 1000)
            say(f"{took[-1]:.0f} ms")
        assert load.poll() is None, "the load ended before the last kill"
    finally:
        load.kill()
        load.wait()
        consumer.close()
        d.kill()
        drop(stack, name)
    save("start", {"machine": machine(), "rate": RATE, "took_ms": took})
