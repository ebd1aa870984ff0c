"""Records are deleted under a daemon that runs, before it has read them."""
import json
import signal
import time

from shop import BASE, CATALOG, committed, feed
from stack import event, wait_for


def logins(n, first, at):
    return [event(f"e{i}", "login", f"C{i}", at + i) for i in range(first, first + n)]


def produce(stack, d, partition, events):
    producer = stack.producer()
    for record in events:
        producer.produce(d.config["sources"][0]["topic"], json.dumps(record), None, partition)
    producer.flush()


def deleted_under(stack, daemon, action):
    """A daemon that stands still for a moment, while all but the last 5 of 1000 records of its partition 0 go."""
    d = daemon(CATALOG, time="events", grace="0s", on_data_gap=action)
    d.config["sources"][0]["partitioner"] = "none"
    d.write()
    d.create_topics(2)
    reader = d.reader()
    d.start()
    produce(stack, d, 0, logins(5, 0, BASE))
    reader.wait(5, 30)
    wait_for("offsets committed", 30, lambda: committed(stack, d))
    d.process.send_signal(signal.SIGSTOP)
    produce(stack, d, 0, logins(10, 5, BASE))  # these answer the fetch that is under way
    time.sleep(0.5)
    produce(stack, d, 0, logins(1000, 15, BASE))
    produce(stack, d, 1, logins(50, 2000, BASE))
    topic = d.config["sources"][0]["topic"]
    stack.delete_records(topic, 0, stack.ends(topic, 2)[0] - 5)
    d.process.send_signal(signal.SIGCONT)
    return d, reader


def customers(reader):
    return {m.key().decode() for m in reader.messages}


def test_it_goes_on_behind_the_gap_and_counts_it(stack, daemon):
    d, reader = deleted_under(stack, daemon, "continue")
    read = {f"C{i}" for i in [*range(5), *range(1010, 1015), *range(2000, 2050)]}
    wait_for("all that are there", 30, lambda: read <= customers(reader))
    reader.wait(1, 30)
    assert not customers(reader) & {f"C{i}" for i in range(15, 1010)}
    assert len({c["id"] for c in reader.changes()}) == len(reader.messages)
    assert d.process.poll() is None and d.metrics()["tagd_data_gaps_total"] == 1
    wait_for("it runs", 10, d.is_ready)
    feed(stack, d, [])
    wait_for("offsets committed", 30, lambda: committed(stack, d))
    d.stop()
    d.start()  # the gap is behind it
    assert d.metrics()["tagd_data_gaps_total"] == 0
    d.stop()


def test_it_stops_and_says_which_records_are_gone(stack, daemon):
    d, _ = deleted_under(stack, daemon, "stop")
    assert d.process.wait(30) == 78
    told = next(line for line in open(d.log) if line.startswith("tagd: "))
    assert told.startswith("tagd: shard 0: topic") and "records were deleted before they were read" in told and "on_data_gap" in told
