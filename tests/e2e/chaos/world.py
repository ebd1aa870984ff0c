"""A broker, a Redis and two daemons of one group, each of which reaches the servers through proxies of its own."""
import os
import signal
import struct
import subprocess
import time

import stack
from load import GRACE_MS, LIVE_GRACE_MS, PARTITIONS, UNIT_S, catalog
from proxy import Proxies
from stack import Daemon, Stack, free_port

SESSION_MS = 6000
WORKERS = 2


class Instance(Daemon):
    """A daemon, its proxies, and what became of it."""

    def place(self, world, letter, kafka, redis):
        self.world, self.letter, self.kafka, self.redis = world, letter, kafka, redis
        self.frozen = self.down = False
        self.ended = []  # exit statuses of its own making
        self.arguments = []
        self.config["instance"] = letter
        self.config["kafka"] = {"bootstrap.servers": f"127.0.0.1:{kafka.port}", "session.timeout.ms": SESSION_MS}
        self.config["redis"] = {"url": f"redis://127.0.0.1:{redis.port}", "prefix": world.prefix}
        self.write()

    def up(self, *arguments):
        self.arguments = list(arguments) or self.arguments
        self.down = self.frozen = False
        self.start(*self.arguments, ready=False)

    def end(self, signal_number=signal.SIGKILL):
        self.down = True
        self.process.send_signal(signal_number)
        return self.process.wait(30)

    def freeze(self):
        self.frozen = True
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)
        self.frozen = False

    def running(self):
        """Shards that run here; 0: nobody says."""
        return 0 if self.frozen or self.down else int(self.metrics().get("tagd_shards_running", 0))

    def look(self):
        """Ended by itself? 69 says that a server was out of reach when it began: it is begun again, as an init system would. False: for good."""
        if self.down or self.process.poll() is None:
            return True
        self.ended.append(self.process.returncode)
        if self.process.returncode != 69:
            return False
        time.sleep(0.5)
        self.up()
        return True

    def log_tail(self, n=3000):
        return open(self.log).read()[-n:]

    def drift(self, seconds):
        """Its wall clock is so far from ours (begun with `own_clock`)."""
        with open(self.folder + "/clock", "r+b") as file:
            file.write(struct.pack("q", seconds))

    def own_clock(self):
        with open(self.folder + "/clock", "wb") as file:
            file.write(bytes(8))
        library = self.folder + "/clock.so"
        subprocess.run(["gcc", "-O2", "-Wall", "-shared", "-fPIC", "-o", library, os.path.dirname(os.path.abspath(__file__)) + "/clock.c"], check=True)
        self.environment = {"LD_PRELOAD": library, "CHAOS_CLOCK": self.folder + "/clock"}


class World(Stack):
    group = "chaos"
    prefix = "chaos:"
    # Redis 7.0 leaves a hole of zeros in its file when a write is cut short by a full disk, if a rewrite had begun that file.
    redis_options = ("--auto-aof-rewrite-percentage", "0")

    def __init__(self, folder, live=False, fsync="everysec"):
        self.live, self.fsync = live, fsync
        self.proxies = Proxies()
        kafka, redis = [self.proxies.open(free_port()) for _ in "ab"], [self.proxies.open(free_port()) for _ in "ab"]
        super().__init__(folder, [p.port for p in kafka])
        for proxy, line in zip(kafka, open(self.folder + "/kafka/behind")):
            proxy.target = int(line.rsplit(":", 1)[1])
        for proxy in redis:
            proxy.target = self.redis_port
        self.topics = ["chaos.orders", "chaos.rest"]
        settings = {"workers": WORKERS, "batch_events": 2000}
        settings.update({"grace": f"{LIVE_GRACE_MS}ms"} if live else {"time": "events", "grace": f"{GRACE_MS}ms"})
        self.daemons = []
        for letter, k, r in zip("ab", kafka, redis):
            d = Instance(self, self.group, catalog(1 if live else UNIT_S), self.topics, **settings)
            d.folder = f"{self.folder}/{letter}"
            os.makedirs(d.folder)
            d.path, d.log = d.folder + "/tagd.json", d.folder + "/tagd.log"
            d.place(self, letter, k, r)
            self.daemons.append(d)
        self.a, self.b = self.daemons
        self.catalog_path = self.a.config["catalog"]
        self.changes, self.dead = self.a.config["outputs"]["tag_changes"], self.a.config["outputs"]["dead_letter"]
        self.a.create_topics(PARTITIONS)
        if live:
            self.a.own_clock()

    def other(self, d):
        return self.b if d is self.a else self.a

    def up(self):
        for d in self.daemons:
            d.up()

    def settled(self):
        """Every shard runs, and both have some."""
        running = [d.running() for d in self.daemons]
        return sum(running) == PARTITIONS and all(running)

    def close(self):
        for d in self.daemons:
            if d.process is not None and d.process.poll() is None:
                d.process.kill()
                d.process.wait()
        self.stop()
        self.proxies.stop()


def use(tagd):
    """Daemons are of this build; what `simulate` says is still ours."""
    stack.TAGD = tagd
