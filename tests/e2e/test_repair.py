"""Redis comes back older than what was published, or empty: the state is made again from the topics, and nobody who reads the
changes sees it."""
import json
import time

import pytest
import redis

from shop import CATALOG, committed, feed, shop_events
from stack import wait_for
from test_outage import under_load


def junk(stack, d, first, n):
    """Records that no event can be made of, each one different."""
    producer = stack.producer()
    for i in range(first, first + n):
        producer.produce(d.config["sources"][0]["topic"], f"junk {i}", f"K{i}")
    producer.flush()


def assert_each_once(letters, n):
    found = [m.value().decode() for m in letters.wait(n, 30)]
    assert sorted(v for v in found if v.startswith("junk")) == sorted(f"junk {i}" for i in range(n))


def log_of(d):
    return open(d.log).read()


def last_word(d):
    """What it said why it ended."""
    return [line for line in log_of(d).splitlines() if line.startswith("tagd: ")][-1]


def repaired(d, shards=4):
    return d.is_ready() and d.metrics()["tagd_repairs_total"] >= 1 and d.metrics()["tagd_shards_running"] == shards


def roll_back(stack, d, seconds=1.5):
    """Redis loses that much."""
    junk(stack, d, 0, 20)
    time.sleep(0.3)
    copy = stack.copy_redis()
    junk(stack, d, 20, 20)
    time.sleep(seconds)
    stack.roll_back_redis(copy)
    junk(stack, d, 40, 20)
    return copy


def test_a_redis_that_lost_its_last_seconds_is_repaired(stack, daemon, tmp_path):
    letters = []

    def disturb(d):
        letters.append(d.reader("dead_letter"))
        roll_back(stack, d)
        wait_for("the repair is over", 60, lambda: repaired(d))
        metrics = d.metrics()
        print({k: v for k, v in metrics.items() if "repair" in k})
        assert metrics["tagd_repair_records_total"] > 0 and metrics['tagd_tag_changes_total{origin="repair"}'] == 0
    d = under_load(stack, daemon, tmp_path, disturb)
    assert_each_once(letters[0], 60)
    assert "Redis lost its last writes" in log_of(d)


def test_the_daemon_is_killed_during_a_repair_and_redis_goes_back_once_more(stack, daemon, tmp_path):
    letters, kills = [], []

    def goes_on(d):
        assert d.process.poll() != 78, log_of(d)[-2000:]
        return log_of(d).count("its repair goes on")

    def repairing(d):
        """By Redis, which may be just starting; how many shards."""
        try:
            heads = stack.redis.mget(list(stack.redis.scan_iter(match=f"{d.name}:*head", count=10000)))
        except redis.exceptions.RedisError:
            return 0
        return sum(" repair " in (head or "") for head in heads)

    def disturb(d):
        letters.append(d.reader("dead_letter"))
        copy = roll_back(stack, d)
        d.kill()
        for i in range(8):
            seen, begins = goes_on(d), i == 4 or not repairing(d)  # 4: also in the middle of one
            if begins:
                stack.roll_back_redis(copy)
            d.start(ready=False)
            wait_for("a repair begins, or goes on", 60, lambda: goes_on(d) > seen or begins and repairing(d), 0.001)
            time.sleep(i % 3 * 0.02)
            d.kill()
            explained = any("\nrepair     goes on" in d.explain(f"C000{k}").stdout for k in range(8))
            kills.append((repairing(d), goes_on(d) - seen, explained))
        d.start()
    d = under_load(stack, daemon, tmp_path, disturb, batch_events=100)
    assert_each_once(letters[0], 60)
    print(f"{log_of(d).count('; repairing')} repairs begun, {goes_on(d)} went on; at each kill, shards under repair, went on, told by explain: {kills}")
    assert any(shards > 0 for shards, _, _ in kills) and goes_on(d) >= 1 and any(explained for _, _, explained in kills)


def test_an_emptied_redis_is_rebuilt(stack, daemon, tmp_path):
    letters = []

    def disturb(d):
        letters.append(d.reader("dead_letter"))
        junk(stack, d, 0, 20)
        time.sleep(1)
        stack.flush_redis()
        junk(stack, d, 20, 20)
        assert d.process.wait(30) == 78
        told = last_word(d)
        assert "Redis has no state of it, but Kafka says that batch" in told and "tagd run --rebuild" in told
        d.start("--rebuild")
        wait_for("the rebuilding is over", 60, lambda: repaired(d))
        metrics = d.metrics()
        print({k: v for k, v in metrics.items() if "repair" in k})
        assert metrics["tagd_repairs_total"] == 4 and metrics['tagd_tag_changes_total{origin="repair"}'] == 0
        junk(stack, d, 40, 20)
    d = under_load(stack, daemon, tmp_path, disturb)
    assert_each_once(letters[0], 60)


@pytest.mark.parametrize("mode", ["structured", "binary"])
def test_two_sources_are_rebuilt_in_either_content_mode(stack, daemon, tmp_path, mode):
    d = daemon(CATALOG, sources=("orders", "others"), time="events", grace="0s")
    d.config["outputs"]["content_mode"] = mode
    d.write()
    d.create_topics(2)
    events = shop_events(4000, 100, 23)
    reader = d.reader()
    d.start()
    feed(stack, d, events)
    wait_for("offsets committed", 60, lambda: committed(stack, d))
    d.stop()
    published = len(reader.wait(1, 30))
    views = {key: stack.redis.hgetall(key) for key in stack.redis.scan_iter(match=f"{d.name}:tags:*")}
    stack.flush_redis()
    d.start("--rebuild")
    wait_for("the rebuilding is over", 60, lambda: repaired(d, 2))
    assert len(reader.wait(1, 30)) == published and d.metrics()['tagd_tag_changes_total{origin="repair"}'] == 0
    assert len(views) > 50
    for key, view in views.items():
        assert stack.redis.hgetall(key) == view, key
    stack.flush_redis()  # under a daemon that may rebuild
    feed(stack, d, [])
    wait_for("it is rebuilt again", 60, lambda: d.metrics()["tagd_repairs_total"] == 4 and d.is_ready())
    assert stack.redis.get(f"{d.name}:group") == d.name and stack.redis.get(f"{d.name}:shards") == "2"
    for key, view in views.items():
        assert stack.redis.hgetall(key) == view, key
    d.stop()
    d.start("--rebuild")  # nothing is left to rebuild
    assert d.metrics()["tagd_repairs_begun_total"] == 0
    assert "--rebuild: Redis has the state of every shard" in log_of(d)
    d.stop()
    assert len(reader.messages) == published


def stopped_after_some(stack, daemon, **settings):
    d = daemon(CATALOG, time="events", grace="0s", **settings)
    d.create_topics(1)
    feed(stack, d, shop_events(300, 10, 3))
    reader = d.reader()
    d.start()
    wait_for("offsets committed", 30, lambda: committed(stack, d))
    reader.wait(1, 30)
    d.stop()
    return d, reader


def refused(d, *arguments):
    d.start(*arguments, ready=False)
    assert d.process.wait(30) == 78
    return last_word(d)


def test_what_can_not_be_rebuilt_is_refused_with_what_is_missing(stack, daemon):
    d, reader = stopped_after_some(stack, daemon)
    published = len(reader.messages)
    stack.flush_redis()
    told = refused(d)
    assert "Redis has no state of it, but Kafka says that batch" in told and "tagd run --rebuild" in told
    d.config["kafka"]["auto.offset.reset"] = "latest"
    d.write()
    assert "new shards begin at the topics' ends" in refused(d, "--rebuild")
    del d.config["kafka"]["auto.offset.reset"]
    d.config["delivery"] = "at_least_once"
    d.write()
    assert 'repair is for "delivery": "exactly_once"' in refused(d, "--rebuild")
    del d.config["delivery"]
    d.write()
    stack.delete_records({(d.config["outputs"]["tag_changes"], 0): 1})
    told = refused(d, "--rebuild")
    assert "the topic of tag changes begins at offset 1" in told and "may have been deleted" in told
    stack.delete_records({(d.config["sources"][0]["topic"], 0): 7})
    told = refused(d, "--rebuild")
    assert "must be read again, and those before 7 are deleted" in told
    assert len(reader.messages) == published


def test_records_that_a_repair_needs_are_never_passed_over(stack, daemon):
    d, reader = stopped_after_some(stack, daemon, on_data_gap="continue")
    copy = stack.copy_redis()
    later = shop_events(600, 10, 3)[300:]
    producer = stack.producer()
    for record in later:
        producer.produce(d.config["sources"][0]["topic"], json.dumps(record), record["subject"])
    producer.flush()
    d.start()
    wait_for("offsets committed", 30, lambda: committed(stack, d))
    d.stop()
    stack.delete_records({(d.config["sources"][0]["topic"], 0): -1})
    stack.roll_back_redis(copy)
    assert "must be read again" in refused(d)
