"""What goes wrong. A fault is a function of the world and a source of chance; when it returns, what it broke is there again, though the
daemons need not have noticed yet. Everything between is the daemons' affair."""
import glob
import os
import resource
import signal
import subprocess
import time

import redis

from load import PARTITIONS
from stack import BROKER, wait_for
from world import SESSION_MS

TAKEN_OVER_S = SESSION_MS / 1000 + 25


def pick(world, rng):
    return rng.choice(world.daemons)


def has_all(world, d):
    return wait_for(f"all shards are with {d.letter}", TAKEN_OVER_S, lambda: d.look() and d.running() == PARTITIONS, 0.02)


# ---- daemons ----

def killed(world, rng):
    """kill -9, and the same instance begins again at once."""
    d = pick(world, rng)
    d.end()
    d.up()


def killed_and_away(world, rng):
    """kill -9; the other one takes over once the session is over; then it comes back."""
    d = pick(world, rng)
    d.end()
    has_all(world, world.other(d))
    d.up()


def both_killed(world, rng):
    for d in world.daemons:
        d.end()
    for d in rng.sample(world.daemons, 2):
        d.up()


def killed_while_it_takes_over(world, rng):
    """Some times in a row, each a little later in its life."""
    d = pick(world, rng)
    for _ in range(rng.randint(2, 4)):
        d.end()
        d.up()
        time.sleep(rng.random() * 1.2)
    d.end()
    d.up()


def zombie(world, rng):
    """Frozen past its session, and woken when the other one has its shards."""
    d = pick(world, rng)
    d.freeze()
    try:
        has_all(world, world.other(d))
        time.sleep(rng.random())
    finally:
        d.thaw()


def frozen_for_a_while(world, rng):
    """Within its session: nobody takes over."""
    d = pick(world, rng)
    d.freeze()
    time.sleep(1 + 2 * rng.random())
    d.thaw()


def rolling_restart(world, rng):
    for d in rng.sample(world.daemons, 2):
        assert d.end(signal.SIGTERM) == 0, d.log_tail()
        d.up()
        wait_for("ready", 60, lambda d=d: d.look() and d.get("/readyz")[0] == 200)


# ---- the broker, and the way to it ----

def broker_killed(world, rng):
    subprocess.run([BROKER, "kill", world.folder + "/kafka"], check=True)
    time.sleep(2 * rng.random())
    subprocess.run([BROKER, "start", world.folder + "/kafka"], check=True, capture_output=True)


def broker_restarted(world, rng):
    subprocess.run([BROKER, "stop", world.folder + "/kafka"], check=True)
    subprocess.run([BROKER, "start", world.folder + "/kafka"], check=True, capture_output=True)


def broker_frozen(world, rng):
    pid = int(open(world.folder + "/kafka/pid").read())
    os.kill(pid, signal.SIGSTOP)
    try:
        time.sleep(2 + 4 * rng.random())
    finally:
        os.kill(pid, signal.SIGCONT)


def cut(proxies, rng):
    """Again and again, at moments of a transaction's length."""
    for _ in range(rng.randint(1, 8)):
        rng.choice(proxies).cut()
        time.sleep(rng.random() * 0.3)


def held(proxy, seconds):
    proxy.hold()
    try:
        time.sleep(seconds)
    finally:
        proxy.release()


def kafka_cut(world, rng):
    cut([d.kafka for d in world.daemons], rng)


def kafka_black_hole(world, rng):
    held(pick(world, rng).kafka, 1 + 4 * rng.random())


def kafka_black_hole_past_the_session(world, rng):
    """It lives, has Redis, and doesn't hear that its shards are gone; what it had sent arrives late."""
    d = pick(world, rng)
    d.kafka.hold()
    try:
        has_all(world, world.other(d))
        time.sleep(2 * rng.random())
    finally:
        d.kafka.release()


def kafka_slow(world, rng):
    proxy = pick(world, rng).kafka
    proxy.delay(0.02 + 0.2 * rng.random())
    time.sleep(3)
    proxy.delay(0)


# ---- Redis, and the way to it ----

def redis_killed(world, rng):
    world.redis_process.kill()
    world.redis_process.wait()
    time.sleep(1.5 * rng.random())
    world.start_redis()


def redis_restarted(world, rng):
    world.stop_redis()
    time.sleep(1.5 * rng.random())
    world.start_redis()


def redis_frozen(world, rng):
    world.redis_process.send_signal(signal.SIGSTOP)
    try:
        time.sleep(1 + 6 * rng.random())  # a reply is waited for for five seconds
    finally:
        world.redis_process.send_signal(signal.SIGCONT)


def redis_cut(world, rng):
    cut([d.redis for d in world.daemons], rng)


def redis_black_hole(world, rng):
    held(pick(world, rng).redis, 1 + 6 * rng.random())


def redis_slow(world, rng):
    proxy = pick(world, rng).redis
    proxy.delay(0.02 + 0.2 * rng.random())
    time.sleep(3)
    proxy.delay(0)


def redis_out_of_memory(world, rng):
    world.redis.config_set("maxmemory", "1mb")
    time.sleep(1 + 3 * rng.random())
    world.redis.config_set("maxmemory", "0")


def redis_disk_full(world, rng):
    """Its append-only file can't grow: a write of it fails, as on a full disk. Redis takes no more, or, if every write is to be safe, ends."""
    process, now = world.redis_process, max(map(os.path.getsize, glob.glob(world.folder + "/redis/appendonlydir/*.incr.aof")))
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (now + 1000, resource.RLIM_INFINITY))
    if world.fsync == "always":
        process.wait(20)
        world.start_redis()
        return
    try:
        wait_for("Redis can't write", 20, lambda: world.redis.info("persistence")["aof_last_write_status"] == "err")
        time.sleep(1 + 2 * rng.random())
    finally:
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


# ---- Redis loses what it said it had: repair ----

def redis_rolled_back(world, rng):
    """Killed, and begun on a copy that is seconds old, as a failover to a replica that lagged."""
    copy = world.copy_redis()
    time.sleep(0.2 + 4 * rng.random())
    world.roll_back_redis(copy)


def redis_emptied(world, rng):
    """FLUSHALL. A daemon stops and says so; somebody begins it again with --rebuild. One that runs with it rebuilds by itself."""
    assert not world.trimmed, "a rebuild needs the topics from their beginnings"
    stopping = [d for d in world.daemons if "--rebuild" not in d.arguments]
    for d in stopping:
        d.down = True  # what follows is as it should be
    world.redis.flushall()
    for d in stopping:
        assert d.process.wait(60) == 78, d.log_tail()
        assert "Redis has no state of it" in open(d.log).read(), d.log_tail()
    for d in stopping:
        d.up("--rebuild")


# ---- the rest ----

def trimmed_below_what_is_committed(world, rng):
    """DeleteRecords of what has been read: nobody misses it."""
    committed = wait_for("committed offsets", 20, world.load.committed)
    world.delete_records({(world.topics[t], p): offset - rng.randint(0, offset // 2) for (t, p), offset in committed.items() if offset > 0})
    world.trimmed = True


def clock_steps(world, rng):
    """The wall clock of one daemon is set, by seconds or past what is believed, and set right again. Live time alone looks at it."""
    world.a.drift(rng.choice((-120, -20, -5, 5, 20, 120)))
    time.sleep(4 + 3 * rng.random())
    world.a.drift(0)


def two_at_once(world, rng):
    """The second begins while the first one's traces are being dealt with."""
    first, second = rng.sample((killed, kafka_cut, redis_cut, redis_killed, redis_out_of_memory, broker_frozen, frozen_for_a_while), 2)
    first(world, rng)
    time.sleep(rng.random())
    second(world, rng)


KINDS = {f.__name__: f for f in (
    killed, killed_and_away, both_killed, killed_while_it_takes_over, zombie, frozen_for_a_while, rolling_restart,
    broker_killed, broker_restarted, broker_frozen, kafka_cut, kafka_black_hole, kafka_black_hole_past_the_session, kafka_slow,
    redis_killed, redis_restarted, redis_frozen, redis_cut, redis_black_hole, redis_slow, redis_out_of_memory, redis_disk_full,
    redis_rolled_back, redis_emptied, trimmed_below_what_is_committed, clock_steps, two_at_once)}
LIVE_ONLY = ("clock_steps",)
# Redis may not have afterwards what it said it had; after all others a repair is a mistake.
MAY_LOSE = ("redis_killed", "redis_disk_full", "redis_rolled_back", "redis_emptied", "two_at_once")


def plan(rng, n, kinds):
    """n kinds, all of them as often, in an order of chance; a rebuild comes before the topics' beginnings go."""
    out = []
    while len(out) < n:
        out += rng.sample(kinds, len(kinds))
    out = out[:n]
    early, late = [i for i, k in enumerate(out) if k == "redis_emptied"], [i for i, k in enumerate(out) if k == "trimmed_below_what_is_committed"]
    places, names = sorted(early + late), ["redis_emptied"] * len(early) + ["trimmed_below_what_is_committed"] * len(late)
    for place, name in zip(places, names):
        out[place] = name
    return out
