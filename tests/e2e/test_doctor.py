"""tagd doctor: each thing that a new operator gets wrong is found on real servers, and the line says what to do."""
import json
import os
import subprocess

import pytest
import redis as redis_client
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from stack import TAGD, free_port, wait_for
from test_dead_letters import CATALOG, order, orders

DAYS = 86400000


def doctor(d, code, *more, env=None):
    done = subprocess.run([TAGD, "doctor", "--config", d.path, "--json", *more], capture_output=True, text=True, env={**os.environ, **(env or {})}, timeout=60)
    assert done.returncode == code, done.stdout + done.stderr
    told = json.loads(done.stdout)
    for level in ("ok", "warn", "fail"):
        assert told[level] == sum(c["level"] == level for c in told["checks"])
    return told["checks"]


def lines(checks, level, check):
    return [c["text"] for c in checks if (c["level"], c["check"]) == (level, check)]


def one(checks, level, check, *words):
    found = [text for text in lines(checks, level, check) if all(word in text for word in words)]
    assert len(found) == 1, [c for c in checks if c["check"] == check]
    return found[0]


def make(stack, daemon, settings=(), partitions=3, **more):
    """Topics as they should be, one broker apart, but for what is set."""
    d = daemon(CATALOG, grace="0s", kafka={"bootstrap.servers": stack.bootstrap, "message.max.bytes": "2000000"}, **more)
    d.partitions = partitions
    admin = AdminClient({"bootstrap.servers": stack.bootstrap, "log_level": 0})
    wanted = dict(settings)
    topics = {"events": d.config["sources"][0]["topic"], "changes": d.config["outputs"]["tag_changes"], "dead": d.config["outputs"]["dead_letter"]}
    made = []
    for name, topic in topics.items():
        config = {"retention.ms": str(30 * DAYS), "max.message.bytes": str(2000000 if name == "dead" else 1050000), **wanted.get(name, {})}
        count = config.pop("partitions", partitions)
        if count:
            made.append(NewTopic(topic, count, 1, config=config))
    for future in admin.create_topics(made).values():
        future.result(30)
    wait_for("the topics are there", 20, lambda: {t.topic for t in made} <= admin.list_topics(timeout=10).topics.keys())
    return d


def test_a_healthy_set_up_has_no_failure(stack, daemon):
    d = make(stack, daemon)
    checks = doctor(d, 0)
    assert not [c for c in checks if c["level"] == "fail"]
    assert one(checks, "ok", "topics") == "all 3 are there, with 3 partitions each"
    assert "has one replica" in lines(checks, "warn", "replication")[0]
    assert {c["check"] for c in checks if c["level"] == "warn"} <= {"replication", "user", "clock", "retention"}
    assert "may begin" in one(checks, "ok", "transactions") and "0 committed" in one(checks, "ok", "offsets")
    assert "rules look back over all time" in one(checks, "warn", "retention") and "begin with tagd import" in one(checks, "warn", "retention")
    assert one(checks, "ok", "state" if lines(checks, "ok", "state") else "prefix")
    for check in ("redis", "role", "eviction", "memory", "persistence", "clocks", "prefix", "kafka", "broker", "librdkafka", "http"):
        assert one(checks, "ok", check)
    d.start()
    producer = stack.producer()
    producer.produce(d.config["sources"][0]["topic"], order(1, "C1"), "C1")
    producer.flush()
    wait_for("its change", 20, lambda: orders(d, "C1") == "n1")
    checks = doctor(d, 0)
    assert "runs: 1 member" in one(checks, "ok", "group") and "not tried: the group runs" in one(checks, "ok", "transactions")
    assert one(checks, "ok", "state") == "made by this catalog" and "is this group's" in one(checks, "ok", "prefix")
    assert not one(checks, "ok", "offsets").startswith("0 ")
    text = subprocess.run([TAGD, "doctor", "--config", d.path], capture_output=True, text=True)
    assert text.returncode == 0 and text.stdout.splitlines()[-1].endswith("0 wrong") and "\nok    group         " in text.stdout


def test_topics_that_are_not_as_they_must_be(stack, daemon):
    d = make(stack, daemon, {"changes": {"partitions": 0}, "dead": {"partitions": 2, "cleanup.policy": "compact", "max.message.bytes": "100000"},
                             "events": {"retention.ms": str(60000), "cleanup.policy": "compact,delete", "max.message.bytes": "5000000"}})
    checks = doctor(d, 78)
    assert "create it with 3 partitions, or start tagd run with --create-topics" in one(checks, "fail", "topics", "does not exist")
    assert "create" in one(checks, "fail", "topics", "has 2 partitions")
    assert "raise retention.ms to days" in one(checks, "fail", "retention", "keeps records for 1 minutes")
    assert "set cleanup.policy to delete" in one(checks, "warn", "cleanup", "source")
    assert "records without a key can't be dead-lettered" in one(checks, "fail", "cleanup")
    assert "raise both" in one(checks, "warn", "sizes", "don't fit")
    assert "raise max_event_bytes" in one(checks, "warn", "sizes", "takes messages of 5000000 bytes")
    d = make(stack, daemon, {"events": {"retention.ms": str(DAYS // 2)}, "changes": {"retention.bytes": "1000000"}, "dead": {"retention.ms": str(DAYS // 2)}})
    checks = doctor(d, 0)
    assert "tagd may stand still" in one(checks, "warn", "retention", ".events") and "Redis may be set back" in one(checks, "warn", "retention", ".dead")
    assert "retention.bytes" in one(checks, "warn", "retention", ".changes")


def test_a_skewed_topic(stack, daemon):
    d = make(stack, daemon, partitions=6)
    producer = stack.producer()
    for i in range(12000):
        producer.produce(d.config["sources"][0]["topic"], b"x", b"k", 2)
        producer.poll(0)
    producer.flush()
    assert "partition 2" in one(doctor(d, 0), "warn", "skew") and "key records by customer" in one(doctor(d, 0), "warn", "skew")


def test_offsets_and_state_of_another_making(stack, daemon):
    d = make(stack, daemon)
    topic = d.config["sources"][0]["topic"]
    consumer = Consumer({"bootstrap.servers": stack.bootstrap, "group.id": d.name, "enable.auto.commit": False, "log_level": 0})
    consumer.commit(offsets=[TopicPartition(topic, 1, 0)], asynchronous=False)
    consumer.close()
    assert "put them back with their metadata" in one(doctor(d, 78), "fail", "offsets", f'topic "{topic}", partition 1')

    d = make(stack, daemon)
    d.start()
    producer = stack.producer()
    producer.produce(d.config["sources"][0]["topic"], order(1, "C1"), "C1")
    producer.flush()
    wait_for("its change", 20, lambda: orders(d, "C1") == "n1")
    d.kill()
    other = json.loads(json.dumps(CATALOG).replace("count(login) == 1", "count(login) == 11"))
    json.dump(other, open(d.folder + "/catalog.json", "w"))
    assert "run that one, or take a new" in one(doctor(d, 78), "fail", "state", "made by another catalog")
    json.dump(CATALOG, open(d.folder + "/catalog.json", "w"))
    d.config["group"] = d.name + "-2"
    d.write()
    assert 'give this group its own "redis.prefix"' in one(doctor(d, 78), "fail", "prefix", f'belongs to group "{d.name}"')
    d.config["group"] = d.name
    stack.redis.set(f"{d.name}:shards", "4")
    d.write()
    assert "go back to 4" in one(doctor(d, 78), "fail", "prefix", "made with 4 partitions")
    stack.redis.set(f"{d.name}:shards", "3")
    stack.redis.set(f"{d.name}:sources", "others")
    assert "go back to those" in one(doctor(d, 78), "fail", "prefix", "from the sources others")


@pytest.fixture
def other_redis(tmp_path):
    """A Redis of its own, to be set wrong."""
    port = free_port()
    process = subprocess.Popen(["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(tmp_path)], stdout=subprocess.DEVNULL)
    client = redis_client.Redis(port=port, decode_responses=True)

    def answers():
        try:
            return client.ping()
        except redis_client.exceptions.RedisError:
            return False
    wait_for("Redis answers", 20, answers)
    client.port = port
    yield client
    process.terminate()
    process.wait()


def test_a_redis_that_is_not_as_it_must_be(stack, daemon, other_redis):
    d = make(stack, daemon)
    d.config["redis"]["url"] = f"redis://127.0.0.1:{other_redis.port}"
    d.write()
    checks = doctor(d, 0)
    assert "redis-cli config set appendonly yes" in one(checks, "warn", "persistence")
    other_redis.config_set("maxmemory-policy", "allkeys-lru")
    other_redis.config_set("client-output-buffer-limit", "normal 1000000 0 0")
    checks = doctor(d, 78)
    assert "set maxmemory-policy noeviction" in one(checks, "fail", "eviction", "allkeys-lru")
    assert "normal 0 0 0" in one(checks, "warn", "buffers")
    other_redis.config_set("maxmemory-policy", "noeviction")
    other_redis.config_set("client-output-buffer-limit", "normal 0 0 0")
    other_redis.config_set("maxmemory", other_redis.info("memory")["used_memory"] // 2)
    assert "raise maxmemory" in "".join(lines(doctor(d, 78), "fail", "memory"))
    other_redis.config_set("maxmemory", "0")
    other_redis.config_set("appendonly", "yes")
    other_redis.config_set("appendfsync", "no")
    assert "set it to everysec" in one(doctor(d, 0), "warn", "persistence")
    d.config["delivery"] = "at_least_once"
    other_redis.config_set("appendfsync", "everysec")
    d.write()
    checks = doctor(d, 0)
    assert "set it to always" in one(checks, "warn", "persistence") and "at_least_once" in one(checks, "ok", "transactions")
    other_redis.replicaof("127.0.0.1", stack.redis_port)
    assert "address of the master" in one(doctor(d, 78), "fail", "role")
    other_redis.replicaof("NO", "ONE")
    other_redis.execute_command("ACL", "SETUSER", "tagd", "on", ">word", "~other*", "+@all")
    d.config["redis"]["url"] = f"redis://tagd:word@127.0.0.1:{other_redis.port}"
    d.write()
    assert "the right to all commands" in one(doctor(d, 78), "fail", "prefix")
    d.config["redis"]["url"] = f"redis://tagd:wrong@127.0.0.1:{other_redis.port}"
    d.write()
    assert "refuses us" in one(doctor(d, 78), "fail", "redis")


CLOCK = """#define _GNU_SOURCE
#include <dlfcn.h>
#include <time.h>
int clock_gettime(clockid_t id, struct timespec *now)
{
    int (*real)(clockid_t, struct timespec *) = dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(id, now);
    if (id == CLOCK_REALTIME)
        now->tv_sec -= %d;
    return result;
}
"""


@pytest.mark.parametrize("seconds, level", [(5, "warn"), (90, "fail")])
def test_clocks_that_differ(stack, daemon, tmp_path, seconds, level):
    d = make(stack, daemon)
    (tmp_path / "clock.c").write_text(CLOCK % seconds)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", str(tmp_path / "clock.so"), str(tmp_path / "clock.c"), "-ldl"], check=True)
    text = one(doctor(d, 78 if level == "fail" else 0, env={"LD_PRELOAD": str(tmp_path / "clock.so")}), level, "clocks")
    assert f"Redis's is {seconds}.0" in text and "NTP" in text


def test_servers_that_are_away_and_an_open_port(stack, daemon):
    d = make(stack, daemon, http={"listen": "0.0.0.0:0", "insecure": True})
    d.config["redis"]["url"] = f"redis://127.0.0.1:{free_port()}"
    d.write()
    checks = doctor(d, 69)
    assert "start it, or correct" in one(checks, "fail", "redis") and "anybody may ask" in one(checks, "warn", "http")
    assert one(checks, "ok", "topics")
    d.config["redis"]["url"] = f"redis://127.0.0.1:{stack.redis_port}"
    d.config["kafka"] = {"bootstrap.servers": f"127.0.0.1:{free_port()}", "message.max.bytes": "2000000"}
    d.write()
    checks = doctor(d, 69)
    assert "bootstrap.servers" in one(checks, "fail", "kafka") and one(checks, "ok", "redis")


def test_a_transaction_that_is_longer_than_the_broker_allows(stack, daemon):
    d = make(stack, daemon)
    d.config["kafka"]["transaction.timeout.ms"] = 1000000
    d.write()
    checks = doctor(d, 78)
    assert "lower transaction.timeout.ms" in one(checks, "fail", "broker", "transaction.max.timeout.ms is 900000")
