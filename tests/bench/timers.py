"""Tags that silence changes: how fast a million timers that are due at once are gone, how late they and single ones are, and how events
fare meanwhile; beside them the bare Redis commands of such timers."""
import json
import statistics
import subprocess
import time

from common import BASE, PARTITIONS, Committed, Meter, attempt, create, daemon, drop, fill, finish, on_one_stack, path_of, repeated, run, s, say, start

GRACE_MS = 2000
WARM_S = 10  # latency.c's
BATCH = 5000  # TAGD_DUE_MAX: timers of a shard that one batch takes
EARLY_S = 5  # live events begin so long before timers are due, behind what warms up
LAST_EVENTS = 64  # customers whose events move time, so many that each partition has one


def catalog(silence):
    return {"catalog": "timers", "version": "1", "events": {"login": {}},
            "dimensions": {"behaviour.activity": {"tags": [{"tag": "gone", "when": f"since(login) >= {silence}"}, {"tag": "here", "when": "true"}]}}}


def reader(stack, topic, out, first, rate, seconds, timers):
    return start([path_of("latency"), stack.bootstrap, topic, out, PARTITIONS, first, rate, seconds, GRACE_MS, timers], stdout=subprocess.PIPE, text=True)


def profile_bytes(stack, name):
    """Mean bytes of a stored profile, of a few customers."""
    return round(statistics.mean(s.profile_sizes(stack.redis, name, 1000)))


def by_events(stack, options, turn):
    """Time is what events say: one later event makes all due at once, and nothing else goes on."""
    stack.flush_redis()
    name, n = f"moved-{turn}", options.timers
    create(stack, name + ".in")
    fill(stack, name + ".in", n, n, 60000, who="each", types="logins")
    d = daemon(stack, name, catalog("30d"), name + ".in", time="events")
    try:
        d.start()
        Committed(stack, name, name + ".in").wait(n)
        profile = profile_bytes(stack, name)
        reading = reader(stack, name + ".in", d.config["outputs"]["tag_changes"], 0, 0, 3600, n)
        time.sleep(2)
        stack.redis.config_resetstat()
        meter, began_ms = Meter(stack, d.process.pid), time.time() * 1000
        fill(stack, name + ".in", LAST_EVENTS, 10**9, 1000, base_ms=BASE + 31 * 86400000, who="each", types="logins", first=n)
        found = finish(reading)
        figures = meter.figures(n)
        commands = {k: v["calls"] / n for k, v in stack.redis.info("commandstats").items() if v["calls"] > n / 100}
    finally:
        d.kill()
        drop(stack, name)
    seconds = (found["last_ms"] - began_ms) / 1000
    return {**figures, "timers": found["timers"]["n"], "seconds": seconds, "timers_per_s": found["timers"]["n"] / seconds, "profile_bytes": profile,
            "commands_a_timer": commands}


def live(stack, options, turn):
    """The wall clock makes all due at once; events go on at their rate."""
    stack.flush_redis()
    name, n, rate = f"live-{turn}", options.timers, options.live_rate
    silence_s = 20 + n // 10000
    seconds = EARLY_S + 10 + n // 15000
    create(stack, name + ".in")
    d = daemon(stack, name, catalog(f"{silence_s}s"), name + ".in")
    try:
        d.start()
        base_ms = int(time.time() * 1000)
        fill(stack, name + ".in", n, n, 0, base_ms=base_ms, who="each", types="logins")
        Committed(stack, name, name + ".in").wait(n)
        rest = base_ms / 1000 + silence_s - EARLY_S - WARM_S - time.time()
        assert rest > 0, "the timers were due before their events were read: a slower machine needs fewer (--timers)"
        time.sleep(rest)
        found = finish(reader(stack, name + ".in", d.config["outputs"]["tag_changes"], n, rate, seconds, n))
    finally:
        d.kill()
        drop(stack, name)
    seconds = (found["last_ms"] - base_ms) / 1000 - silence_s - GRACE_MS / 1000
    return {**found, "rate": rate, "timers_per_s": found["timers"]["n"] / seconds, "seconds": seconds}


def quiet(stack, options, turn):
    """Single timers, 50 a second, while nothing else comes: all have logged in, and time stands on the clock again, before the first is gone."""
    stack.flush_redis()
    name, rate, seconds = f"quiet-{turn}", 50, 5 if options.quick else 15
    create(stack, name + ".in")
    d = daemon(stack, name, catalog(f"{WARM_S + seconds + 3}s"), name + ".in")
    try:
        d.start()
        return finish(reader(stack, name + ".in", d.config["outputs"]["tag_changes"], 0, rate, seconds, rate * seconds))
    finally:
        d.kill()
        drop(stack, name)


def measured(stack, options, turn):
    moved = by_events(stack, options, turn)
    stack.flush_redis()
    bare = run("pipeline", stack.redis_port, options.timers, BATCH, moved["profile_bytes"], 700)
    found = {"moved": moved, "bare": {**bare, "timers_per_s": bare["timers"] / bare["seconds"]}}
    for part in (live, quiet):
        found[part.__name__] = attempt(part.__name__, part, stack, options, turn)
    say(json.dumps(found))
    return found


@on_one_stack
def main(stack, options):
    repeated("timers", options, {"timers": options.timers}, lambda turn: measured(stack, options, turn))
