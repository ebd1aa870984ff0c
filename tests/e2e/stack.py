"""A real broker, a real Redis, and the daemon as a process: what the end-to-end tests stand on."""
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request

import redis
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TAGD = os.environ.get("TAGD", os.path.join(ROOT, "build/release/tagd"))
BROKER = os.path.join(ROOT, "deploy/broker/broker.sh")
sys.path.insert(0, os.path.join(ROOT, "tests/schemas"))
import validators  # noqa: E402

CHECKS = {"tag_changes": validators.check_change_message, "dead_letter": validators.check_dead_letter_message}


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(what, seconds, condition, pause=0.05):
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(pause)
    return found


def profile_sizes(client, prefix, some=None):
    """Bytes of the stored profiles under a daemon's prefix, all or some of each shard."""
    sizes = []
    for key in client.scan_iter(match=prefix + ":{*}:profiles", count=10000):
        pipe = client.pipeline(transaction=False)
        for customer in client.hrandfield(key, some) if some else client.hkeys(key):
            pipe.hstrlen(key, customer)
        sizes += pipe.execute()
    return sizes


class Stack:
    """One broker and one Redis, in a folder of their own. proxies: ports at which the broker can be found too; listeners and
    properties: what else it has (broker.sh)."""
    fsync = "everysec"  # Redis's
    redis_options = ()

    def __init__(self, folder, proxies=(), listeners="", properties=""):
        self.folder = str(folder)
        self.redis_port = free_port()
        self.redis_process = None
        self.bootstrap = subprocess.run([BROKER, "start", self.folder + "/kafka", *map(str, proxies)], check=True, capture_output=True, text=True,
                                        env={**os.environ, "TAGD_BROKER_LISTENERS": listeners, "TAGD_BROKER_PROPERTIES": properties}).stdout.strip()
        self.start_redis()

    def start_redis(self):
        os.makedirs(self.folder + "/redis", exist_ok=True)
        self.redis_process = subprocess.Popen(
            ["redis-server", "--port", str(self.redis_port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "yes", "--appendfsync",
             self.fsync, *self.redis_options, "--dir", self.folder + "/redis"], stdout=open(self.folder + "/redis.log", "a"), stderr=subprocess.STDOUT,
            restore_signals=False)  # SIGXFSZ stays ignored: past a limit on a file's size a write fails, as on a full disk
        self.redis = redis.Redis(port=self.redis_port, decode_responses=True)

        def answers():
            try:
                return self.redis.ping()
            except redis.exceptions.RedisError:
                return False
        wait_for("Redis answers", 20, answers)

    def stop_redis(self):
        self.redis_process.terminate()
        self.redis_process.wait()

    def restart_redis(self, times, d):
        """Away for a second each time, and there for one; the daemon goes on."""
        for _ in range(times):
            self.stop_redis()
            assert d.process.poll() is None
            time.sleep(1)
            self.start_redis()
            time.sleep(1)

    def copy_redis(self):
        """A copy of what Redis has written by now, while it runs; the folder. A record at its end may be cut off, which Redis
        passes over."""
        self.redis.config_set("auto-aof-rewrite-percentage", "0")
        wait_for("no rewrite goes on", 60, lambda: not self.redis.info("persistence")["aof_rewrite_in_progress"])
        copy = f"{self.folder}/redis-{time.monotonic_ns()}"
        shutil.copytree(self.folder + "/redis", copy)
        return copy

    def roll_back_redis(self, copy):
        """Redis dies and comes back as it was when it was copied."""
        self.redis_process.kill()
        self.redis_process.wait()
        shutil.rmtree(self.folder + "/redis")
        shutil.copytree(copy, self.folder + "/redis")
        self.start_redis()

    def delete_records(self, before):
        """What is before these offsets, by (topic, partition), goes, as by retention; -1: all that is there."""
        admin = AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0})
        for future in admin.delete_records([TopicPartition(*at, offset) for at, offset in before.items()]).values():
            future.result(30)

    def restart_broker(self, d):
        subprocess.run([BROKER, "kill", self.folder + "/kafka"], check=True)
        time.sleep(2)
        subprocess.run([BROKER, "start", self.folder + "/kafka"], check=True, capture_output=True)
        assert d.process.poll() is None

    def stop(self):
        self.stop_redis()
        subprocess.run([BROKER, "stop", self.folder + "/kafka"], check=True)

    def create(self, names, partitions):
        admin = AdminClient({"bootstrap.servers": self.bootstrap})
        for future in admin.create_topics([NewTopic(n, partitions, 1) for n in names]).values():
            future.result(30)
        # a broker answers before it knows of them itself
        wait_for("the topics are there", 20, lambda: set(names) <= admin.list_topics(timeout=10).topics.keys())

    def producer(self, **more):
        # idempotent: without it a retry puts records behind later ones
        return Producer({"bootstrap.servers": self.bootstrap, "partitioner": "murmur2_random", "linger.ms": 5, "enable.idempotence": True, "log_level": 0, **more})

    def ends(self, topic, partitions, committed=True):
        consumer = Consumer({"bootstrap.servers": self.bootstrap, "group.id": "ends", "log_level": 0,
                             "isolation.level": "read_committed" if committed else "read_uncommitted"})
        out = [consumer.get_watermark_offsets(TopicPartition(topic, p), timeout=10)[1] for p in range(partitions)]
        consumer.close()
        return out

    def flush_redis(self):
        self.redis.flushall()


class Reader:
    """A concurrent read_committed consumer of one topic, from its beginning. Every message is checked against the published
    schema when the reader stops; `check` says how."""

    def __init__(self, stack, topic, partitions, check=None):
        self.messages, self.check = [], check
        self.stopping = False
        self.consumer = Consumer({"bootstrap.servers": stack.bootstrap, "group.id": "reader", "enable.auto.commit": False, "log_level": 0,
                                  "isolation.level": "read_committed", "auto.offset.reset": "earliest", "fetch.wait.max.ms": 50})
        self.consumer.assign([TopicPartition(topic, p, 0) for p in range(partitions)])
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.stopping:
            for message in self.consumer.consume(5000, 0.1):
                assert message.error() is None, message.error()
                self.messages.append(message)

    def stop(self):
        if not self.stopping:
            self.stopping = True
            self.thread.join()
            self.consumer.close()
            for message in self.messages if self.check else []:
                self.check(message)

    def wait(self, n, seconds):
        """At least n messages, and half a second in which no more come."""
        wait_for(f"{n} messages", seconds, lambda: len(self.messages) >= n)
        seen = -1
        while seen != len(self.messages):
            seen = len(self.messages)
            time.sleep(0.5)
        return self.messages

    def changes(self):
        return [json.loads(m.value()) for m in self.messages]


class Daemon:
    """tagd run, on a configuration of its own."""

    def __init__(self, stack, name, catalog, sources, **settings):
        self.stack, self.name = stack, name
        self.folder = f"{stack.folder}/{name}"
        os.makedirs(self.folder, exist_ok=True)
        self.port = free_port()
        catalog_path = catalog
        if isinstance(catalog, dict):
            catalog_path = self.folder + "/catalog.json"
            json.dump(catalog, open(catalog_path, "w"))
        self.config = {"group": name, "instance": "a", "catalog": catalog_path, "sources": [{"topic": s} for s in sources],
                       "outputs": {"tag_changes": name + ".changes", "churn_risk": name + ".churn", "dead_letter": name + ".dead"},
                       "kafka": {"bootstrap.servers": stack.bootstrap},
                       "redis": {"url": f"redis://127.0.0.1:{stack.redis_port}", "prefix": name + ":"},
                       "http": {"listen": f"127.0.0.1:{self.port}"}, **settings}
        self.path = self.folder + "/tagd.json"
        self.log = self.folder + "/tagd.log"
        self.process = None
        self.environment = {}  # besides ours
        self.readers = []
        self.write()

    def write(self):
        json.dump(self.config, open(self.path, "w"))

    def join(self, first):
        """Another instance of the first one's group, on its topics and its state."""
        self.config = {**first.config, "instance": "b", "http": self.config["http"]}
        self.write()
        self.name, self.partitions = first.name, first.partitions

    def create_topics(self, partitions):
        self.partitions = partitions
        self.stack.create([s["topic"] for s in self.config["sources"]] + [v for k, v in self.config["outputs"].items() if k != "content_mode"], partitions)

    def reader(self, output="tag_changes"):
        self.readers.append(Reader(self.stack, self.config["outputs"][output], self.partitions, CHECKS.get(output)))
        return self.readers[-1]

    def start(self, *arguments, ready=True, pass_fds=()):
        self.process = subprocess.Popen([TAGD, "run", "--config", self.path, *arguments], stderr=open(self.log, "a"), env={**os.environ, **self.environment},
                                        pass_fds=pass_fds)
        if ready:
            wait_for("ready", 30, self.is_ready)

    def get(self, path):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return None, ""

    def is_ready(self):
        assert self.process.poll() is None, open(self.log).read()[-2000:]
        return self.get("/readyz")[0] == 200

    def metrics(self):
        found = {}
        for line in self.get("/metrics")[1].splitlines():
            if not line.startswith("#"):
                name, value = line.rsplit(" ", 1)
                found[name] = float(value)
        return found

    def stop(self):
        """Seconds it took."""
        started = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(20) == 0, open(self.log).read()[-2000:]
        return time.monotonic() - started

    def kill(self):
        self.process.kill()
        self.process.wait()

    def tags(self, customer):
        return self.stack.redis.hgetall(f"{self.name}:tags:{customer}")

    def explain(self, customer):
        return subprocess.run([TAGD, "explain", "--config", self.path, customer], capture_output=True, text=True)


def event(id, type, subject, time_ms, data=None, source="test"):
    text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time_ms // 1000)) + f".{time_ms % 1000:03d}Z"
    out = {"specversion": "1.0", "id": id, "source": source, "type": type, "subject": subject, "time": text}
    if data is not None:
        out["data"] = data
    return out


def simulate(folder, catalog, events, until=None):
    """What tagd simulate makes of the events, by customer."""
    path = f"{folder}/simulate-{time.monotonic_ns()}"
    with open(path + ".jsonl", "w") as file:
        file.writelines(json.dumps(e) + "\n" for e in events)
    if isinstance(catalog, dict):
        json.dump(catalog, open(path + ".json", "w"))
        catalog = path + ".json"
    command = [TAGD, "simulate", "--catalog", catalog, *(["--until", until] if until else []), path + ".jsonl"]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr[-2000:]
    return by_customer(json.loads(line) for line in run.stdout.splitlines())


def by_customer(changes):
    out = {}
    for change in changes:
        out.setdefault(change["subject"], []).append(change)
    return out


def meaning(change):
    """A change without what may differ from run to run: when it was recorded, whether all was read, and the group's name."""
    data = {k: v for k, v in change["data"].items() if k != "caught_up"}
    return {**{k: v for k, v in change.items() if k not in ("recordedtime", "source")}, "data": data}


def compare(found, wanted):
    """(comparisons, [differences]) of two {customer: changes}."""
    compared, differences = 0, []
    for customer in sorted(found.keys() | wanted.keys()):
        a, b = [meaning(c) for c in found.get(customer, [])], [meaning(c) for c in wanted.get(customer, [])]
        compared += max(len(a), len(b))
        for i in range(max(len(a), len(b))):
            if i >= len(a) or i >= len(b) or a[i] != b[i]:
                differences.append((customer, i, a[i] if i < len(a) else None, b[i] if i < len(b) else None))
                break
    return compared, differences


def final_view(changes):
    """The Redis view that a customer's changes end in."""
    last = changes[-1]
    at = last["time"]
    ms = int(time.mktime(time.strptime(at[:19] + " UTC", "%Y-%m-%dT%H:%M:%S %Z")) - time.timezone) * 1000 + int(at[20:23])
    return {**last["data"]["tags"], "_revision": str(last["data"]["revision"]), "_at": str(ms)}
