"""A server goes away under load and comes back: nothing lost, nothing doubled; a store that lost its data is refused."""
import time

import pytest

from shop import CATALOG, END, committed, feed, shop_events
from stack import by_customer, compare, event, final_view, simulate, wait_for
from test_kill import Feeder


def under_load(stack, daemon, tmp_path, disturb, **settings):
    events = shop_events(24000, 300, 17, step_ms=250)
    d = daemon(CATALOG, time="events", grace="0s", workers=2, **settings)
    d.create_topics(4)
    reader = d.reader()
    d.start()
    feeder = Feeder(stack, d, events, 3000)
    wait_for("first changes", 30, lambda: reader.messages)
    time.sleep(1)
    disturb(d)
    feeder.thread.join()
    feed(stack, d, [])
    wanted = simulate(tmp_path, CATALOG, [*events, event("end", "end", "nobody", END)])
    total = sum(map(len, wanted.values()))
    reader.wait(total, 90)
    wait_for("offsets committed", 30, lambda: committed(stack, d))
    assert d.stop() < 5
    reader.stop()
    compared, differences = compare(by_customer(reader.changes()), wanted)
    assert not differences, differences[0]
    assert compared == total == len(reader.messages)
    for customer, changes in wanted.items():
        assert d.tags(customer) == final_view(changes), customer
    print(f"{compared} changes and {len(wanted)} views compared, 0 differences")
    return d


@pytest.mark.parametrize("batch", [10000, 40])  # small ones: much is fetched and not taken yet when all is begun anew
def test_redis_is_away_for_a_while(stack, daemon, tmp_path, batch):
    d = under_load(stack, daemon, tmp_path, lambda d: stack.restart_redis(3, d), batch_events=batch)
    assert "Redis" in open(d.log).read()


def test_redis_is_out_of_memory_for_a_while(stack, daemon, tmp_path):
    def disturb(d):
        stack.redis.config_set("maxmemory", "1mb")
        wait_for("commits refused", 20, lambda: d.metrics()['tagd_commits_total{outcome="refused"}'] > 0)
        stack.redis.config_set("maxmemory", "0")
    under_load(stack, daemon, tmp_path, disturb)


def test_the_broker_is_restarted(stack, daemon, tmp_path):
    under_load(stack, daemon, tmp_path, stack.restart_broker)


def test_an_emptied_redis_is_refused_with_what_was_found(stack, daemon):
    d = daemon(CATALOG, time="events", grace="0s")
    d.create_topics(1)
    feed(stack, d, shop_events(100, 10, 3))
    reader = d.reader()
    d.start()
    wait_for("its changes", 30, lambda: len(reader.messages) > 100)
    d.stop()
    for key in stack.redis.scan_iter(match=f"{d.name}:*"):
        stack.redis.delete(key)
    d.start(ready=False)
    assert d.process.wait(30) == 78
    told = open(d.log).read()
    assert "Redis has no state of it, but Kafka says that batch" in told and "redis.prefix" in told


def test_two_daemons_of_one_instance_one_of_them_ends_and_says_why(stack, daemon):
    a = daemon(CATALOG, time="events", grace="0s")
    a.create_topics(2)
    feed(stack, a, shop_events(200, 10, 3))
    b = daemon(CATALOG)
    b.config = {**a.config, "http": b.config["http"]}
    b.write()
    a.start()
    b.start(ready=False)
    ended = wait_for("one of them ends", 60, lambda: next((d for d in (a, b) if d.process.poll() is not None), None))
    other = b if ended is a else a
    assert ended.process.poll() == 78 and "\"instance\"" in open(ended.log).read()
    wait_for("the other one goes on", 30, other.is_ready)
    assert other.stop() < 5
