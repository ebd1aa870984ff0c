"""Each alert, fired on a real daemon by causing its fault, and cleared; each query of the dashboard, answered by a real Prometheus."""
import json
import os
import re
import signal
import struct
import subprocess
import threading
import time

import pytest
from confluent_kafka import Producer

from prometheus import RULES, Prometheus
from stack import ROOT, TAGD, event, wait_for

CATALOG = {"catalog": "watched", "version": "1", "events": {"login": {}, "order": {"fields": {"amount": "decimal"}}},
           "dimensions": {"activity.level": {"tags": [{"tag": "quiet", "when": "since(login) >= 2s"}, {"tag": "active", "when": "true"}]},
                          "value.level": {"tags": [{"tag": "buyer", "when": "count(order) >= 1"}]}}}
ALERTS = re.findall(r"- alert: (\w+)", open(RULES + "tagd.rules.yml").read())


class Watched:
    """A daemon with a clock of its own, which dies of records that say so, a Prometheus that looks at it, and a little traffic."""

    def __init__(self, stack, daemon, folder):
        self.stack, self.fired = stack, {}
        self.d = d = daemon(CATALOG, sources=("logins", "orders"), batch_events=20)
        d.config["sources"][0]["expect_every"] = "10s"
        d.write()
        d.create_topics(2)
        self.logins, self.orders = (s["topic"] for s in d.config["sources"])
        libraries = [folder + "/clock.so", folder + "/poison.so"]
        for source, library in zip(("chaos/clock.c", "poison_shim.c"), libraries):
            subprocess.run(["cc", "-O1", "-fno-builtin", "-shared", "-fPIC", "-o", library, f"{ROOT}/tests/e2e/{source}"], check=True)
        self.clock = folder + "/clock"
        self.drift(0)
        d.environment = {"LD_PRELOAD": ":".join(libraries), "CHAOS_CLOCK": self.clock}
        self.producer, self.serial, self.sending, self.silent, self.burst = stack.producer(), 0, True, False, 1
        d.start()
        self.thread = threading.Thread(target=self.traffic, daemon=True)
        self.thread.start()
        self.prometheus = Prometheus(folder + "/prometheus")
        self.prometheus.scrape([d])

    def drift(self, seconds):
        with open(self.clock, "r+b" if os.path.exists(self.clock) else "wb") as file:
            file.write(struct.pack("q", seconds))

    def send(self, topic, type, subject, data=None, producer=None):
        self.serial += 1
        (producer or self.producer).produce(topic, json.dumps(event(f"e{self.serial}", type, subject, int(time.time() * 1000), data)), subject)

    def traffic(self):
        """A few customers come and fall silent, all the while."""
        while self.sending:
            for i in range(self.burst):
                if not self.silent:
                    self.send(self.logins, "login", f"T{self.serial % 400}")
            self.producer.poll(0)
            time.sleep(0.25)

    def fires(self, *alerts, within=40):
        began = time.monotonic()
        left = set(alerts)
        while left:
            assert time.monotonic() - began < within, f"{left} didn't fire within {within} s; firing: {self.prometheus.firing()}; {open(self.d.log).read()[-1500:]}"
            for alert in left & self.prometheus.firing():
                left.discard(alert)
                self.fired[alert] = time.monotonic() - began
            time.sleep(0.1)

    def clears(self, *alerts, within=60):
        began = time.monotonic()
        wait_for(f"{alerts} cleared", within, lambda: not set(alerts) & self.prometheus.firing(), 0.1)
        for alert in alerts:
            print(f"{alert}: fired after {self.fired[alert]:.1f} s, cleared {time.monotonic() - began:.1f} s after the fault was over")

    def settled(self):
        wait_for("nothing fires", 60, lambda: not self.prometheus.firing(), 0.2)

    def stop(self):
        self.sending = False
        self.thread.join()
        self.prometheus.stop()


def command(d, *arguments):
    subprocess.run([TAGD, arguments[0], "--config", d.path, *arguments[1:]], check=True, capture_output=True)


def outputs_are_held(w):
    command(w.d, "hold")
    w.fires("TagdOutputsHeld")
    command(w.d, "release")
    w.clears("TagdOutputsHeld")


def a_channel_stops(w):
    w.silent = True
    w.fires("TagdInputSilent")
    w.silent = False
    w.clears("TagdInputSilent")


def the_clock_is_set(w):
    w.drift(5)
    w.fires("TagdClockStep")
    w.drift(0)
    w.clears("TagdClockStep")


def a_transaction_hangs(w):
    hanging = Producer({"bootstrap.servers": w.stack.bootstrap, "transactional.id": w.d.name + ".hanging", "transaction.timeout.ms": 60000, "log_level": 0})
    hanging.init_transactions(20)
    hanging.begin_transaction()
    w.send(w.orders, "order", "C1", {"amount": 1}, hanging)
    hanging.flush()
    w.fires("TagdHangingTransaction")
    hanging.abort_transaction(20)
    w.clears("TagdHangingTransaction")


def redis_has_no_file(w):
    w.stack.redis.config_set("appendonly", "no")
    w.fires("TagdRedisAof")
    w.stack.redis.config_set("appendonly", "yes")
    w.clears("TagdRedisAof")


def redis_evicts(w):
    """Keys of nobody's, which have a time to live."""
    r = w.stack.redis
    for i in range(200):
        r.set(f"nobodys:{i}", "x" * 10000, ex=600)
    r.config_set("maxmemory-policy", "volatile-lru")
    r.config_set("maxmemory", str(r.info("memory")["used_memory"] - 500000))
    w.fires("TagdRedisEvicts")
    r.config_set("maxmemory", "0")
    r.config_set("maxmemory-policy", "noeviction")
    w.clears("TagdRedisEvicts")


def redis_is_full(w):
    w.stack.redis.config_set("maxmemory", "1mb")
    w.fires("TagdRedisMemory", "TagdTimersLate")
    w.stack.redis.config_set("maxmemory", "0")
    w.clears("TagdRedisMemory", "TagdTimersLate")


def redis_does_not_answer(w):
    w.stack.redis_process.send_signal(signal.SIGSTOP)
    w.fires("TagdRedisDown", "TagdShardNotRunning", "TagdLag")
    w.stack.redis_process.send_signal(signal.SIGCONT)
    w.clears("TagdRedisDown", "TagdShardNotRunning", "TagdLag")


def the_broker_does_not_answer(w):
    pid = int(open(w.stack.folder + "/kafka/pid").read())
    os.kill(pid, signal.SIGSTOP)
    try:
        w.fires("TagdShardStalled")
    finally:
        os.kill(pid, signal.SIGCONT)
    w.clears("TagdShardStalled")


def producers_go_wrong(w):
    stop = time.monotonic() + 4
    while time.monotonic() < stop:
        w.producer.produce(w.orders, b"{", b"C1")
        w.producer.poll(0.05)
    w.fires("TagdDeadLetters")
    w.clears("TagdDeadLetters")


def a_record_is_poison(w):
    w.send(w.orders, "order", "C2", {"amount": 1e-07})  # see poison_shim.c
    wait_for("it has died", 20, lambda: w.d.process.poll() is not None)
    w.d.start()
    w.fires("TagdPoison")
    w.clears("TagdPoison")


def the_daemon_is_down(w):
    w.d.kill()
    w.fires("TagdDown")
    w.d.start()
    w.clears("TagdDown")


def changes_come_ten_times_as_often(w):
    w.settled()
    time.sleep(20)  # what is usual
    w.burst = 60
    w.fires("TagdChangeRateAnomaly")
    w.burst = 1
    w.clears("TagdChangeRateAnomaly")


def redis_comes_back_older(w):
    """All of one shard's keys as they were before some thousand events: what an audit finds, and a repair mends."""
    r, d = w.stack.redis, w.d
    w.settled()
    keys = [k.encode() for k in r.scan_iter(match=f"{d.name}:{{{d.name}:0}}:*", count=10000)]
    raw = __import__("redis").Redis(port=w.stack.redis_port)
    older = {k: raw.dump(k) for k in keys}
    done = d.metrics()["tagd_records_total"]
    for i in range(4000):
        w.send(w.orders, "order", f"R{i % 500}", {"amount": 1})
        w.producer.poll(0)
    w.producer.flush()
    w.silent = True  # so that no commit finds it before an audit does
    wait_for("they are applied", 120, lambda: d.metrics()["tagd_records_total"] >= done + 4000)
    time.sleep(4)

    def slow_down():
        """A repair of so little is over at once: its writes wait for four seconds."""
        wait_for("a repair has begun", 40, lambda: b" repair " in (raw.get(f"{d.name}:{{{d.name}:0}}:head") or b""), 0.001)
        raw.client_pause(4000, all=False)
    slow = threading.Thread(target=slow_down)
    slow.start()
    pipe = raw.pipeline(transaction=True)
    pipe.delete(*[k.encode() for k in r.scan_iter(match=f"{d.name}:{{{d.name}:0}}:*", count=10000)])
    for key, value in older.items():
        pipe.restore(key, 0, value, replace=True)
    pipe.execute()
    w.fires("TagdAuditMismatch", "TagdRepairRunning")
    slow.join()
    w.silent = False
    w.clears("TagdAuditMismatch", "TagdRepairRunning")


FAULTS = [outputs_are_held, a_channel_stops, the_clock_is_set, a_transaction_hangs, redis_has_no_file, redis_evicts, redis_is_full, redis_does_not_answer,
          the_broker_does_not_answer, producers_go_wrong, a_record_is_poison, the_daemon_is_down, changes_come_ten_times_as_often, redis_comes_back_older]


@pytest.fixture(scope="module")
def watched(stack, tmp_path_factory):
    """One for all tests here; conftest's daemons are a test's own."""
    from stack import Daemon
    made = []

    def daemon(catalog, sources, **settings):
        made.append(Daemon(stack, "watched", catalog, [f"watched.{s}" for s in sources], **settings))
        return made[-1]
    w = Watched(stack, daemon, str(tmp_path_factory.mktemp("watched")))
    yield w
    w.stop()
    if w.d.process.poll() is None:
        w.d.kill()


def test_every_query_of_the_dashboard_has_data(watched):
    w = watched
    dashboard = json.load(open(ROOT + "/deploy/grafana/tagd.json"))
    queries = [t["expr"] for p in dashboard["panels"] for t in p.get("targets", [])]
    time.sleep(4)
    asked = 0
    for text in queries:
        asked += 1
        text = text.replace("$instance", ".*").replace("$dimension", "activity.level").replace("$__rate_interval", "5s")
        assert "$" not in text, text
        wait_for(f"data for {text}", 20, lambda: w.prometheus.query(text), 0.3)
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            metric, label = re.fullmatch(r"label_values\((\w+), (\w+)\)", variable["query"]["query"]).groups()
            assert any(label in r["metric"] for r in w.prometheus.query(metric))
    for name in ("kafka_consumergroup_lag", "kafka_consumergroup_current_offset", "kafka_consumergroup_lag_sum"):
        found = w.prometheus.query(name)
        assert found and all(r["metric"]["consumergroup"] == w.d.name and r["metric"]["topic"] for r in found)
    assert not w.prometheus.query("tagd_no_such_metric")
    print(f"{asked} queries, each with data")
    assert asked == len(queries) >= 40


@pytest.mark.parametrize("fault", FAULTS, ids=lambda f: f.__name__)
def test_an_alert_fires_and_clears(watched, fault):
    if not any(f is fault for f in (redis_comes_back_older, changes_come_ten_times_as_often)):
        assert watched.d.process.poll() is None
    fault(watched)


def test_every_alert_has_fired(watched):
    assert set(watched.fired) == set(ALERTS), set(ALERTS) ^ set(watched.fired)
    print(f"{len(ALERTS)} alerts fired on a real daemon, and cleared")
